"""Tables of renewal. What is also a rule has the same name in domain.py: `models.Post` is the row of a `Post`."""

from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Composite, DeclarativeBase, Mapped, composite, mapped_column, relationship

from services.renewal.domain import (
    CONSTRUCTOR,
    FOLDED,
    LIVE,
    MARKS,
    QUALITY,
    DecisionReason,
    ImageKind,
    Sex,
    Status,
)
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import new_registry
from shared.persistence.search import characters
from shared.values.idnumber import masked

STATUS = sa.Enum(
    Status, native_enum=False, length=20, name="status", values_callable=lambda kind: [s.value for s in kind]
)
IS_LIVE = sa.text(f"status IN ({', '.join(repr(str(status)) for status in LIVE)})")
IS_LIVE_AND_EXCLUSIVE = sa.text(f"{IS_LIVE.text} AND post_family IN ('{CONSTRUCTOR}', '{QUALITY}')")


# domain.number_key of a held certificate's number; written out, because a plan for any parameters finds no index.
NUMBER_KEY = sa.literal_column(
    f"ltrim(translate(certificate_number, '{FOLDED[0]}{MARKS}', '{FOLDED[1]}'), '0')", sa.Text
)

# Contexts of the encrypted columns `Person.id_number` and `HeldCertificate.sealed_number`.
ID_NUMBER = "renewal.id_number"
CERTIFICATE_NUMBER = "renewal.certificate_number"
# Of registry numbers that are not sealed, those with digits enough for an id number.
MAY_NEED_SEALING = sa.text(
    "sealed_number IS NULL AND application_id IS NULL"
    " AND length(regexp_replace(certificate_number, '[^0-9]', '', 'g')) >= 15"
)


def _reason() -> Composite[DecisionReason]:
    columns = ("reason_code", "reason_label", "reason_field", "comment")
    return composite(DecisionReason, *(mapped_column(name, sa.Text, nullable=True) for name in columns))


class Base(DeclarativeBase):
    registry = new_registry({Status: STATUS})


class Post(Base):
    __tablename__ = "posts"
    code: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    family: Mapped[str]
    validity_years: Mapped[int]


class AgeLimit(Base):
    __tablename__ = "age_limits"
    sex: Mapped[Sex] = mapped_column(sa.Text, primary_key=True)
    effective_from: Mapped[date] = mapped_column(primary_key=True)
    months: Mapped[int]


class Enterprise(Base):
    """What `enterprise` says of an enterprise; revision 0 is the name its first token carried."""

    __tablename__ = "enterprises"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    revision: Mapped[int]


class Person(Base):
    """Somebody of the platform's data. `superseded_names` are those that a registrar has put right."""

    __tablename__ = "people"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    id_number: Mapped[str]
    id_number_index: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    sex: Mapped[Sex] = mapped_column(sa.Text)
    birth_date: Mapped[date]
    superseded_names: Mapped[list[str]] = mapped_column(default=list, server_default="{}")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (sa.Index("ix_people_name_characters", characters(sa.column("name")), postgresql_using="gin"),)


def clear_number(cipher: FieldCipher, number: str, sealed: str | None) -> str:
    return number if sealed is None else cipher.decrypt(sealed, CERTIFICATE_NUMBER)


def shown_number(cipher: FieldCipher, number: str, sealed: str | None) -> str:
    return masked(clear_number(cipher, number, sealed)) if sealed else number


class HeldCertificate(Base):
    """A certificate of the registry, or of the platform (`application_id`). Valid: not void, replaced or expired.

    `replaced_by` is the application whose certificate of the same post took its place. One of the registry is void when
    a registrar has removed it (`void_reason`), or when its number was put right: then it is the wrong number, kept so
    that a table that still has it is noticed, and `corrected_to` is the certificate. `superseded` are the values
    {post, valid_until} that were put right.

    A number in which an id number stands is kept encrypted, as `sealed_number`, and `certificate_number` is its blind
    index.
    """

    __tablename__ = "held_certificates"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    person_id: Mapped[UUID] = mapped_column(sa.ForeignKey("people.id"), index=True)
    post: Mapped[str] = mapped_column(sa.ForeignKey("posts.code"))
    certificate_number: Mapped[str] = mapped_column(unique=True)
    sealed_number: Mapped[str | None]
    valid_until: Mapped[date | None]
    application_id: Mapped[UUID | None]
    replaced_by: Mapped[UUID | None]
    voided_at: Mapped[datetime | None]
    void_reason: Mapped[str | None]
    corrected_to: Mapped[UUID | None]
    superseded: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        sa.Index("ix_held_certificates_number_key", NUMBER_KEY),
        sa.Index("ix_held_certificates_unsealed", "id", postgresql_where=MAY_NEED_SEALING),
    )

    def clear_number(self, cipher: FieldCipher) -> str:
        """The number as it was taken in. Raises DecryptionFailed."""
        return clear_number(cipher, self.certificate_number, self.sealed_number)

    def shown_number(self, cipher: FieldCipher) -> str:
        """The number as anybody may see it: an id number in it masked. Raises DecryptionFailed."""
        return shown_number(cipher, self.certificate_number, self.sealed_number)


