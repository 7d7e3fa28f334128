"""All SQL of renewal but that of one application (single.py), the registry's (registry/queries.py) and the pictures'
(pictures/queries.py)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import starmap
from operator import eq, ge, le
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager
from sqlalchemy.sql.operators import in_op

from services.renewal import models
from services.renewal.domain import ANNOUNCED, Action, AgeLimit, Post, Status
from services.renewal.models import (
    IS_LIVE,
    Answer,
    Application,
    Change,
    Enterprise,
    HeldCertificate,
    Image,
    Person,
    Picture,
    Submission,
)
from services.renewal.schemas import ApplicationSearch, AuditSearch
from shared.persistence.bulk import BulkInsert, BulkUpdate
from shared.persistence.db import among
from shared.persistence.search import contains, contains_by_index
from shared.web.pagination import PageRequest, apply_filters, keyset

R = TypeVar("R", Image, Submission, Change, Answer)


async def posts(session: AsyncSession) -> dict[str, Post]:
    """All posts by code."""
    row = models.Post
    rows = await session.execute(sa.select(row.code, row.name, row.family, row.validity_years).order_by(row.code))
    return {post.code: post for post in starmap(Post, rows)}


async def age_limits(session: AsyncSession) -> list[AgeLimit]:
    row = models.AgeLimit
    return [AgeLimit(*limit) for limit in await session.execute(sa.select(row.sex, row.effective_from, row.months))]


async def find_person(session: AsyncSession, id_number_index: str) -> Person | None:
    return await session.scalar(sa.select(Person).where(Person.id_number_index == id_number_index))


async def ensure_enterprise(session: AsyncSession, enterprise_id: UUID, name: str) -> None:
    """Known at least by the name in its token, before (or without) its event."""
    statement = insert(Enterprise).values(id=enterprise_id, name=name, revision=0)
    await session.execute(statement.on_conflict_do_nothing())


async def upsert_enterprises(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Rows {id, name, revision}, one per id; an older revision never replaces a newer one."""
    statement = insert(Enterprise).values(list(rows))
    newer = {"name": statement.excluded.name, "revision": statement.excluded.revision}
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[Enterprise.id],
            set_=newer,
            where=statement.excluded.revision > Enterprise.revision,
        )
    )


def with_person_and_enterprise() -> sa.Select[Application]:
    """Select applications with both, as they are now, whatever of them the session knows."""
    return (
        sa.select(Application)
        .join(Application.person)
        .join(Application.enterprise)
        .options(contains_eager(Application.person), contains_eager(Application.enterprise))
        .execution_options(populate_existing=True)
    )


async def find_application(
    session: AsyncSession, application_id: UUID, enterprise_id: UUID | None = None, *, lock: bool = False
) -> Application | None:
    """Find it with person and enterprise; another enterprise's application is not found. `lock` takes the row lock."""
    statement = with_person_and_enterprise().where(Application.id == application_id)
    if enterprise_id is not None:
        statement = statement.where(Application.enterprise_id == enterprise_id)
    if lock:
        statement = statement.with_for_update(of=Application)
    return await session.scalar(statement)


async def lock_applications(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, Application]:
    """Lock the persons of these applications, then the applications, each in order of id, as everyone does."""
    wanted = sorted(set(ids))
    these = among(Application.id, wanted)
    persons = sa.select(Application.person_id).where(these)
    await session.execute(sa.select(Person.id).where(Person.id.in_(persons)).order_by(Person.id).with_for_update())
    statement = with_person_and_enterprise().where(these).order_by(Application.id)
    rows = await session.scalars(statement.with_for_update(of=Application))
    return {row.id: row for row in rows}


async def certificates_of(session: AsyncSession, person_ids: Collection[UUID]) -> dict[UUID, list[HeldCertificate]]:
    """All certificates of each person, void ones too, in order of their numbers."""
    certificates: dict[UUID, list[HeldCertificate]] = defaultdict(list)
    statement = sa.select(HeldCertificate).where(among(HeldCertificate.person_id, person_ids))
    for certificate in await session.scalars(statement.order_by(HeldCertificate.certificate_number)):
        certificates[certificate.person_id].append(certificate)
    return certificates


