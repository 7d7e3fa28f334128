"""guard"""

from alembic import op

from shared.auth.tables import create_captchas, create_guard_tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_guard_tables(op)
    create_captchas(op)