class Application(Base):
    __tablename__ = "applications"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(sa.BigInteger, sa.Identity(), unique=True)
    enterprise_id: Mapped[UUID] = mapped_column(sa.ForeignKey("enterprises.id"))
    person_id: Mapped[UUID] = mapped_column(sa.ForeignKey("people.id"))
    post: Mapped[str] = mapped_column(sa.ForeignKey("posts.code"))
    post_family: Mapped[str]
    status: Mapped[Status]
    revision: Mapped[int]
    decision_no: Mapped[int]
    change_no: Mapped[int]
    last_approval: Mapped[int | None]
    certificate_number: Mapped[str | None]
    reason: Mapped[DecisionReason] = _reason()
    numbering_failure: Mapped[str | None]
    added_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]

    person: Mapped[Person] = relationship(lazy="raise")
    enterprise: Mapped[Enterprise] = relationship(lazy="raise")

    __table_args__ = (
        sa.Index(None, "enterprise_id", "added_at", "id"),
        sa.Index(None, "enterprise_id", "status", "added_at", "id"),
        sa.Index(None, "person_id"),
        sa.Index("uq_applications_live_post", "person_id", "post", unique=True, postgresql_where=IS_LIVE),
        sa.Index("ix_applications_person_live", "person_id", postgresql_where=IS_LIVE),
        # What waits for a number.
        sa.Index("ix_applications_approved", "updated_at", postgresql_where=sa.text("status = 'approved'")),
        # What the row locks cannot see the database still refuses: 施工员 and 质量员 of one person, both live.
        ExcludeConstraint(
            ("person_id", "="),
            ("post_family", "<>"),
            using="gist",
            where=IS_LIVE_AND_EXCLUSIVE,
            name="ex_applications_constructor_and_quality",
        ),
    )


class Image(Base):
    """A picture as one of an application's three. `current` marks the present one of its kind; older ones stay for
    revisions. Moved to another kind it is another row of the same object.
    """

    __tablename__ = "images"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    application_id: Mapped[UUID] = mapped_column(sa.ForeignKey("applications.id"))
    kind: Mapped[ImageKind] = mapped_column(sa.Text)
    current: Mapped[bool]
    object_key: Mapped[str] = mapped_column(index=True)
    content_type: Mapped[str]
    sha256: Mapped[str]
    pixel_sha256: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int]
    uploaded_at: Mapped[datetime]

    __table_args__ = (
        sa.Index("uq_images_current_kind", "application_id", "kind", unique=True, postgresql_where=sa.text("current")),
    )


class Picture(NamedTuple):
    """A picture for who only looks: columns of Image."""

    id: UUID
    kind: ImageKind
    sha256: str
    pixel_sha256: str
    width: int
    height: int
    bytes: int


class Submission(Base):
    """What was submitted as one revision: the post and, by kind, the id of each picture."""

    __tablename__ = "submissions"
    application_id: Mapped[UUID] = mapped_column(sa.ForeignKey("applications.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    post: Mapped[str] = mapped_column(sa.ForeignKey("posts.code"))
    images: Mapped[dict[str, Any]]
    submitted_at: Mapped[datetime]


class Change(Base):
    """One change of an application, numbered by `change_no`, and who made it."""

    __tablename__ = "history"
    application_id: Mapped[UUID] = mapped_column(sa.ForeignKey("applications.id"), primary_key=True)
    change_no: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    action: Mapped[str]
    actor: Mapped[str]
    status: Mapped[Status]
    revision: Mapped[int]
    decision_no: Mapped[int]
    reason: Mapped[DecisionReason] = _reason()
    certificate_number: Mapped[str | None]


class Answer(Base):
    """What was answered to a decision of the desk: accepted, or refused with `code` and `detail`."""

    __tablename__ = "answers"
    decision_id: Mapped[UUID] = mapped_column(primary_key=True)
    application_id: Mapped[UUID] = mapped_column(sa.ForeignKey("applications.id"), index=True)
    change_no: Mapped[int]
    code: Mapped[str | None]
    detail: Mapped[str | None]
    at: Mapped[datetime]
