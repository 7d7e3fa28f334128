"""statistics"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_items_waiting", "items", ["submitted_at"], postgresql_where=sa.text("status = 'pending_review'")
    )
    op.create_index(
        "ix_decisions_decided_at",
        "decisions",
        ["decided_at"],
        postgresql_include=["action", "reason_code"],
        postgresql_where=sa.text("outcome <> 'refused'"),
    )
