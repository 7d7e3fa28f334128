"""corrections of the registry"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# models.NUMBER_KEY as it was then.
NUMBER_KEY = (
    "ltrim(translate(certificate_number, "
    "'abcdefghijklmnopqrstuvwxyz〇零一二三四五六七八九()（）[]〔〕【】〖〗-—/._· ', "
    "'ABCDEFGHIJKLMNOPQRSTUVWXYZ00123456789'), '0')"
)


def upgrade() -> None:
    op.add_column("people", sa.Column("superseded_names", postgresql.ARRAY(sa.Text), server_default="{}", nullable=False))
    op.add_column("held_certificates", sa.Column("void_reason", sa.Text))
    op.add_column("held_certificates", sa.Column("corrected_to", sa.Uuid))
    op.add_column(
        "held_certificates", sa.Column("superseded", postgresql.JSONB, server_default="[]", nullable=False)
    )
    op.create_index("ix_held_certificates_number_key", "held_certificates", [sa.literal_column(NUMBER_KEY)])
