"""What an enterprise does with an application: draft, change, submit, cancel, read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import anyio.to_thread
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.renewal import queries
from services.renewal.audit import AuditAction
from services.renewal.container import RenewalContainer
from services.renewal.domain import (
    EDITABLE,
    IMAGE_KINDS,
    IMAGE_LABELS,
    Action,
    DecisionReason,
    Ineligibility,
    Post,
    Status,
    application_number,
    next_status,
    repeated_images,
)
from services.renewal.errors import ApplicationNotFound, DuplicateImage, ImagesMissing, NotEligible, StaleRevision
from services.renewal.letter import LetterFields, render_letter
from services.renewal.lifecycle import ENTERPRISE, Applications, record, wrong_state
from services.renewal.models import ID_NUMBER, Application, Change, Image, Picture
from services.renewal.rules import Rules
from services.renewal.schemas import ApplicationChange, ApplicationDraft, ApplicationSearch
from services.renewal.service.eligibility import Eligibility, check_application, get_person
from shared.audit import trail
from shared.auth.tokens import Principal
from shared.persistence.db import violates
from shared.values.clock import business_day
from shared.web.door import aside
from shared.web.pagination import PageRequest, split_page

# What the row locks cannot see: a writer outside these locks.
EXCLUSIVE = ("uq_applications_live_post", "ex_applications_constructor_and_quality")


@dataclass(frozen=True)
class Overview:
    """An application with what is shown beside it: the posts by code, and its present pictures."""

    application: Application
    posts: dict[str, Post]
    images: Sequence[Image | Picture]


@dataclass(frozen=True)
class Dossier(Overview):
    """`corrected` tells whether the part that a rejection is about is another than was submitted; None without one."""

    corrected: bool | None
    history: Sequence[Change]


async def create_application(
    container: RenewalContainer, session: AsyncSession, principal: Principal, draft: ApplicationDraft
) -> Overview:
    """Begin a draft. Raises IdNumberInvalid, PersonNotFound, UnknownPost."""
    person, _ = await get_person(container, session, draft.id_number)
    rules = await Rules.load(session)
    post = rules.post(draft.post)
    await queries.ensure_enterprise(session, principal.subject, principal.name)
    now = container.clock.now()
    application = Application(
        id=uuid4(),
        enterprise_id=principal.subject,
        person_id=person.id,
        post=post.code,
        post_family=post.family,
        status=Status.draft,
        revision=0,
        decision_no=0,
        change_no=0,
        reason=DecisionReason(),
        added_at=now,
        updated_at=now,
    )
    session.add(application)
    record(session, application, "create", ENTERPRISE, now)
    await session.flush()
    created = await get_application(session, application.id, principal.subject)
    return Overview(created, rules.posts, [])


async def get_application(session: AsyncSession, application_id: UUID, enterprise_id: UUID | None) -> Application:
    """Raises ApplicationNotFound; `enterprise_id` None is a reviewer, who sees all that were submitted."""
    application = await queries.find_application(session, application_id, enterprise_id)
    if application is None or (enterprise_id is None and application.revision == 0):
        raise ApplicationNotFound
    return application


async def list_posts(session: AsyncSession) -> Iterable[Post]:
    return (await queries.posts(session)).values()


async def list_applications(
    session: AsyncSession, search: ApplicationSearch, page: PageRequest
) -> tuple[list[Overview], str | None]:
    """A page of an enterprise's applications, newest first, and the cursor of the next one."""
    rows = await queries.search_applications(session, search, page)
    kept, next_cursor = split_page(rows, page, lambda row: (row.added_at, row.id))
    images = await queries.current_images(session, [row.id for row in kept])
    posts = await queries.posts(session)
    return [Overview(row, posts, images[row.id]) for row in kept], next_cursor


async def read_application(session: AsyncSession, application_id: UUID, enterprise_id: UUID) -> Dossier:
    """Raises ApplicationNotFound."""
    application = await get_application(session, application_id, enterprise_id)
    images = (await queries.current_images(session, [application.id]))[application.id]
    return Dossier(
        application,
        await queries.posts(session),
        images,
        await _is_corrected(session, application, images),
        await queries.history(session, application.id),
    )


async def _is_corrected(session: AsyncSession, application: Application, images: Sequence[Image]) -> bool | None:
    part = application.reason.field
    if application.status != Status.rejected or part is None:
        return None
    submission = await queries.submission(session, application.id, application.revision)
    submitted: dict[str, str] = {"post": submission.post, **submission.images}
    present: dict[str, str] = {"post": application.post, **{image.kind: str(image.id) for image in images}}
    return present.get(part) != submitted[part] if part in submitted else None


async def read_eligibility(
    container: RenewalContainer, session: AsyncSession, application_id: UUID, enterprise_id: UUID
) -> Eligibility:
    """Raises ApplicationNotFound."""
    return await check_application(container, session, await get_application(session, application_id, enterprise_id))


