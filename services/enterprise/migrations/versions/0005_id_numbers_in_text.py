"""id numbers in text"""

from alembic import op

from shared.persistence.masking import mask_stored

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    mask_stored(op, "enterprises", ["id"], ["name", "contact_name", "contact_phone", "address"])
