"""What others have not heard of applications, or renewal of enterprises: found out, and mended."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.domain import ANNOUNCED, Action, Status
from services.renewal.lifecycle import Applications, image_reference
from services.renewal.models import Answer, Application, Change, Image, Submission
from shared.contracts import renewal as contract
from shared.contracts.enterprise import EnterprisesDigest
from shared.contracts.resync import ResyncRequested
from shared.contracts.topology import CERTNUMBER_RESYNC, REVIEW_RESYNC
from shared.messaging import Queue
from shared.runtime import resync

REMINDED = 200
# Of each kind, the last ones: an event has a limit, and nobody resubmits so often.
TOLD = 100


async def tell_digests(container: RenewalContainer, session: AsyncSession) -> None:
    """Say which applications there are, and how far each has come, for others to compare."""
    await resync.tell(container, session, queries.application_versions(), contract.ApplicationsDigest)
    await resync.tell(container, session, queries.approval_versions(), contract.ApprovalsDigest)


async def ask_for_enterprises(container: RenewalContainer, session: AsyncSession, digest: EnterprisesDigest) -> None:
    versions = queries.enterprise_versions()
    await resync.ask(container, session, versions, digest, contract.EnterprisesResyncRequested)


async def tell_review(container: RenewalContainer, session: AsyncSession, request: ResyncRequested) -> None:
    """Give the desk what it lacks."""
    ids = await resync.lacking(container, session, queries.application_versions(), request)
    await say_again(container, session, ids, REVIEW_RESYNC)


async def tell_certnumber(container: RenewalContainer, session: AsyncSession, request: ResyncRequested) -> None:
    """Give the numbering the approvals and withdrawals that it lacks."""
    ids = await resync.lacking(container, session, queries.approval_versions(), request)
    await say_again(container, session, ids, CERTNUMBER_RESYNC)


class Reminder:
    """Asks certnumber again for numbers that do not come, so many at a time, one after the other."""

    def __init__(self, container: RenewalContainer) -> None:
        self._container = container
        self._after: UUID | None = None

    async def remind(self, session: AsyncSession) -> None:
        before = resync.settled(self._container)
        ids = await queries.waiting_approvals(session, before, self._after, REMINDED)
        self._after = ids[-1] if len(ids) == REMINDED else None
        await say_again(self._container, session, ids, CERTNUMBER_RESYNC)


async def say_again(container: RenewalContainer, session: AsyncSession, ids: Collection[UUID], to: Queue) -> None:
    """Tell one service everything that events have told of these applications."""
    if not ids:
        return
    applications = await Applications.load(container, session, ids)
    submissions = await queries.submissions_of(session, ids)
    histories = await queries.histories_of(session, ids)
    answers = await queries.answers_of(session, ids)
    wanted = {UUID(image) for rows in submissions.values() for row in rows for image in row.images.values()}
    images = await queries.images_by_id(session, wanted)
    now = container.clock.now()
    snapshots = [
        _snapshot(applications, row, submissions[key], histories[key], answers[key], images, now)
        for key, row in applications.rows.items()
    ]
    container.outbox.add(session, snapshots, now, to=to)


def _snapshot(
    applications: Applications,
    row: Application,
    submissions: Iterable[Submission],
    history: list[Change],
    answers: list[Answer],
    images: Mapping[UUID, Image],
    now: datetime,
) -> contract.RenewalSnapshot:
    submitted = [
        contract.SubmittedRevision(
            revision=each.revision,
            submitted_at=each.submitted_at,
            post=each.post,
            post_name=applications.rules.posts[each.post].name,
            images=tuple(image_reference(images[UUID(image)]) for _, image in sorted(each.images.items())),
        )
        for each in submissions
    ]
    last = submitted[-1]
    state = applications.state(row, now) | {
        "change_no": max(each.change_no for each in history if each.action in ANNOUNCED),
        "post": last.post,
        "post_name": last.post_name,
        "images": last.images,
        "submissions": submitted[-TOLD:],
        "answers": [_answer(each) for each in answers[-TOLD:]],
        "approvals": _approvals(applications, row, history)[-TOLD:],
        "numbering_failure": _failure(row, history),
    }
    return contract.RenewalSnapshot.model_validate(state, extra="forbid")


def _answer(answer: Answer) -> contract.DecisionAnswer:
    return contract.DecisionAnswer(
        decision_id=answer.decision_id,
        accepted=answer.code is None,
        code=answer.code,
        detail=answer.detail,
        answered_at=answer.at,
        change_no=answer.change_no,
    )


def _approvals(
    applications: Applications, row: Application, history: Iterable[Change]
) -> list[contract.ApprovalRecord]:
    records: list[contract.ApprovalRecord] = []
    for change in history:
        if change.action == Action.approve:
            records.append(
                contract.ApprovalRecord(
                    decision_no=change.decision_no,
                    previous_approval=records[-1].decision_no if records else None,
                    approved_at=change.at,
                    replaces=None,
                    withdrawn_at=None,
                    reason_code=None,
                    comment=None,
                )
            )
        elif change.action == Action.withdraw:
            records[-1] = records[-1].model_copy(
                update={
                    "withdrawn_at": change.at,
                    "reason_code": change.reason.code,
                    "comment": change.reason.comment,
                }
            )
    if row.status is Status.approved:
        records[-1] = records[-1].model_copy(update={"replaces": applications.replaced_number(row)})
    return records


def _failure(row: Application, history: Iterable[Change]) -> contract.NumberingFailureRecord | None:
    if row.numbering_failure is None:
        return None
    change_no = max(each.change_no for each in history if each.action == "numbering_failed")
    return contract.NumberingFailureRecord(change_no=change_no, detail=row.numbering_failure)
