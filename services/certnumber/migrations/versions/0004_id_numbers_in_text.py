"""id numbers in text"""

from alembic import op

from shared.persistence.masking import mask_stored

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    mask_stored(op, "series", ["id"], ["name"])
    mask_stored(op, "approvals", ["application_id", "decision_no"], ["replaces", "enterprise_name"])
    # The one correction that the ledger bears: what was never to be in it.
    mask_stored(op, "ledger", ["number"], ["replaces", "enterprise_name", "void_reason"], guard="ledger_guard")