async def live_posts_of(
    session: AsyncSession, person_ids: Collection[UUID], but: Collection[UUID]
) -> dict[UUID, list[str]]:
    """The posts of the live applications of each person, of whatever enterprise, but for the applications `but`."""
    found: dict[UUID, list[str]] = defaultdict(list)
    statement = sa.select(Application.person_id, Application.post).where(
        among(Application.person_id, person_ids), IS_LIVE, ~among(Application.id, but)
    )
    for person_id, post in await session.execute(statement):
        found[person_id].append(post)
    return found


async def search_applications(
    session: AsyncSession, search: ApplicationSearch, page: PageRequest
) -> Sequence[Application]:
    """One more than the page holds."""
    statement = apply_filters(
        with_person_and_enterprise(),
        (Application.enterprise_id, eq, search.enterprise_id),
        (Application.status, eq, search.status),
        (Person.name, contains, search.name),
        (Application.added_at, ge, search.added_from),
        (Application.added_at, le, search.added_to),
        (Application.id, in_op, search.application_ids),
    )
    return (await session.scalars(keyset(statement, page, Application.added_at, Application.id))).all()


def audited(search: AuditSearch) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """Select the ids of the applications an audit search is about, and of the people where it names no application."""
    index = search.id_number and search.id_number[0]
    person = ((Person.name, contains_by_index, search.name), (Person.id_number_index, eq, index))
    applications = sa.select(Application.id).join(Application.person).join(Application.enterprise)
    applications = apply_filters(
        applications,
        *person,
        (Application.sequence, eq, search.sequence),
        (Enterprise.name, contains, search.enterprise),
        (Application.enterprise_id, eq, search.enterprise_id),
    )
    if any(given is not None for given in (search.sequence, search.enterprise, search.enterprise_id)):
        return applications
    return applications.union_all(apply_filters(sa.select(Person.id), *person))


async def audited_applications(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, tuple[int, str, str]]:
    """Find sequence, person's name and enterprise of applications."""
    statement = sa.select(Application.id, Application.sequence, Person.name, Enterprise.name)
    statement = statement.join(Application.person).join(Application.enterprise).where(Application.id.in_(ids))
    return {row[0]: (row[1], row[2], row[3]) for row in await session.execute(statement)}


async def audited_people(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, str]:
    """Find the names of people."""
    return dict((await session.execute(sa.select(Person.id, Person.name).where(Person.id.in_(ids)))).all())


async def current_images(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, list[Image]]:
    """The present pictures of each application."""
    return await _by_application(session, Image, ids, Image.kind, Image.current)


async def pictures_of(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, list[Picture]]:
    """As `current_images`, for who only looks."""
    found: dict[UUID, list[Picture]] = defaultdict(list)
    statement = sa.select(Image.application_id, *(getattr(Image, name) for name in Picture._fields))
    for application_id, *picture in await session.execute(
        statement.where(among(Image.application_id, ids), Image.current).order_by(Image.kind)
    ):
        found[application_id].append(Picture(*picture))
    return found


async def submission(session: AsyncSession, application_id: UUID, revision: int) -> Submission:
    return await session.get_one(Submission, (application_id, revision))


async def history(session: AsyncSession, application_id: UUID) -> Sequence[Change]:
    """Oldest first."""
    statement = sa.select(Change).where(Change.application_id == application_id)
    return (await session.scalars(statement.order_by(Change.change_no))).all()


async def certificates_by_number(session: AsyncSession, numbers: Iterable[str]) -> dict[str, HeldCertificate]:
    statement = sa.select(HeldCertificate).where(among(HeldCertificate.certificate_number, set(numbers)))
    return {row.certificate_number: row for row in await session.scalars(statement)}


async def approved_posts(session: AsyncSession, approvals: Collection[tuple[UUID, int]]) -> dict[tuple[UUID, int], str]:
    """For each (application, decision_no of an approval) the post of the submission that was approved."""
    if not approvals:
        return {}
    approved = sa.tuple_(Change.application_id, Change.decision_no)
    statement = (
        sa.select(Change.application_id, Change.decision_no, Submission.post)
        .join(
            Submission,
            sa.and_(Submission.application_id == Change.application_id, Submission.revision == Change.revision),
        )
        .where(approved.in_(sorted(approvals)))
        .distinct()
    )
    return {(row[0], row[1]): row[2] for row in await session.execute(statement)}


# --- what is written of many applications at once


class NewChange(NamedTuple):
    """A row of Change."""

    application_id: UUID
    change_no: int
    at: datetime
    action: str
    actor: str
    status: Status
    revision: int
    decision_no: int
    reason_code: str | None
    reason_label: str | None
    reason_field: str | None
    comment: str | None
    certificate_number: str | None


