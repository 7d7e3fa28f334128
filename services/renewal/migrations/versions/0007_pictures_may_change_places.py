"""pictures may change places"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Whether a picture is there twice is judged at the submission; moved to another place it is another row of one object.
    op.drop_index(op.f("uq_images_current_pixels"), table_name="images", postgresql_where="current")
    op.drop_constraint(op.f("uq_images_object_key"), "images", type_="unique")
    op.create_index(op.f("ix_images_object_key"), "images", ["object_key"], unique=False)
