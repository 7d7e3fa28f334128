"""The one home of what an application does: its changes of status, what each leaves behind, and what it says.

A use case loads the applications it is about, judges, and then calls one of these methods. Nothing is changed on a row
before the rules have judged.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries, single
from services.renewal.container import RenewalContainer
from services.renewal.domain import (
    LABELS,
    Action,
    DecisionReason,
    Ineligibility,
    Status,
    application_number,
    conflicting_post,
    month_anniversary,
    next_status,
)
from services.renewal.errors import WrongState
from services.renewal.models import ID_NUMBER, Application, HeldCertificate, Image, Picture
from services.renewal.rules import Holdings, Rules
from shared.contracts import renewal as contract
from shared.contracts.certnumber import NumberAssigned
from shared.messaging import PredecessorMissing
from shared.persistence.bulk import write_waiting
from shared.values.clock import business_day

ENTERPRISE = "enterprise"
PLATFORM = "platform"

E = TypeVar("E", bound=contract.ApplicationState)


class Applications:
    """Applications under lock, with all that their changes are judged by and announced with."""

    def __init__(
        self,
        container: RenewalContainer,
        session: AsyncSession,
        rows: dict[UUID, Application],
        rules: Rules,
        holdings: Holdings,
        images: dict[UUID, list[Picture]],
    ) -> None:
        self._container = container
        self._session = session
        self.rows = rows
        self.rules = rules
        self.holdings = holdings
        self.images = images
        self._issued: list[HeldCertificate] = []

    @classmethod
    async def load(cls, container: RenewalContainer, session: AsyncSession, ids: Iterable[UUID]) -> Self:
        """Lock the persons of these applications, then the applications. A fixed number of queries for any number."""
        rows = await queries.lock_applications(session, ids)
        rules = await Rules.load(session)
        holdings = await Holdings.load(session, rules, {row.person_id for row in rows.values()}, list(rows.values()))
        return cls(container, session, rows, rules, holdings, await queries.pictures_of(session, rows))

    @classmethod
    async def load_own(
        cls, container: RenewalContainer, session: AsyncSession, application_id: UUID, enterprise_id: UUID
    ) -> Self:
        """Lock an application of this enterprise, if there is one, and its person, for what enterprises do: in two
        statements. What is read beside it is to be looked at; changes of certificates would be written by nobody."""
        row = await single.lock(session, application_id, enterprise_id)
        if row is None:
            return cls(container, session, {}, Rules({}, []), Holdings({}, {}, {}, {}), {})
        beside = await single.read_beside(session, row)
        rules = Rules(beside.posts, beside.limits)
        person = row.person_id
        holdings = Holdings(rules.posts, {person: beside.certificates}, {person: [row]}, {person: beside.live})
        return cls(container, session, {row.id: row}, rules, holdings, {row.id: beside.pictures})

    def __getitem__(self, application_id: UUID) -> Application:
        """Raises PredecessorMissing for one that is not here yet: events come in any order."""
        if application_id not in self.rows:
            raise PredecessorMissing
        return self.rows[application_id]

    async def save(self) -> None:
        """Write all that has happened so far by few statements, for what follows in this transaction. Certificates
        are written here only; changes that are not saved are flushed with the commit, row by row."""
        await queries.CHANGED.write_changed_async(self._session, self.rows.values())
        await queries.add_certificates(self._session, self._issued)
        self._issued.clear()
        await self._session.run_sync(write_waiting)

    # --- judging

    def ineligibilities(
        self, application: Application, now: datetime, *, submitting: bool = False
    ) -> list[Ineligibility]:
        """Every rule against the application: what the person holds counts as of now, age as of the submission."""
        submitted_at = now if submitting else application.submitted_at
        if submitted_at is None:
            raise ValueError("only a submitted application can be judged")
        standing = self.holdings.standing(application.person, business_day(now), but=application)
        post = self.rules.posts[application.post]
        return self.rules.ineligibilities(standing, post, business_day(submitted_at))

    def conflict(self, application: Application, now: datetime) -> tuple[str, str] | None:
        """Code and detail of what forbids that the application becomes live again: another one of its person is."""
        post = self.rules.posts[application.post]
        live = self.holdings.standing(application.person, business_day(now), but=application).live
        other = conflicting_post(post, live)
        if other is None:
            return None
        code = "already_applied" if other == post else "constructor_and_quality"
        return code, f"该人员另有在办的{other.name}换证申请，与本申请不能同时在办，请先处理该申请再撤回"

    # --- what happens to an application; each raises WrongState, with nothing changed

    def submit(self, application: Application, at: datetime) -> None:
        self._move(application, Action.submit)
        application.submitted_at = at
        application.revision += 1
        application.reason = DecisionReason()
        record(self._session, application, Action.submit, ENTERPRISE, at)
        images = {image.kind: str(image.id) for image in self.images[application.id]}
        submission = (application.id, application.revision, application.post, images, at)
        queries.SUBMISSIONS.write_at_commit(self._session, [submission])
        self._announce(contract.RenewalSubmitted, application, at)

    def cancel(self, application: Application, at: datetime) -> None:
        """Nobody has heard of a draft, so its end is not announced either."""
        self._move(application, Action.cancel)
        record(self._session, application, Action.cancel, ENTERPRISE, at)
        if application.revision > 0:
            self._announce(contract.RenewalCancelled, application, at)

    def approve(
        self, application: Application, reviewer: str, reason: DecisionReason, at: datetime, decision_id: UUID
    ) -> None:
        previous = application.last_approval
        self._decide(application, Action.approve, reason)
        application.last_approval = application.decision_no
        record(self._session, application, Action.approve, reviewer, at)
        self._announce(
            contract.RenewalApproved,
            application,
            at,
            decision_id=decision_id,
            approved_at=at,
            previous_approval=previous,
            replaces=self.replaced_number(application),
        )

    def reject(
        self, application: Application, reviewer: str, reason: DecisionReason, at: datetime, decision_id: UUID
    ) -> None:
        self._decide(application, Action.reject, reason)
        record(self._session, application, Action.reject, reviewer, at)
        self._announce(contract.RenewalRejected, application, at, decision_id=decision_id)

    def withdraw(
        self,
        application: Application,
        actor: str,
        reason: DecisionReason,
        at: datetime,
        decision_id: UUID | None = None,
    ) -> None:
        """End the approval, and the certificate it led to. Without a `decision_id` the platform itself withdraws."""
        approval = application.decision_no
        self._decide(application, Action.withdraw, reason)
        self._void_certificate(application, at)
        application.certificate_number = application.numbering_failure = None
        record(self._session, application, Action.withdraw, actor, at)
        self._announce(
            contract.RenewalApprovalWithdrawn,
            application,
            at,
            decision_id=decision_id,
            approval=approval,
            withdrawn_at=at,
        )

    def certify(self, application: Application, assigned: NumberAssigned, at: datetime) -> None:
        """Take the number; its certificate takes the place of those that the person holds for the post."""
        self._move(application, Action.certify)
        application.certificate_number = assigned.number
        application.numbering_failure = None
        replaced = self.holdings.replaceable(application)
        self.hold(application, assigned, application.post, at)
        for certificate in replaced:
            certificate.replaced_by, certificate.updated_at = application.id, at
        record(self._session, application, Action.certify, PLATFORM, at)
        self._announce(contract.RenewalCertified, application, at, issued_on=assigned.issued_on)

    def hold(
        self, application: Application, assigned: NumberAssigned, post: str, at: datetime, *, void: bool = False
    ) -> None:
        """Make the number a certificate of the application's person, a void one where its approval holds no more.
        `save` writes it."""
        certificate = HeldCertificate(
            id=uuid4(),
            person_id=application.person_id,
            post=post,
            certificate_number=assigned.number,
            valid_until=month_anniversary(assigned.issued_on, 12 * self.rules.posts[post].validity_years),
            application_id=application.id,
            voided_at=at if void else None,
            superseded=[],
            created_at=at,
            updated_at=at,
        )
        self._issued.append(certificate)
        self.holdings.certificates[application.person_id].append(certificate)

    # --- what leaves the status as it is

    def fail_numbering(self, application: Application, code: str, detail: str, at: datetime) -> None:
        """The approval stands without a number until an administrator mends the series; the desk is told."""
        application.numbering_failure = detail
        record(self._session, application, "numbering_failed", PLATFORM, at, comment=detail)
        self._announce(contract.RenewalNumberingFailed, application, at, code=code, detail=detail)

    def restate(self, application: Application, actor: str, at: datetime) -> None:
        """Tell the desk what is known of the person by now. Nothing has happened to the application itself."""
        record(self._session, application, "restate", actor, at)
        self._announce(contract.RenewalRestated, application, at)

    def refuse(
        self, application: Application, reviewer: str, code: str, detail: str, at: datetime, decision_id: UUID
    ) -> None:
        """Answer a decision that cannot be taken."""
        record(self._session, application, "decision_refused", reviewer, at, comment=detail)
        self._announce(
            contract.RenewalDecisionRefused, application, at, decision_id=decision_id, code=code, detail=detail
        )

    def _move(self, application: Application, action: Action) -> None:
        following = next_status(application.status, action)
        if following is None:
            raise wrong_state(application.status)
        application.status = following

    def _decide(self, application: Application, action: Action, reason: DecisionReason) -> None:
        self._move(application, action)
        application.decision_no += 1
        application.reason = reason

    def _void_certificate(self, application: Application, at: datetime) -> None:
        """What it took the place of is valid again, or replaced by what has replaced it since."""
        certificates = self.holdings.certificates[application.person_id]
        own = next((c for c in certificates if c.application_id == application.id and c.voided_at is None), None)
        if own is None:
            return
        own.voided_at = own.updated_at = at
        for certificate in certificates:
            if certificate.replaced_by == application.id:
                certificate.replaced_by, certificate.updated_at = own.replaced_by, at

    def _announce(self, kind: type[E], application: Application, at: datetime, **own: Any) -> None:
        """Publish the whole state as it is now; `own` are the fields that only this kind of event has."""
        # A reader ignores what it does not know, a writer must not: a misspelt field would be lost without a word.
        event = kind.model_validate({**self.state(application, at), **own}, extra="forbid")
        self._container.outbox.add(self._session, event, at)

    def state(self, application: Application, at: datetime) -> dict[str, Any]:
        """What events tell of the application as it is now: the fields of contract.ApplicationState."""
        return {
            "application_id": application.id,
            "application_number": application_number(application.sequence),
            "change_no": application.change_no,
            "revision": application.revision,
            "decision_no": application.decision_no,
            "status": application.status.value,
            "person": self._container.cipher.seal(self._person(application, at), contract.PERSON_BLOCK),
            "person_index": application.person.id_number_index,
            "enterprise_id": application.enterprise_id,
            "enterprise_name": application.enterprise.name,
            "post": application.post,
            "post_name": self.rules.posts[application.post].name,
            "certificate_number": application.certificate_number,
            "images": tuple(map(image_reference, self.images[application.id])),
            "added_at": application.added_at,
            "submitted_at": application.submitted_at,
            "reason_code": application.reason.code,
            "comment": application.reason.comment,
        }

    def _person(self, application: Application, at: datetime) -> contract.PersonBlock:
        person = application.person
        return contract.PersonBlock(
            name=person.name,
            id_number=self._container.cipher.decrypt(person.id_number, ID_NUMBER),
            sex=person.sex,
            birth_date=person.birth_date,
            held=tuple(
                contract.HeldCertificate(
                    post=certificate.post,
                    post_name=self.rules.posts[certificate.post].name,
                    certificate_number=self._shown(certificate),
                    valid_until=certificate.valid_until,
                )
                for certificate in self.holdings.valid(person.id, business_day(at))
            ),
        )

    def replaced_number(self, application: Application) -> str | None:
        """The number of the certificate that one for `application` takes the place of, as it is shown."""
        return next((self._shown(certificate) for certificate in self.holdings.replaceable(application)), None)

    def _shown(self, certificate: HeldCertificate) -> str:
        return certificate.shown_number(self._container.cipher)


def image_reference(image: Image | Picture) -> contract.ImageReference:
    return contract.ImageReference(kind=image.kind, sha256=image.sha256, width=image.width, height=image.height)


def record(
    session: AsyncSession, application: Application, action: str, actor: str, at: datetime, comment: str | None = None
) -> None:
    """Number a change of the application and write it into its history, with the commit."""
    application.change_no += 1
    application.updated_at = at
    reason = application.reason
    change = queries.NewChange(
        application.id,
        application.change_no,
        at,
        action,
        actor,
        application.status,
        application.revision,
        application.decision_no,
        reason.code,
        reason.label,
        reason.field,
        comment or reason.comment,
        application.certificate_number,
    )
    queries.HISTORY.write_at_commit(session, [change])


def wrong_state(status: Status) -> WrongState:
    return WrongState(f"该申请当前为“{LABELS[status]}”，不允许此操作", application_status=status.value)
