"""audit search"""

from alembic import op

from shared.audit.trail import create_audit_indexes_2

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_audit_indexes_2(op)