async def change_application(
    container: RenewalContainer,
    session: AsyncSession,
    enterprise_id: UUID,
    application_id: UUID,
    change: ApplicationChange,
) -> Overview:
    """Change the post of a draft or rejected application.

    Raises ApplicationNotFound, StaleRevision, WrongState, UnknownPost.
    """
    application = await lock_editable(session, enterprise_id, application_id, change.revision)
    rules = await Rules.load(session)
    post = rules.post(change.post)
    if post.code != application.post:
        application.post, application.post_family = post.code, post.family
        record(session, application, "change_post", ENTERPRISE, container.clock.now())
    images = await queries.current_images(session, [application.id])
    return Overview(application, rules.posts, images[application.id])


async def lock_editable(
    session: AsyncSession, enterprise_id: UUID, application_id: UUID, revision: int | None = None
) -> Application:
    """Raises ApplicationNotFound, StaleRevision, WrongState."""
    application = await queries.find_application(session, application_id, enterprise_id, lock=True)
    if application is None:
        raise ApplicationNotFound
    if revision is not None:
        _check_revision(application, revision)
    if application.status not in EDITABLE:
        raise wrong_state(application.status)
    return application


def _check_revision(application: Application, revision: int) -> None:
    """Raises StaleRevision."""
    if revision != application.revision:
        raise StaleRevision(revision=application.revision)


def _not_eligible(against: Sequence[Ineligibility]) -> NotEligible:
    members = [{"code": each.code, "rule": each.rule, "message": each.message} for each in against]
    return NotEligible("；".join(each.message for each in against), reasons=members)


async def submit_application(
    container: RenewalContainer, session: AsyncSession, enterprise_id: UUID, application_id: UUID, revision: int
) -> Overview:
    """Hand a draft or rejected application in for review.

    Raises ApplicationNotFound, StaleRevision, WrongState, ImagesMissing, DuplicateImage, NotEligible.
    """
    applications = await _load_own(container, session, enterprise_id, application_id)
    application, images = applications[application_id], applications.images[application_id]
    _check_revision(application, revision)
    if next_status(application.status, Action.submit) is None:
        raise wrong_state(application.status)
    missing = [kind for kind in IMAGE_KINDS if kind not in {image.kind for image in images}]
    if missing:
        raise ImagesMissing("请先上传：" + "、".join(IMAGE_LABELS[kind] for kind in missing), kinds=missing)
    if repeated := repeated_images({image.kind: image.pixel_sha256 for image in images}):
        labels = "、".join(f"“{IMAGE_LABELS[kind]}”" for kind in repeated)
        raise DuplicateImage(f"{labels}是同一张图片，请更换选错的照片后再提交", kinds=repeated)
    now = container.clock.now()
    if against := applications.ineligibilities(application, now, submitting=True):
        raise _not_eligible(against)
    applications.submit(application, now)
    try:
        await applications.save()
    except IntegrityError as error:
        if violates(error, *EXCLUSIVE):
            raise NotEligible(reasons=[]) from None
        raise
    return Overview(application, applications.rules.posts, images)


async def cancel_application(
    container: RenewalContainer, session: AsyncSession, enterprise_id: UUID, application_id: UUID, revision: int
) -> Overview:
    """Raises ApplicationNotFound, StaleRevision, WrongState."""
    applications = await _load_own(container, session, enterprise_id, application_id)
    application = applications[application_id]
    _check_revision(application, revision)
    applications.cancel(application, container.clock.now())
    return Overview(application, applications.rules.posts, applications.images[application_id])


async def _load_own(
    container: RenewalContainer, session: AsyncSession, enterprise_id: UUID, application_id: UUID
) -> Applications:
    """The enterprise's application under its person's lock and its own. Raises ApplicationNotFound."""
    applications = await Applications.load_own(container, session, application_id, enterprise_id)
    if application_id not in applications.rows:
        raise ApplicationNotFound
    return applications


async def commitment_letter(
    container: RenewalContainer, principal: Principal, application_id: UUID
) -> tuple[str, bytes]:
    """File name and .docx of the 承诺书. It shows the full id number, so the audit trail records it, once a day.

    Raises ApplicationNotFound; Unavailable and TooMany where too many letters are being made.
    """
    async with container.letters.enter(owner=principal.subject), aside():
        async with container.database.transaction() as session:
            fields = await _letter_fields(container, session, principal.subject, application_id)
            entry = trail.row(container.clock.now(), principal, AuditAction.letter_issued, application_id, {})
            await trail.add_once(session, entry, fields.date.isoformat())
        # Neither a lock nor a connection is held while it is made.
        data = await anyio.to_thread.run_sync(render_letter, fields)
    return f"承诺书-{fields.application_number}.docx", data


async def _letter_fields(
    container: RenewalContainer, session: AsyncSession, enterprise_id: UUID, application_id: UUID
) -> LetterFields:
    application = await get_application(session, application_id, enterprise_id)
    posts = await queries.posts(session)
    return LetterFields(
        application_number=application_number(application.sequence),
        person_name=application.person.name,
        id_number=container.cipher.decrypt(application.person.id_number, ID_NUMBER),
        post_name=posts[application.post].name,
        enterprise_name=application.enterprise.name,
        date=business_day(container.clock.now()),
    )
