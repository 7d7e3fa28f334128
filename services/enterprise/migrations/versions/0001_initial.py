"""initial"""

import sqlalchemy as sa
from alembic import op

from shared.auth.tables import create_auth_tables_1
from shared.messaging.tables import create_platform_tables_1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_platform_tables_1(op)
    create_auth_tables_1(op)
    op.create_table(
        "enterprises",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("must_change_password", sa.Boolean, nullable=False),
        sa.Column("taxpayer_id", sa.Text, nullable=False),
        sa.Column("identity_index", sa.Text, nullable=False),
        sa.Column("contact_name", sa.Text, nullable=False),
        sa.Column("contact_phone", sa.Text, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("identity_index", name="uq_enterprises_identity_index"),
    )
