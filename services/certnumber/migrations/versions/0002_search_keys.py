"""search keys"""

import sqlalchemy as sa
from alembic import op

from shared.persistence.search import create_search_key_1

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_search_key_1(op)
    op.create_index("ix_ledger_number_key", "ledger", [sa.text("search_key(number)")])
