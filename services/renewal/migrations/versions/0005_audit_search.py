"""audit search"""

import sqlalchemy as sa
from alembic import op

from shared.audit.trail import create_audit_indexes_2

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_audit_indexes_2(op)
    op.create_index("ix_applications_person_id", "applications", ["person_id"])
    op.create_index(
        "ix_people_name_characters",
        "people",
        [sa.text("string_to_array(search_key(name), NULL)")],
        postgresql_using="gin",
    )