HISTORY = BulkInsert(Change, NewChange._fields)
SUBMISSIONS = BulkInsert(Submission, ("application_id", "revision", "post", "images", "submitted_at"))
ANSWERS = BulkInsert(Answer, ("decision_id", "application_id", "change_no", "code", "detail", "at"))
CHANGED = BulkUpdate(
    Application,
    ("status", "revision", "decision_no", "change_no", "last_approval", "certificate_number", "reason_code",
     "reason_label", "reason_field", "comment", "numbering_failure", "submitted_at", "updated_at"),
)  # fmt: skip
_CERTIFICATE = tuple(column.name for column in HeldCertificate.__table__.columns)
_CERTIFICATES = BulkInsert(HeldCertificate, _CERTIFICATE)


async def add_certificates(session: AsyncSession, certificates: Iterable[HeldCertificate]) -> None:
    """Write certificates that no session knows; none of their values may be missing."""
    rows = [[getattr(each, name) for name in _CERTIFICATE] for each in certificates]
    await _CERTIFICATES.write_async(session, rows)


# --- what is compared with other services, and made up for


def application_versions() -> sa.Subquery:
    """Give by application the change_no of the last change that others were told of, and its time."""
    return _versions(sa.func.max(Change.change_no), Change.action.in_(ANNOUNCED), Change.revision > 0)


def approval_versions() -> sa.Subquery:
    """Count the approvals and withdrawals of each application, with the time of the last."""
    return _versions(sa.func.count(), Change.action.in_((Action.approve, Action.withdraw)))


def _versions(version: sa.ColumnElement[int], *where: sa.ColumnElement[bool]) -> sa.Subquery:
    columns = (Change.application_id.label("id"), version.label("version"), sa.func.max(Change.at).label("changed_at"))
    return sa.select(*columns).where(*where).group_by(Change.application_id).subquery()


def enterprise_versions() -> sa.Subquery:
    """What is known of enterprises: id and revision of each."""
    return sa.select(Enterprise.id, Enterprise.revision.label("version")).subquery()


async def waiting_approvals(session: AsyncSession, before: datetime, after: UUID | None, limit: int) -> Sequence[UUID]:
    """List approved applications that have had no number since then, in order of their ids."""
    statement = sa.select(Application.id).where(
        Application.status == sa.literal_column("'approved'"), Application.updated_at <= before
    )
    if after is not None:
        statement = statement.where(Application.id > after)
    return (await session.scalars(statement.order_by(Application.id).limit(limit))).all()


async def count_waiting(session: AsyncSession) -> tuple[int, float]:
    """Count the approved applications without a number that were not told why, and the oldest one's seconds."""
    age = sa.func.extract("epoch", sa.func.now() - sa.func.min(Application.updated_at))
    statement = sa.select(sa.func.count(), sa.func.greatest(sa.func.coalesce(age, 0), 0)).where(
        Application.status == sa.literal_column("'approved'"), Application.numbering_failure.is_(None)
    )
    number, seconds = (await session.execute(statement)).one()
    return number, float(seconds)


async def submissions_of(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, list[Submission]]:
    """All submissions of each application, oldest first."""
    return await _by_application(session, Submission, ids, Submission.revision)


async def histories_of(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, list[Change]]:
    """All changes of each application, oldest first."""
    return await _by_application(session, Change, ids, Change.change_no)


async def answers_of(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, list[Answer]]:
    """All answers to decisions on each application, oldest first."""
    return await _by_application(session, Answer, ids, Answer.change_no)


async def _by_application(
    session: AsyncSession, table: type[R], ids: Iterable[UUID], order: sa.SQLColumnExpression[Any], *where: Any
) -> dict[UUID, list[R]]:
    found: dict[UUID, list[R]] = defaultdict(list)
    statement = sa.select(table).where(among(table.application_id, set(ids)), *where).order_by(order)
    for row in await session.scalars(statement):
        found[row.application_id].append(row)
    return found


async def answered(session: AsyncSession, decision_ids: Collection[UUID]) -> set[UUID]:
    """Find which of these decisions have had their answer."""
    statement = sa.select(Answer.decision_id).where(among(Answer.decision_id, decision_ids))
    return set(await session.scalars(statement))


async def images_by_id(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Image]:
    return {row.id: row for row in await session.scalars(sa.select(Image).where(Image.id.in_(sorted(ids))))}
