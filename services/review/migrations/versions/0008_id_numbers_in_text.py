"""id numbers in text"""

from alembic import op

from shared.persistence.masking import mask_stored

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    mask_stored(op, "items", ["application_id"], ["enterprise_name", "comment"])
    mask_stored(op, "decisions", ["id"], ["comment", "reviewer_name"])
    mask_stored(op, "reviewers", ["id"], ["name"])
