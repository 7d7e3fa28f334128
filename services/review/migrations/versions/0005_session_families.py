"""session families"""

from alembic import op

from shared.auth.tables import alter_auth_tables_3

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    alter_auth_tables_3(op)
