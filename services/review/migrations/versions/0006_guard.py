"""guard"""

from alembic import op

from shared.auth.tables import create_guard_tables

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_guard_tables(op)
