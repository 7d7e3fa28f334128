"""audit search"""

from alembic import op

from shared.audit.trail import create_audit_indexes_2

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_audit_indexes_2(op)
    op.create_index("ix_items_application_number", "items", ["application_number"])
