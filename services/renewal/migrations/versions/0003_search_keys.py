"""search keys"""

from alembic import op

from shared.persistence.search import create_search_key_1

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_search_key_1(op)
