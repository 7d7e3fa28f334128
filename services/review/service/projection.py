"""The desk's picture of applications: what `renewal` says becomes items, revisions and the answers to decisions.

A use case takes a batch, and writes the states, what was submitted and what became of decisions each in one statement.
All of them keep the highest change_no or the first answer, so order and repetition make no difference.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.models import (
    PERSON_AT_REST,
    DecisionOutcome,
    ItemState,
    NumberingFailure,
    RefusedDecision,
    SubmittedRevision,
)
from shared.contracts.renewal import (
    PERSON_BLOCK,
    ApplicationState,
    DecisionAnswer,
    PersonBlock,
    RenewalApprovalWithdrawn,
    RenewalApproved,
    RenewalDecisionRefused,
    RenewalNumberingFailed,
    RenewalRejected,
    RenewalSnapshot,
    RenewalSubmitted,
)
from shared.messaging import Received
from shared.runtime.container import Container

State = TypeVar("State", bound=ApplicationState)
Acceptance = TypeVar("Acceptance", bound=RenewalApproved | RenewalRejected | RenewalApprovalWithdrawn)


async def keep_states(container: Container, session: AsyncSession, batch: Sequence[Received[State]]) -> None:
    """Show each application in its newest state. Raises DecryptionFailed, like all that follow."""
    await queries.put_states(session, [_item_state(container, event) for event in _newest(batch)])


async def keep_submissions(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalSubmitted]]
) -> None:
    """Keep what each revision consisted of."""
    await keep_states(container, session, batch)
    revisions = {(received.event.application_id, received.event.revision): _revision(received) for received in batch}
    await queries.put_revisions(session, [revision for _, revision in sorted(revisions.items())])


async def keep_acceptances(container: Container, session: AsyncSession, batch: Sequence[Received[Acceptance]]) -> None:
    """Note that `renewal` did what a decision asked for. A withdrawal of its own answers no decision."""
    await keep_states(container, session, batch)
    await queries.put_outcomes(session, [_acceptance(received) for received in batch])


async def keep_refusals(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalDecisionRefused]]
) -> None:
    """Note why `renewal` did not do what a decision asked for, with the decision and with the item."""
    await keep_states(container, session, batch)
    await queries.put_outcomes(session, [_refusal(received) for received in batch])
    in_order = sorted((received.event for received in batch), key=lambda event: (event.change_no, event.decision_id))
    newest = {event.application_id: _refused_decision(event) for event in in_order}
    await queries.put_refusals(session, list(newest.values()))


async def keep_numbering_failures(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalNumberingFailed]]
) -> None:
    """Note which approvals could not be numbered."""
    await keep_states(container, session, batch)
    await queries.put_numbering_failures(session, [_numbering_failure(event) for event in _newest(batch)])


async def keep_snapshots(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalSnapshot]]
) -> None:
    """Make up for all events of each application that did not come."""
    await keep_states(container, session, batch)
    events = _newest(batch)
    revisions = [
        SubmittedRevision(
            application_id=event.application_id,
            revision=submitted.revision,
            submitted_at=submitted.submitted_at,
            post=submitted.post,
            post_name=submitted.post_name,
            images=[image.model_dump() for image in submitted.images],
        )
        for event in events
        for submitted in event.submissions
    ]
    if revisions:
        await queries.put_revisions(session, revisions)
    answers = [(event.application_id, answer) for event in events for answer in event.answers]
    if answers:
        await queries.put_outcomes(session, [_outcome(answer) for _, answer in answers])
    refused = [(key, answer) for key, answer in answers if not answer.accepted]
    in_order = sorted(refused, key=lambda pair: (pair[1].change_no, pair[1].decision_id))
    newest = {key: _refused_answer(key, answer) for key, answer in in_order}
    if newest:
        await queries.put_refusals(session, list(newest.values()))
    failures = [
        NumberingFailure(
            application_id=event.application_id,
            numbering_change_no=event.numbering_failure.change_no,
            numbering_decision_no=event.decision_no,
            numbering_code="numbering_failed",
            numbering_detail=event.numbering_failure.detail,
        )
        for event in events
        if event.numbering_failure is not None
    ]
    if failures:
        await queries.put_numbering_failures(session, failures)


def _outcome(answer: DecisionAnswer) -> DecisionOutcome:
    return DecisionOutcome(
        id=answer.decision_id,
        outcome="accepted" if answer.accepted else "refused",
        outcome_code=answer.code,
        outcome_detail=answer.detail,
        outcome_at=answer.answered_at,
    )


def _refused_answer(application_id: UUID, answer: DecisionAnswer) -> RefusedDecision:
    return RefusedDecision(
        application_id=application_id,
        refusal_change_no=answer.change_no,
        refusal_decision=answer.decision_id,
        refusal_code=answer.code or "",
        refusal_detail=answer.detail or "",
    )


def _newest(batch: Iterable[Received[State]]) -> list[State]:
    """Keep the event of the highest change_no of each application, in the order in which rows are locked."""
    newest: dict[UUID, State] = {}
    for received in batch:
        event = received.event
        known = newest.get(event.application_id)
        if known is None or event.change_no > known.change_no:
            newest[event.application_id] = event
    # By the number, because ids compare themselves much more slowly.
    return [newest[key] for key in sorted(newest, key=attrgetter("int"))]


def _item_state(container: Container, event: ApplicationState) -> ItemState:
    block = container.cipher.open(event.person, PERSON_BLOCK, PersonBlock)
    # An ItemPerson: all of the block but the name.
    person = block.model_dump_json(exclude={"name"})
    return ItemState(
        application_id=event.application_id,
        change_no=event.change_no,
        revision=event.revision,
        decision_no=event.decision_no,
        application_number=event.application_number,
        status=event.status,
        name=block.name,
        person=container.cipher.encrypt(person, PERSON_AT_REST),
        id_number_index=event.person_index,
        enterprise_id=event.enterprise_id,
        enterprise_name=event.enterprise_name,
        post=event.post,
        post_name=event.post_name,
        certificate_number=event.certificate_number,
        images=[image.model_dump() for image in event.images],
        added_at=event.added_at,
        submitted_at=event.submitted_at,
        reason_code=event.reason_code,
        comment=event.comment,
    )


def _revision(received: Received[RenewalSubmitted]) -> SubmittedRevision:
    event = received.event
    return SubmittedRevision(
        application_id=event.application_id,
        revision=event.revision,
        submitted_at=event.submitted_at or received.time,
        post=event.post,
        post_name=event.post_name,
        images=[image.model_dump() for image in event.images],
    )


def _acceptance(received: Received[Acceptance]) -> DecisionOutcome:
    return DecisionOutcome(
        id=received.event.decision_id,
        outcome="accepted",
        outcome_code=None,
        outcome_detail=None,
        outcome_at=received.time,
    )


def _refusal(received: Received[RenewalDecisionRefused]) -> DecisionOutcome:
    return DecisionOutcome(
        id=received.event.decision_id,
        outcome="refused",
        outcome_code=received.event.code,
        outcome_detail=received.event.detail,
        outcome_at=received.time,
    )


def _refused_decision(event: RenewalDecisionRefused) -> RefusedDecision:
    return RefusedDecision(
        application_id=event.application_id,
        refusal_change_no=event.change_no,
        refusal_decision=event.decision_id,
        refusal_code=event.code,
        refusal_detail=event.detail,
    )


def _numbering_failure(event: RenewalNumberingFailed) -> NumberingFailure:
    return NumberingFailure(
        application_id=event.application_id,
        numbering_change_no=event.change_no,
        numbering_decision_no=event.decision_no,
        numbering_code=event.code,
        numbering_detail=event.detail,
    )
