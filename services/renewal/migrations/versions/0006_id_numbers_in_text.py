"""id numbers in text"""

import sqlalchemy as sa
from alembic import op

from shared.persistence.masking import mask_stored

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("held_certificates", sa.Column("sealed_number", sa.Text))
    op.create_index(
        "ix_held_certificates_unsealed",
        "held_certificates",
        ["id"],
        postgresql_where=sa.text(
            "sealed_number IS NULL AND application_id IS NULL"
            " AND length(regexp_replace(certificate_number, '[^0-9]', '', 'g')) >= 15"
        ),
    )
    mask_stored(op, "enterprises", ["id"], ["name"])
    mask_stored(op, "applications", ["id"], ["comment"])
    mask_stored(op, "history", ["application_id", "change_no"], ["comment"])
