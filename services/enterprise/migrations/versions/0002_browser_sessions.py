"""browser sessions"""

from alembic import op

from shared.auth.tables import alter_auth_tables_2

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    alter_auth_tables_2(op)
