"""Tables of the review service, the parts of their rows that are written together, and what they seal."""

from datetime import date, datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.review.domain import Action
from shared.auth.tables import Account
from shared.contracts.renewal import HeldCertificate, Sex
from shared.persistence.cipher import FieldCipher
from shared.persistence.db import new_registry
from shared.persistence.search import search_key


class Base(DeclarativeBase):
    registry = new_registry()


class Reviewer(Account, Base):
    """A person of the authority. `username` is normalised; `roles` holds any of reviewer, registrar, admin."""

    __tablename__ = "reviewers"
    username: Mapped[str] = mapped_column(unique=True)
    roles: Mapped[list[str]]
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    def account_name(self, cipher: FieldCipher) -> str:  # noqa: ARG002
        return self.username

    @property
    def role_set(self) -> frozenset[str]:
        return frozenset(self.roles)

    @property
    def is_active(self) -> bool:
        return self.disabled_at is None


# The context that binds a sealed ItemPerson to being stored.
PERSON_AT_REST = "review.person"


class ItemPerson(BaseModel):
    """What the desk knows of an item's person beside the name, which it searches and keeps in clear."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id_number: str
    sex: Sex
    birth_date: date
    held: tuple[HeldCertificate, ...]


class _Number(BaseModel):
    """Reads of a sealed ItemPerson what a list shows."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    id_number: str


def open_number(person: str, cipher: FieldCipher) -> str:
    """Decrypt the id number of a sealed ItemPerson. Raises DecryptionFailed."""
    return cipher.open(person, PERSON_AT_REST, _Number).id_number


class Item(Base):
    """An application as `renewal` last described it: the state of the highest `change_no`.

    A refusal and a numbering failure have a change_no of their own, so that they and the state can arrive in any order.
    `person` is an ItemPerson, sealed.
    """

    __tablename__ = "items"
    application_id: Mapped[UUID] = mapped_column(primary_key=True)
    change_no: Mapped[int]
    revision: Mapped[int]
    decision_no: Mapped[int]
    application_number: Mapped[str]
    status: Mapped[str]
    name: Mapped[str]
    person: Mapped[str]
    id_number_index: Mapped[str] = mapped_column(index=True)
    enterprise_id: Mapped[UUID]
    enterprise_name: Mapped[str]
    post: Mapped[str]
    post_name: Mapped[str]
    certificate_number: Mapped[str | None]
    images: Mapped[list[dict[str, Any]]]
    added_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    reason_code: Mapped[str | None]
    comment: Mapped[str | None]
    refusal_change_no: Mapped[int | None]
    refusal_decision: Mapped[UUID | None]
    refusal_code: Mapped[str | None]
    refusal_detail: Mapped[str | None]
    numbering_change_no: Mapped[int | None]
    numbering_decision_no: Mapped[int | None]
    numbering_code: Mapped[str | None]
    numbering_detail: Mapped[str | None]

    def open_person(self, cipher: FieldCipher) -> ItemPerson:
        """Decrypt `person`. Raises DecryptionFailed."""
        return cipher.open(self.person, PERSON_AT_REST, ItemPerson)

    __table_args__ = (
        sa.Index(None, "application_number"),
        sa.Index(None, "enterprise_id"),
        sa.Index(None, "added_at", "application_id"),
        sa.Index(None, "status", "added_at", "application_id"),
        sa.Index(None, "post", "added_at", "application_id"),
        sa.Index(None, "status", "post", "added_at", "application_id"),
        # For counting by age what waits, without a look at the rows.
        sa.Index("ix_items_waiting", "submitted_at", postgresql_where=sa.text("status = 'pending_review'")),
        sa.Index("ix_items_certificate_number_key", search_key(sa.column("certificate_number"))),
        sa.Index(None, "enterprise_name", "added_at", "application_id"),
    )


class DeskItem(NamedTuple):
    """An item, and whether a decision on it is still unanswered."""

    item: Item
    decision_pending: bool


class ListedItem(NamedTuple):
    """What the list shows of an item, by the names of its columns, and whether a decision on it is still unanswered."""

    application_id: UUID
    application_number: str
    change_no: int
    revision: int
    decision_no: int
    name: str
    person: str
    enterprise_name: str
    post: str
    post_name: str
    certificate_number: str | None
    status: str
    added_at: datetime
    submitted_at: datetime | None
    reason_code: str | None
    comment: str | None
    refusal_change_no: int | None
    refusal_code: str | None
    refusal_detail: str | None
    numbering_decision_no: int | None
    numbering_code: str | None
    numbering_detail: str | None
    decision_pending: bool


