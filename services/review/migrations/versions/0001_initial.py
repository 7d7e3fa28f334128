"""initial"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.audit.trail import create_audit_tables_1
from shared.auth.tables import create_auth_tables_1
from shared.messaging.tables import create_platform_tables_1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_platform_tables_1(op)
    create_auth_tables_1(op)
    _accounts()
    _desk()
    _decisions()
    create_audit_tables_1(op)


def _accounts() -> None:
    op.create_table(
        "reviewers",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("must_change_password", sa.Boolean, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("roles", ARRAY(sa.Text), nullable=False),
        sa.Column("disabled_at", TIMESTAMP),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
        sa.UniqueConstraint("username", name="uq_reviewers_username"),
        sa.CheckConstraint(
            "roles <@ ARRAY['reviewer', 'registrar', 'admin'] AND cardinality(roles) > 0",
            name=op.f("ck_reviewers_roles"),
        ),
    )
    op.create_table(
        "captchas",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("answer_hash", sa.Text, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
    )
    op.create_index("ix_captchas_expires_at", "captchas", ["expires_at"])


def _desk() -> None:
    op.create_table(
        "items",
        sa.Column("application_id", sa.Uuid, primary_key=True),
        sa.Column("change_no", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("decision_no", sa.Integer, nullable=False),
        sa.Column("application_number", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("id_number_index", sa.Text, nullable=False),
        sa.Column("enterprise_id", sa.Uuid, nullable=False),
        sa.Column("enterprise_name", sa.Text, nullable=False),
        sa.Column("post", sa.Text, nullable=False),
        sa.Column("post_name", sa.Text, nullable=False),
        sa.Column("certificate_number", sa.Text),
        sa.Column("images", JSONB, nullable=False),
        sa.Column("added_at", TIMESTAMP, nullable=False),
        sa.Column("submitted_at", TIMESTAMP),
        sa.Column("reason_code", sa.Text),
        sa.Column("comment", sa.Text),
        sa.Column("refusal_change_no", sa.Integer),
        sa.Column("refusal_decision", sa.Uuid),
        sa.Column("refusal_code", sa.Text),
        sa.Column("refusal_detail", sa.Text),
        sa.Column("numbering_change_no", sa.Integer),
        sa.Column("numbering_decision_no", sa.Integer),
        sa.Column("numbering_code", sa.Text),
        sa.Column("numbering_detail", sa.Text),
    )
    op.create_index("ix_items_id_number_index", "items", ["id_number_index"])
    op.create_index("ix_items_certificate_number", "items", ["certificate_number"])
    # One index for each usual filter, ending in the list's order (newest first) and its tie-breaker.
    for columns in (
        ["added_at", "application_id"],
        ["status", "added_at", "application_id"],
        ["post", "added_at", "application_id"],
        ["status", "post", "added_at", "application_id"],
    ):
        op.create_index(f"ix_items_{'_'.join(columns)}", "items", columns)
    for column in ("name", "enterprise_name"):
        op.create_index(
            f"ix_items_{column}_characters",
            "items",
            [sa.text(f"string_to_array(lower({column}), NULL)")],
            postgresql_using="gin",
        )
    op.create_table(
        "item_revisions",
        sa.Column("application_id", sa.Uuid, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("submitted_at", TIMESTAMP, nullable=False),
        sa.Column("post", sa.Text, nullable=False),
        sa.Column("post_name", sa.Text, nullable=False),
        sa.Column("images", JSONB, nullable=False),
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("application_id", sa.Uuid, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("decision_no", sa.Integer, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("reviewer_id", sa.Uuid, nullable=False),
        sa.Column("reviewer_name", sa.Text, nullable=False),
        sa.Column("reason_code", sa.Text),
        sa.Column("comment", sa.Text),
        sa.Column("decided_at", TIMESTAMP, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("outcome_code", sa.Text),
        sa.Column("outcome_detail", sa.Text),
        sa.Column("outcome_at", TIMESTAMP),
        sa.CheckConstraint("outcome IN ('asked', 'accepted', 'refused')", name=op.f("ck_decisions_outcome")),
    )
    op.create_index(
        "uq_decisions_state",
        "decisions",
        ["application_id", "revision", "decision_no"],
        unique=True,
        postgresql_where=sa.text("outcome <> 'refused'"),
    )
    op.create_index("ix_decisions_application_id_decided_at", "decisions", ["application_id", "decided_at"])
