"""answers to decisions, and an index of what waits for a number"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("change_no", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["applications.id"], name=op.f("fk_answers_application_id_applications")
        ),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_answers")),
    )
    op.create_index(op.f("ix_answers_application_id"), "answers", ["application_id"], unique=False)
    op.create_index(
        "ix_applications_approved",
        "applications",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("status = 'approved'"),
    )
