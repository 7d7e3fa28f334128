"""All SQL of renewal but the registry's (registry_queries.py)."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from operator import eq, ge, le
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager
from sqlalchemy.sql.operators import in_op

from services.renewal.domain import LIVE, AgeLimit, Post, Standing, Status
from services.renewal.models import (
    AgeLimitRow,
    Application,
    EnterpriseRow,
    HeldCertificate,
    HistoryRow,
    ImageRow,
    Person,
    PostRow,
    SubmissionRow,
)
from shared.web.pagination import PageRequest, apply_filters, contains, keyset


async def posts(session: AsyncSession) -> dict[str, Post]:
    """All posts by code."""
    rows = await session.scalars(sa.select(PostRow).order_by(PostRow.code))
    return {row.code: Post(row.code, row.name, row.family, row.validity_years) for row in rows}


async def age_limits(session: AsyncSession) -> list[AgeLimit]:
    rows = await session.scalars(sa.select(AgeLimitRow))
    return [AgeLimit("female" if row.sex == "female" else "male", row.effective_from, row.months) for row in rows]


async def find_person(session: AsyncSession, id_number_index: str) -> Person | None:
    return await session.scalar(sa.select(Person).where(Person.id_number_index == id_number_index))


async def ensure_enterprise(session: AsyncSession, enterprise_id: UUID, name: str) -> None:
    """Known at least by the name in its token, before (or without) its event."""
    statement = insert(EnterpriseRow).values(id=enterprise_id, name=name, revision=0)
    await session.execute(statement.on_conflict_do_nothing())


async def upsert_enterprises(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> None:
    """Rows {id, name, revision}, one per id; an older revision never replaces a newer one."""
    statement = insert(EnterpriseRow).values(list(rows))
    newer = {"name": statement.excluded.name, "revision": statement.excluded.revision}
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=[EnterpriseRow.id],
            set_=newer,
            where=statement.excluded.revision > EnterpriseRow.revision,
        )
    )


def _with_person_and_enterprise() -> sa.Select[Application]:
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
    """With its person and enterprise; another enterprise's application is not found. `lock` takes the row lock."""
    statement = _with_person_and_enterprise().where(Application.id == application_id)
    if enterprise_id is not None:
        statement = statement.where(Application.enterprise_id == enterprise_id)
    if lock:
        statement = statement.with_for_update(of=Application)
    return await session.scalar(statement)


async def lock_applications(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, Application]:
    """Lock the persons of these applications, then the applications, each in order of id, as everyone does."""
    wanted = sorted(set(ids))
    persons = sa.select(Application.person_id).where(Application.id.in_(wanted))
    await session.execute(sa.select(Person.id).where(Person.id.in_(persons)).order_by(Person.id).with_for_update())
    statement = _with_person_and_enterprise().where(Application.id.in_(wanted)).order_by(Application.id)
    rows = await session.scalars(statement.with_for_update(of=Application))
    return {row.id: row for row in rows}


@dataclass
class Holdings:
    """The certificates (void ones too) and live applications of some persons. Changes made to the rows show at once."""

    certificates: dict[UUID, list[HeldCertificate]]
    applications: dict[UUID, list[Application]]

    def standing(self, person: Person, posts: dict[str, Post], day: date, but: Application | None = None) -> Standing:
        """What a person holds on `day` and has under way, apart from the application `but`."""
        held = sorted(certificate.post for certificate in self.valid(person.id, day))
        live = [a.post for a in self.applications[person.id] if a is not but and a.status in LIVE]
        return Standing(
            sex="female" if person.sex == "female" else "male",
            birth_date=person.birth_date,
            held=[posts[code] for code in held],
            live=[posts[code] for code in live],
        )

    def valid(self, person_id: UUID, day: date) -> list[HeldCertificate]:
        return [c for c in self.certificates[person_id] if is_valid(c, day)]

    def replaceable(self, application: Application) -> list[HeldCertificate]:
        """The certificates of the same post, expired ones too, that a number for `application` takes the place of;
        the platform's own first."""
        found = [
            c
            for c in self.certificates[application.person_id]
            if c.post == application.post and c.voided_at is None and c.replaced_by is None
        ]
        return sorted(found, key=lambda c: (c.application_id is None, c.certificate_number))


def is_valid(certificate: HeldCertificate, day: date) -> bool:
    unexpired = certificate.valid_until is None or certificate.valid_until >= day
    return certificate.voided_at is None and certificate.replaced_by is None and unexpired


async def holdings(session: AsyncSession, person_ids: Iterable[UUID], touched: Iterable[Application] = ()) -> Holdings:
    """Two queries for any number of persons. `touched` are applications that may become live in this transaction."""
    ids = sorted(set(person_ids))
    certificates: dict[UUID, list[HeldCertificate]] = defaultdict(list)
    statement = sa.select(HeldCertificate).where(HeldCertificate.person_id.in_(ids))
    for certificate in await session.scalars(statement.order_by(HeldCertificate.certificate_number)):
        certificates[certificate.person_id].append(certificate)
    live = sa.select(Application).where(Application.person_id.in_(ids), Application.status.in_(LIVE))
    found = {row.id: row for row in await session.scalars(live)} | {row.id: row for row in touched}
    applications: dict[UUID, list[Application]] = defaultdict(list)
    for application in found.values():
        applications[application.person_id].append(application)
    return Holdings(certificates, applications)


