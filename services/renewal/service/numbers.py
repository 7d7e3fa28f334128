"""What certnumber says: a number given, voided, or not to be had.

`decision_no` names the approval a number belongs to. Word about an approval that no longer holds comes late and leaves
at most a void certificate; word about one that is ahead of us waits. So any order and number of deliveries ends in the
same state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.domain import TRANSITIONS, Action, Post, Status, month_anniversary, next_status
from services.renewal.models import Application, HeldCertificate, ImageRow
from services.renewal.queries import Holdings
from services.renewal.service.changes import record, state
from shared.contracts.certnumber import NumberAssigned, NumberingFailed, NumberVoided
from shared.contracts.renewal import RenewalApprovalWithdrawn, RenewalCertified, RenewalNumberingFailed
from shared.messaging import PredecessorMissing, Received, traced
from shared.values.clock import business_day

PLATFORM = "platform"


@dataclass(frozen=True)
class _Facts:
    """What events say of applications besides the rows themselves; loaded once for a batch."""

    posts: dict[str, Post]
    holdings: Holdings
    images: dict[UUID, list[ImageRow]]

    @classmethod
    async def load(cls, session: AsyncSession, applications: Mapping[UUID, Application]) -> "_Facts":
        holdings = await queries.holdings(session, (row.person_id for row in applications.values()))
        return cls(await queries.posts(session), holdings, await queries.current_images(session, applications))

    def state(self, container: RenewalContainer, application: Application, now: datetime) -> dict[str, Any]:
        held = self.holdings.valid(application.person_id, business_day(now))
        return state(container, application, self.posts, self.images[application.id], held)


async def _load(session: AsyncSession, batch: Sequence[Received[Any]]) -> dict[UUID, Application]:
    """Raises PredecessorMissing for what is not here yet: a restored database may be behind."""
    applications = await queries.lock_applications(session, (item.event.application_id for item in batch))
    for item in batch:
        application = applications.get(item.event.application_id)
        if application is None or item.event.decision_no > application.decision_no:
            raise PredecessorMissing
    return applications


def _numbered(application: Application, decision_no: int) -> Status | None:
    """Where a number for this approval leads; None when it is not waited for any more."""
    return next_status(application.status, Action.number) if application.decision_no == decision_no else None


async def certify(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberAssigned]]
) -> None:
    """approved -> certified; the number becomes a held certificate of the person.

    It takes the place of those the person holds for the post. The number of an approval that was withdrawn meanwhile is
    kept as a void one. One that the registry knows as another certificate's is given back.
    """
    applications = await _load(session, batch)
    facts = await _Facts.load(session, applications)
    known = await queries.certificates_by_number(session, (item.event.number for item in batch))
    now = container.clock.now()
    for received in traced(batch):
        event, application = received.event, applications[received.event.application_id]
        following = _numbered(application, event.decision_no)
        if event.number in known:
            if following is not None:
                _give_back(container, session, application, facts, event.number, now)
            continue
        post = application.post
        if following is None:
            post = await queries.approved_post(session, application.id, event.decision_no)
        certificate = HeldCertificate(
            id=uuid4(),
            person_id=application.person_id,
            post=post,
            certificate_number=event.number,
            valid_until=month_anniversary(event.issued_on, 12 * facts.posts[post].validity_years),
            application_id=application.id,
            voided_at=None if following else now,
            created_at=now,
            updated_at=now,
        )
        session.add(certificate)
        if following is None:
            continue
        application.status = following
        application.certificate_number = event.number
        application.numbering_failure = None
        for replaced in facts.holdings.replaceable(application):
            replaced.replaced_by, replaced.updated_at = application.id, now
        facts.holdings.certificates[application.person_id].append(certificate)
        record(session, application, "certify", PLATFORM, now)
        fields = facts.state(container, application, now)
        container.outbox.add(session, RenewalCertified(**fields, issued_on=event.issued_on), now)


async def note_void(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberVoided]]
) -> None:
    """The number is void in the ledger. Its certificate ended with the approval; this is the second net."""
    applications = await _load(session, batch)
    certificates = await queries.certificates_by_number(session, (item.event.number for item in batch))
    now = container.clock.now()
    for received in traced(batch):
        application = applications[received.event.application_id]
        certificate = certificates.get(received.event.number)
        if certificate and certificate.application_id == application.id and certificate.voided_at is None:
            certificate.voided_at = certificate.updated_at = received.event.voided_at
        record(session, application, "number_voided", PLATFORM, now, comment=received.event.number)


async def note_failure(
    container: RenewalContainer, session: AsyncSession, batch: Sequence[Received[NumberingFailed]]
) -> None:
    """The approval stands without a number until an administrator mends the series; the desk is told."""
    applications = await _load(session, batch)
    facts = await _Facts.load(session, applications)
    now = container.clock.now()
    for received in traced(batch):
        event, application = received.event, applications[received.event.application_id]
        if _numbered(application, event.decision_no) is not None:
            _fail(container, session, application, facts, event.code, event.detail, now)


def _give_back(
    container: RenewalContainer,
    session: AsyncSession,
    application: Application,
    facts: _Facts,
    number: str,
    now: datetime,
) -> None:
    """Withdraw the approval, so that certnumber voids the number and the next approval gets another one."""
    approval = application.decision_no
    application.status = TRANSITIONS[application.status, Action.withdraw]
    application.decision_no += 1
    application.reason_code, application.reason_label, application.reason_field = "number_taken", "编号已被占用", None
    application.comment = f"编号{number}在平台数据中已是其他证书的编号，已自动作废，请重新审核以取得新编号"
    application.numbering_failure = None
    record(session, application, "withdraw", PLATFORM, now)
    fields = facts.state(container, application, now)
    withdrawn = RenewalApprovalWithdrawn(**fields, decision_id=None, approval=approval, withdrawn_at=now)
    container.outbox.add(session, withdrawn, now)


def _fail(
    container: RenewalContainer,
    session: AsyncSession,
    application: Application,
    facts: _Facts,
    code: str,
    detail: str,
    now: datetime,
) -> None:
    application.numbering_failure = detail
    record(session, application, "numbering_failed", PLATFORM, now, comment=detail)
    fields = facts.state(container, application, now)
    container.outbox.add(session, RenewalNumberingFailed(**fields, code=code, detail=detail), now)
