"""taxpayer exceptions"""

import sqlalchemy as sa
from alembic import op

from shared.audit.trail import create_audit_indexes_2, create_audit_tables_1

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "taxpayer_exceptions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("taxpayer_id", sa.Text, nullable=False),
        sa.Column("taxpayer_id_index", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("added_by", sa.Text, nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_taxpayer_exceptions"),
        sa.UniqueConstraint("taxpayer_id_index", name="uq_taxpayer_exceptions_taxpayer_id_index"),
    )
    op.create_index("ix_taxpayer_exceptions_added_at_id", "taxpayer_exceptions", ["added_at", "id"])
    create_audit_tables_1(op)
    create_audit_indexes_2(op)
