"""the part of the application that a reason is about"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("applications", "history"):
        op.add_column(table, sa.Column("reason_field", sa.Text(), nullable=True))