@dataclass(frozen=True, kw_only=True)
class ApplicationSearch:
    """All given conditions must hold; `name` matches anywhere."""

    enterprise_id: UUID
    status: Status | None = None
    name: str | None = None
    added_from: datetime | None = None
    added_to: datetime | None = None
    application_ids: Sequence[UUID] | None = None


async def search_applications(
    session: AsyncSession, search: ApplicationSearch, page: PageRequest
) -> Sequence[Application]:
    """One more than the page holds."""
    statement = apply_filters(
        _with_person_and_enterprise(),
        (Application.enterprise_id, eq, search.enterprise_id),
        (Application.status, eq, search.status),
        (Person.name, contains, search.name),
        (Application.added_at, ge, search.added_from),
        (Application.added_at, le, search.added_to),
        (Application.id, in_op, search.application_ids),
    )
    return (await session.scalars(keyset(statement, page, Application.added_at, Application.id))).all()


async def current_images(session: AsyncSession, ids: Iterable[UUID]) -> dict[UUID, list[ImageRow]]:
    """The present pictures of each application."""
    images: dict[UUID, list[ImageRow]] = defaultdict(list)
    statement = sa.select(ImageRow).where(ImageRow.application_id.in_(sorted(set(ids))), ImageRow.current)
    for row in await session.scalars(statement.order_by(ImageRow.kind)):
        images[row.application_id].append(row)
    return images


async def find_image(session: AsyncSession, application_id: UUID, kind: str, revision: int | None) -> ImageRow | None:
    """The present picture, or the one submitted as `revision`."""
    statement = sa.select(ImageRow).where(ImageRow.application_id == application_id, ImageRow.kind == kind)
    if revision is None:
        return await session.scalar(statement.where(ImageRow.current))
    submitted = (
        sa.select(sa.cast(SubmissionRow.images[kind].astext, sa.Uuid))
        .where(SubmissionRow.application_id == application_id, SubmissionRow.revision == revision)
        .scalar_subquery()
    )
    return await session.scalar(statement.where(ImageRow.id == submitted))


async def delete_unsubmitted_images(session: AsyncSession, uploaded_before: datetime) -> None:
    """Rows of pictures that were replaced and are part of no submission."""
    submitted = sa.exists().where(
        SubmissionRow.application_id == ImageRow.application_id,
        SubmissionRow.images[ImageRow.kind].astext == sa.cast(ImageRow.id, sa.Text),
    )
    replaced = sa.and_(~ImageRow.current, ImageRow.uploaded_at < uploaded_before)
    await session.execute(sa.delete(ImageRow).where(replaced, ~submitted))


async def known_object_keys(session: AsyncSession, keys: Sequence[str]) -> set[str]:
    return set((await session.scalars(sa.select(ImageRow.object_key).where(ImageRow.object_key.in_(keys)))).all())


async def pictures(session: AsyncSession) -> AsyncIterator[tuple[str, str]]:
    """Every picture's object key and SHA-256, in order of the keys, however many there are."""
    statement = sa.select(ImageRow.object_key, ImageRow.sha256).order_by(ImageRow.object_key)
    async for row in await session.stream(statement.execution_options(yield_per=1000)):
        yield row.object_key, row.sha256


async def submission(session: AsyncSession, application_id: UUID, revision: int) -> SubmissionRow:
    return await session.get_one(SubmissionRow, (application_id, revision))


async def history(session: AsyncSession, application_id: UUID) -> Sequence[HistoryRow]:
    """Oldest first."""
    statement = sa.select(HistoryRow).where(HistoryRow.application_id == application_id)
    return (await session.scalars(statement.order_by(HistoryRow.change_no))).all()


async def certificates_by_number(session: AsyncSession, numbers: Iterable[str]) -> dict[str, HeldCertificate]:
    statement = sa.select(HeldCertificate).where(HeldCertificate.certificate_number.in_(sorted(set(numbers))))
    return {row.certificate_number: row for row in await session.scalars(statement)}


async def approved_post(session: AsyncSession, application_id: UUID, approval: int) -> str:
    """The post that was submitted with the revision which this approval approved."""
    statement = (
        sa.select(SubmissionRow.post)
        .join(
            HistoryRow,
            sa.and_(
                HistoryRow.application_id == SubmissionRow.application_id,
                HistoryRow.revision == SubmissionRow.revision,
            ),
        )
        .where(SubmissionRow.application_id == application_id, HistoryRow.decision_no == approval)
        .limit(1)
    )
    return (await session.scalars(statement)).one()
