"""Use cases of the certnumber service."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.certnumber import queries
from services.certnumber.audit import AuditAction
from services.certnumber.container import CertnumberContainer
from services.certnumber.domain import ApprovalStatus, Layout, LayoutError, NumberState
from services.certnumber.errors import (
    CertificateNotFound,
    LayoutInvalid,
    SeriesConflict,
    SeriesInUse,
    SeriesNotFound,
)
from services.certnumber.models import LedgerEntry, Series
from services.certnumber.schemas import SeriesChange, SeriesCreation
from shared.audit import trail
from shared.auth.tokens import Principal
from shared.contracts.certnumber import NumberVoided
from shared.contracts.renewal import (
    PERSON_BLOCK,
    ApplicationState,
    PersonBlock,
    RenewalApprovalWithdrawn,
    RenewalApproved,
)
from shared.messaging import Received, traced
from shared.persistence.db import after_commit
from shared.values.idnumber import mask_name


async def queue_approvals(
    container: CertnumberContainer, session: AsyncSession, batch: Sequence[Received[RenewalApproved]]
) -> None:
    """Make each approval wait for a number. One that a later approval has overtaken must have been withdrawn."""
    rows: dict[queries.Key, dict[str, Any]] = {}
    for received in batch:
        event = received.event
        rows[event.application_id, event.decision_no] = _facts(container, event, event.decision_no) | {
            "status": ApprovalStatus.waiting,
            "previous_approval": event.previous_approval,
            "replaces": event.replaces,
            "approved_at": event.approved_at,
            "traceparent": received.traceparent,
        }
    latest = await queries.latest_decisions(session, {application for application, _ in rows})
    for application, decision_no in rows:
        latest[application] = max(decision_no, latest.get(application, decision_no))
    for (application, decision_no), row in rows.items():
        if decision_no < latest[application]:
            row["status"] = ApprovalStatus.withdrawn
    await queries.add_approvals(session, [rows[key] for key in sorted(rows)])
    after_commit(session, container.waker.wake)


async def withdraw_approvals(
    container: CertnumberContainer, session: AsyncSession, batch: Sequence[Received[RenewalApprovalWithdrawn]]
) -> None:
    """Take each approval out of the queue, or void the number it has. One that is yet to come is withdrawn already."""
    withdrawn = {(received.event.application_id, received.event.approval): received for received in batch}
    keys = sorted(withdrawn)
    tombstones = [
        _facts(container, withdrawn[key].event, key[1]) | {"status": ApprovalStatus.withdrawn} for key in keys
    ]
    await queries.add_withdrawn(session, tombstones)
    approvals = await queries.get_approvals_for_update(session, keys)
    numbered = [key for key in keys if approvals[key].status == ApprovalStatus.numbered]
    entries = await queries.get_entries(session, numbered) if numbered else {}
    now = container.clock.now()
    for received in traced([withdrawn[key] for key in keys]):
        event = received.event
        approval = approvals[event.application_id, event.approval]
        approval.status = ApprovalStatus.withdrawn
        approval.failure_code = None
        entry = entries.get((event.application_id, event.approval))
        if entry is not None:
            entry.state = NumberState.void
            entry.voided_at = now
            entry.void_reason = "：".join(filter(None, (event.reason_code, event.comment))) or None
            voided = NumberVoided(
                application_id=entry.application_id,
                decision_no=entry.decision_no,
                number=entry.number,
                voided_at=now,
            )
            container.outbox.add(session, voided, now)
    # A later approval may have waited for this.
    after_commit(session, container.waker.wake)


def _facts(container: CertnumberContainer, event: ApplicationState, approval: int) -> dict[str, Any]:
    """Raises DecryptionFailed."""
    return {
        "application_id": event.application_id,
        "decision_no": approval,
        "post": event.post,
        "post_name": event.post_name,
        "enterprise_name": event.enterprise_name,
        "holder_masked": mask_name(container.cipher.open(event.person, PERSON_BLOCK, PersonBlock).name),
    }


async def find_certificate(session: AsyncSession, number: str) -> tuple[LedgerEntry, LedgerEntry | None]:
    """The number's entry, and the valid one that has taken its place. Raises CertificateNotFound."""
    entry = await queries.find_entry(session, number)
    if entry is None:
        raise CertificateNotFound
    return entry, await queries.find_successor(session, entry.number)


async def create_series(
    container: CertnumberContainer, session: AsyncSession, principal: Principal, creation: SeriesCreation
) -> Series:
    """Raises LayoutInvalid, SeriesConflict."""
    await queries.lock_series(session)
    now = container.clock.now()
    series = Series(id=uuid4(), created_at=now, updated_at=now, **creation.model_dump())
    session.add(series)
    await _put_into_force(container, session, series)
    trail.add(session, now, principal, AuditAction.series_created, series.id, {"new": _rule(series)})
    return series


async def change_series(
    container: CertnumberContainer, session: AsyncSession, principal: Principal, series_id: UUID, change: SeriesChange
) -> Series:
    """Raises SeriesNotFound, SeriesInUse, LayoutInvalid, SeriesConflict."""
    await queries.lock_series(session)
    series = await queries.find_series(session, series_id)
    if series is None:
        raise SeriesNotFound
    if change.yearly not in (None, series.yearly) and await queries.list_counters(session, [series_id]):
        raise SeriesInUse
    old = _rule(series)
    for field in change.model_fields_set:
        value = getattr(change, field)
        if value is not None or field == "posts":
            setattr(series, field, value)
    series.updated_at = container.clock.now()
    await _put_into_force(container, session, series)
    counters = await queries.list_counters(session, [series_id])
    if any(counter.last > Layout(series.layout).capacity for counter in counters):
        raise LayoutInvalid("layout", "流水号位数容不下已产生的编号，请保持或增加位数")
    detail = {"old": old, "new": _rule(series)}
    trail.add(session, series.updated_at, principal, AuditAction.series_changed, series.id, detail)
    return series


def _rule(series: Series) -> dict[str, Any]:
    return {field: getattr(series, field) for field in SeriesCreation.model_fields}


async def _put_into_force(container: CertnumberContainer, session: AsyncSession, series: Series) -> None:
    """Check the series among its peers and give failed approvals another chance under it."""
    try:
        Layout.parse(series.layout, yearly=series.yearly)
    except LayoutError as error:
        raise LayoutInvalid("layout", str(error)) from None
    if series.active:
        with session.no_autoflush:
            others = await queries.other_active_series(session, series.id)
        for other in others:
            shared_posts = sorted(set(series.posts or ()) & set(other.posts or ()))
            if shared_posts or (series.posts is None and other.posts is None):
                raise SeriesConflict(posts=shared_posts, series_id=other.id)
    await queries.reopen_failed(session)
    after_commit(session, container.waker.wake)
