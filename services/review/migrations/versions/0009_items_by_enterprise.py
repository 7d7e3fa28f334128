"""items by enterprise"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(op.f("ix_items_enterprise_id"), "items", ["enterprise_id"], unique=False)
