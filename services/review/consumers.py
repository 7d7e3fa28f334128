"""What renewal says becomes the desk's projection and the answers to decisions.

Every handler takes a batch, and writes the state, what was submitted and what became of decisions each in one
statement. All of them keep the highest change_no or the first answer, so order and repetition make no difference.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.review import queries
from services.review.models import PERSON_AT_REST, ItemPerson
from shared.contracts.renewal import (
    PERSON_BLOCK,
    ApplicationState,
    PersonBlock,
    RenewalApprovalWithdrawn,
    RenewalApproved,
    RenewalCancelled,
    RenewalCertified,
    RenewalDecisionRefused,
    RenewalNumberingFailed,
    RenewalRejected,
    RenewalSubmitted,
)
from shared.contracts.topology import REVIEW_APPLICATIONS
from shared.messaging import Received, Subscription
from shared.runtime.container import Container

Accepted = RenewalApproved | RenewalRejected | RenewalApprovalWithdrawn


async def take_state(container: Container, session: AsyncSession, batch: Sequence[Received[Any]]) -> None:
    newest = _newest(received.event for received in batch)
    await queries.put_states(session, [_item(container, event) for event in newest])


async def take_submission(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalSubmitted]]
) -> None:
    await take_state(container, session, batch)
    revisions = {
        (received.event.application_id, received.event.revision): {
            "application_id": received.event.application_id,
            "revision": received.event.revision,
            "submitted_at": received.event.submitted_at or received.time,
            "post": received.event.post,
            "post_name": received.event.post_name,
            "images": [image.model_dump() for image in received.event.images],
        }
        for received in batch
    }
    await queries.put_revisions(session, [row for _, row in sorted(revisions.items())])


async def take_acceptance(container: Container, session: AsyncSession, batch: Sequence[Received[Accepted]]) -> None:
    await take_state(container, session, batch)
    await queries.put_outcomes(session, [_outcome(received, "accepted") for received in batch])


async def take_refusal(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalDecisionRefused]]
) -> None:
    await take_state(container, session, batch)
    await queries.put_outcomes(
        session,
        [_outcome(received, "refused", received.event.code, received.event.detail) for received in batch],
    )
    refusals = {
        event.application_id: {
            "application_id": event.application_id,
            "refusal_change_no": event.change_no,
            "refusal_decision": event.decision_id,
            "refusal_code": event.code,
            "refusal_detail": event.detail,
        }
        for event in sorted(
            (received.event for received in batch), key=lambda event: (event.change_no, event.decision_id)
        )
    }
    await queries.put_refusals(session, list(refusals.values()))


async def take_numbering_failure(
    container: Container, session: AsyncSession, batch: Sequence[Received[RenewalNumberingFailed]]
) -> None:
    await take_state(container, session, batch)
    failures = [
        {
            "application_id": event.application_id,
            "numbering_change_no": event.change_no,
            "numbering_decision_no": event.decision_no,
            "numbering_code": event.code,
            "numbering_detail": event.detail,
        }
        for event in _newest(received.event for received in batch)
    ]
    await queries.put_numbering_failures(session, failures)


def _newest(events: Iterable[Any]) -> list[Any]:
    """The event of the highest change_no of each application, in the order in which rows are locked."""
    newest: dict[UUID, ApplicationState] = {}
    for event in events:
        known = newest.get(event.application_id)
        if known is None or event.change_no > known.change_no:
            newest[event.application_id] = event
    return [event for _, event in sorted(newest.items())]


def _item(container: Container, event: ApplicationState) -> dict[str, Any]:
    block = container.cipher.open(event.person, PERSON_BLOCK, PersonBlock)
    person = ItemPerson(id_number=block.id_number, sex=block.sex, birth_date=block.birth_date, held=block.held)
    return {
        "application_id": event.application_id,
        "change_no": event.change_no,
        "revision": event.revision,
        "decision_no": event.decision_no,
        "application_number": event.application_number,
        "status": event.status,
        "name": block.name,
        "person": container.cipher.seal(person, PERSON_AT_REST),
        "id_number_index": event.person_index,
        "enterprise_id": event.enterprise_id,
        "enterprise_name": event.enterprise_name,
        "post": event.post,
        "post_name": event.post_name,
        "certificate_number": event.certificate_number,
        "images": [image.model_dump() for image in event.images],
        "added_at": event.added_at,
        "submitted_at": event.submitted_at,
        "reason_code": event.reason_code,
        "comment": event.comment,
    }


def _outcome(
    received: Received[Any], outcome: str, code: str | None = None, detail: str | None = None
) -> dict[str, Any]:
    return {
        "id": received.event.decision_id,
        "outcome": outcome,
        "outcome_code": code,
        "outcome_detail": detail,
        "outcome_at": received.time,
    }


SUBSCRIPTIONS = (
    Subscription(
        REVIEW_APPLICATIONS,
        {
            RenewalSubmitted: take_submission,
            RenewalApproved: take_acceptance,
            RenewalRejected: take_acceptance,
            RenewalApprovalWithdrawn: take_acceptance,
            RenewalCertified: take_state,
            RenewalCancelled: take_state,
            RenewalDecisionRefused: take_refusal,
            RenewalNumberingFailed: take_numbering_failure,
        },
    ),
)
