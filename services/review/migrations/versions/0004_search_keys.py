"""search keys"""

import sqlalchemy as sa
from alembic import op

from shared.persistence.search import create_search_key_1

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_search_key_1(op)
    op.drop_index("ix_items_certificate_number", "items")
    op.create_index("ix_items_certificate_number_key", "items", [sa.text("search_key(certificate_number)")])
    for column in ("name", "enterprise_name"):
        op.drop_index(f"ix_items_{column}_characters", "items")
        op.create_index(
            f"ix_items_{column}_characters",
            "items",
            [sa.text(f"string_to_array(search_key({column}), NULL)")],
            postgresql_using="gin",
        )