# Items by what stands in the person's name: up to so many characters of its key. Triggers of `items` keep it, whichever
# version writes them (migration 0010).
FRAGMENT = 3
NAME_FRAGMENTS = sa.Table(
    "name_fragments",
    Base.metadata,
    sa.Column("fragment", sa.Text, nullable=False),
    sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("application_id", sa.Uuid, nullable=False),
    sa.Index(None, "fragment", "added_at", "application_id", unique=True),
)


class EnterpriseName(Base):
    """A name under which items of some enterprise are, or once were, and its key. The triggers keep it likewise."""

    __tablename__ = "enterprise_names"
    name: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str]
    __table_args__ = (
        sa.Index(
            "ix_enterprise_names_characters",
            sa.func.string_to_array(sa.column("key"), sa.null(), type_=ARRAY(sa.Text)),
            postgresql_using="gin",
        ),
    )


class LockedItem(NamedTuple):
    """What a decision on an item depends on."""

    application_id: UUID
    revision: int
    decision_no: int
    status: str


class ItemState(NamedTuple):
    """The columns of an item that every event tells anew."""

    application_id: UUID
    change_no: int
    revision: int
    decision_no: int
    application_number: str
    status: str
    name: str
    person: str
    id_number_index: str
    enterprise_id: UUID
    enterprise_name: str
    post: str
    post_name: str
    certificate_number: str | None
    images: list[dict[str, Any]]
    added_at: datetime
    submitted_at: datetime | None
    reason_code: str | None
    comment: str | None


class RefusedDecision(NamedTuple):
    """The columns of an item about the decision that `renewal` refused last."""

    application_id: UUID
    refusal_change_no: int
    refusal_decision: UUID
    refusal_code: str
    refusal_detail: str


class NumberingFailure(NamedTuple):
    """The columns of an item about the approval that could not be numbered."""

    application_id: UUID
    numbering_change_no: int
    numbering_decision_no: int
    numbering_code: str
    numbering_detail: str


class ItemRevision(Base):
    """What was submitted as one revision."""

    __tablename__ = "item_revisions"
    application_id: Mapped[UUID] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True)
    submitted_at: Mapped[datetime]
    post: Mapped[str]
    post_name: Mapped[str]
    images: Mapped[list[dict[str, Any]]]


class SubmittedRevision(NamedTuple):
    """A new row of ItemRevision."""

    application_id: UUID
    revision: int
    submitted_at: datetime
    post: str
    post_name: str
    images: list[dict[str, Any]]


class Decision(Base):
    """What a reviewer asked for on the state (`revision`, `decision_no`) the desk showed, and what `renewal` answered.

    `outcome` is asked, accepted or refused.
    """

    __tablename__ = "decisions"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    application_id: Mapped[UUID]
    revision: Mapped[int]
    decision_no: Mapped[int]
    action: Mapped[str]
    reviewer_id: Mapped[UUID]
    reviewer_name: Mapped[str]
    reason_code: Mapped[str | None]
    comment: Mapped[str | None]
    decided_at: Mapped[datetime]
    outcome: Mapped[str]
    outcome_code: Mapped[str | None]
    outcome_detail: Mapped[str | None]
    outcome_at: Mapped[datetime | None]
    __table_args__ = (
        # The last line of defence: two reviewers never both decide one state.
        sa.Index(
            "uq_decisions_state",
            "application_id",
            "revision",
            "decision_no",
            unique=True,
            postgresql_where=sa.text("outcome <> 'refused'"),
        ),
        sa.Index(None, "application_id", "decided_at"),
        # For counting the decisions of some days, likewise.
        sa.Index(
            None,
            "decided_at",
            postgresql_include=["action", "reason_code"],
            postgresql_where=sa.text("outcome <> 'refused'"),
        ),
        sa.CheckConstraint("outcome IN ('asked', 'accepted', 'refused')", name="outcome"),
    )


class NewDecision(NamedTuple):
    """A new row of Decision, not answered yet."""

    id: UUID
    application_id: UUID
    revision: int
    decision_no: int
    action: Action
    reviewer_id: UUID
    reviewer_name: str
    reason_code: str | None
    comment: str | None
    decided_at: datetime
    outcome: Literal["asked"]


class DecisionOutcome(NamedTuple):
    """The columns of a decision that tell what became of it; no decision has the id None."""

    id: UUID | None
    outcome: Literal["accepted", "refused"]
    outcome_code: str | None
    outcome_detail: str | None
    outcome_at: datetime


class Neighbour(NamedTuple):
    """An item as the next or previous one of another."""

    application_id: UUID
    name: str
    status: str


class DecisionCount(NamedTuple):
    """How many decisions of one kind fell on a day in Asia/Shanghai."""

    day: date
    action: str
    reason_code: str | None
    number: int
