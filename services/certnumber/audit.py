"""The audit trail of the numbering: what is recorded there, and under which words administrators read it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber.models import Series
from shared.audit import trail


class AuditAction(StrEnum):
    """The subject is the series' id; the detail has what it is now, and what it was before a change."""

    series_created = "series_created"
    series_changed = "series_changed"


AUDIT_LABELS: Mapping[AuditAction, str] = {
    AuditAction.series_created: "新增编号规则",
    AuditAction.series_changed: "修改编号规则",
}


def record(
    session: AsyncSession, at: datetime, actor: trail.Actor, action: AuditAction, series: Series, **detail: object
) -> None:
    """Add an entry about a series, in the transaction of what it records."""
    trail.add(session, at, actor, action, series.id, detail)
