"""What this service writes into its audit trail."""

from collections.abc import Mapping
from enum import StrEnum


class AuditAction(StrEnum):
    """The subject is the series' id; the detail has what it is now, and what it was before a change."""

    series_created = "series_created"
    series_changed = "series_changed"


AUDIT_LABELS: Mapping[AuditAction, str] = {
    AuditAction.series_created: "新增编号规则",
    AuditAction.series_changed: "修改编号规则",
}
