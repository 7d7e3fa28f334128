"""What an enterprise does with an application: draft, change, submit, cancel, read."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.container import RenewalContainer
from services.renewal.domain import (
    EDITABLE,
    IMAGE_KINDS,
    IMAGE_LABELS,
    LABELS,
    Action,
    Reason,
    Status,
    application_number,
    next_status,
)
from services.renewal.errors import ApplicationNotFound, ImagesMissing, NotEligible, StaleRevision, WrongState
from services.renewal.letter import LetterFields, render_letter
from services.renewal.models import Application, HistoryRow, ImageRow, SubmissionRow
from services.renewal.service.changes import ID_NUMBER, record, state
from services.renewal.service.eligibility import Rules, get_person, get_post
from shared.auth.tokens import Principal
from shared.contracts.renewal import RenewalCancelled, RenewalSubmitted
from shared.values.clock import business_day

ENTERPRISE = "enterprise"


async def create_application(
    container: RenewalContainer, session: AsyncSession, principal: Principal, id_number: str, post: str
) -> Application:
    """A draft. Raises IdNumberInvalid, PersonNotFound, UnknownPost."""
    person, _ = await get_person(container, session, id_number)
    chosen = get_post(await queries.posts(session), post)
    await queries.ensure_enterprise(session, principal.subject, principal.name)
    now = container.clock.now()
    application = Application(
        id=uuid4(),
        enterprise_id=principal.subject,
        person_id=person.id,
        post=chosen.code,
        post_family=chosen.family,
        status=Status.draft,
        revision=0,
        decision_no=0,
        change_no=0,
        added_at=now,
        updated_at=now,
    )
    session.add(application)
    record(session, application, "create", ENTERPRISE, now)
    await session.flush()
    return await get_application(session, application.id, principal.subject)


async def get_application(session: AsyncSession, application_id: UUID, enterprise_id: UUID | None) -> Application:
    """Raises ApplicationNotFound; `enterprise_id` None is a reviewer, who sees all that were submitted."""
    application = await queries.find_application(session, application_id, enterprise_id)
    if application is None or (enterprise_id is None and application.revision == 0):
        raise ApplicationNotFound
    return application


async def read_application(
    session: AsyncSession, application_id: UUID, enterprise_id: UUID
) -> tuple[Application, list[ImageRow], Sequence[HistoryRow]]:
    """Raises ApplicationNotFound."""
    application = await get_application(session, application_id, enterprise_id)
    images = await queries.current_images(session, [application.id])
    return application, images[application.id], await queries.history(session, application.id)


async def is_corrected(session: AsyncSession, application: Application, images: Sequence[ImageRow]) -> bool | None:
    """Whether the part that a rejection is about is another than was submitted; None without such a part."""
    if application.status != Status.rejected or application.reason_field is None:
        return None
    submission = await queries.submission(session, application.id, application.revision)
    submitted = {"post": submission.post, **submission.images}
    present = {"post": application.post, **{row.kind: str(row.id) for row in images}}
    part = application.reason_field
    return present.get(part) != submitted[part] if part in submitted else None


async def change_application(
    container: RenewalContainer,
    session: AsyncSession,
    enterprise_id: UUID,
    application_id: UUID,
    post: str,
    revision: int | None,
) -> Application:
    """Change the post of a draft or rejected application.

    Raises ApplicationNotFound, StaleRevision, WrongState, UnknownPost.
    """
    application = await lock_editable(session, enterprise_id, application_id, revision)
    chosen = get_post(await queries.posts(session), post)
    if chosen.code != application.post:
        application.post, application.post_family = chosen.code, chosen.family
        record(session, application, "change_post", ENTERPRISE, container.clock.now())
    return application


async def lock_editable(
    session: AsyncSession, enterprise_id: UUID, application_id: UUID, revision: int | None = None
) -> Application:
    """Raises ApplicationNotFound, StaleRevision, WrongState."""
    application = await queries.find_application(session, application_id, enterprise_id, lock=True)
    if application is None:
        raise ApplicationNotFound
    check_revision(application, revision)
    if application.status not in EDITABLE:
        raise wrong_state(application)
    return application


def check_revision(application: Application, revision: int | None) -> None:
    """Raises StaleRevision."""
    if revision is not None and revision != application.revision:
        raise StaleRevision(revision=application.revision)


def wrong_state(application: Application) -> WrongState:
    label = LABELS[application.status]
    return WrongState(f"该申请当前为“{label}”，不允许此操作", application_status=application.status.value)


def not_eligible(reasons: Sequence[Reason]) -> NotEligible:
    members = [{"code": reason.code, "rule": reason.rule, "message": reason.message} for reason in reasons]
    return NotEligible("；".join(reason.message for reason in reasons), reasons=members)


async def submit_application(
    container: RenewalContainer, session: AsyncSession, enterprise_id: UUID, application_id: UUID, revision: int
) -> Application:
    """Draft or rejected -> pending_review.

    Raises ApplicationNotFound, StaleRevision, WrongState, ImagesMissing, NotEligible.
    """
    application = await _lock_own(session, enterprise_id, application_id)
    check_revision(application, revision)
    following = next_status(application.status, Action.submit)
    if following is None:
        raise wrong_state(application)
    images = (await queries.current_images(session, [application.id]))[application.id]
    missing = [kind for kind in IMAGE_KINDS if kind not in {row.kind for row in images}]
    if missing:
        raise ImagesMissing("请先上传：" + "、".join(IMAGE_LABELS[kind] for kind in missing), kinds=missing)
    rules = await Rules.load(session)
    now = container.clock.now()
    holdings = await queries.holdings(session, [application.person_id], [application])
    standing = holdings.standing(application.person, rules.posts, business_day(now), but=application)
    application.submitted_at = now
    reasons = rules.judge(standing, application)
    if reasons:
        raise not_eligible(reasons)
    application.status = following
    application.revision += 1
    application.reason_code = application.reason_label = application.reason_field = application.comment = None
    record(session, application, "submit", ENTERPRISE, now)
    session.add(
        SubmissionRow(
            application_id=application.id,
            revision=application.revision,
            post=application.post,
            images={row.kind: str(row.id) for row in images},
            submitted_at=now,
        )
    )
    held = holdings.valid(application.person_id, business_day(now))
    container.outbox.add(session, RenewalSubmitted(**state(container, application, rules.posts, images, held)), now)
    try:
        await session.flush()
    except IntegrityError:
        # The constraints refuse what a writer outside these locks may have done in the meantime.
        raise NotEligible(reasons=[]) from None
    return application


async def cancel_application(
    container: RenewalContainer, session: AsyncSession, enterprise_id: UUID, application_id: UUID, revision: int
) -> Application:
    """Raises ApplicationNotFound, StaleRevision, WrongState."""
    application = await _lock_own(session, enterprise_id, application_id)
    check_revision(application, revision)
    following = next_status(application.status, Action.cancel)
    if following is None:
        raise wrong_state(application)
    now = container.clock.now()
    application.status = following
    record(session, application, "cancel", ENTERPRISE, now)
    if application.revision > 0:
        images = (await queries.current_images(session, [application.id]))[application.id]
        posts = await queries.posts(session)
        holdings = await queries.holdings(session, [application.person_id])
        held = holdings.valid(application.person_id, business_day(now))
        container.outbox.add(session, RenewalCancelled(**state(container, application, posts, images, held)), now)
    return application


async def _lock_own(session: AsyncSession, enterprise_id: UUID, application_id: UUID) -> Application:
    """Own application under its person's lock and its own. Raises ApplicationNotFound."""
    if await queries.find_application(session, application_id, enterprise_id) is None:
        raise ApplicationNotFound
    return (await queries.lock_applications(session, [application_id]))[application_id]


async def commitment_letter(
    container: RenewalContainer, session: AsyncSession, enterprise_id: UUID, application_id: UUID
) -> tuple[str, bytes]:
    """File name and .docx of the 承诺书. It shows the full id number, so the history records it."""
    application = await queries.find_application(session, application_id, enterprise_id, lock=True)
    if application is None:
        raise ApplicationNotFound
    posts = await queries.posts(session)
    number = application_number(application.sequence)
    fields = LetterFields(
        application_number=number,
        person_name=application.person.name,
        id_number=container.cipher.decrypt(application.person.id_number, ID_NUMBER),
        post_name=posts[application.post].name,
        enterprise_name=application.enterprise.name,
        date=business_day(container.clock.now()),
    )
    record(session, application, "letter_issued", ENTERPRISE, container.clock.now())
    return f"承诺书-{number}.docx", await asyncio.to_thread(render_letter, fields)
