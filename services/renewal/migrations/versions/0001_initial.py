"""initial"""

from datetime import date

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from shared.audit.trail import create_audit_tables_1
from shared.messaging.tables import create_platform_tables_1

# Site posts of Jiangxi, and the families that the exclusion of 施工员 and 质量员 works on. Codes are stable and two
# digits, because they become part of certificate numbers; names and years of validity are the owner's to change.
POSTS = (
    ("10", "土建施工员", "施工员"),
    ("11", "市政施工员", "施工员"),
    ("12", "装饰装修施工员", "施工员"),
    ("13", "设备安装施工员", "施工员"),
    ("20", "土建质量员", "质量员"),
    ("21", "市政质量员", "质量员"),
    ("22", "装饰装修质量员", "质量员"),
    ("23", "设备安装质量员", "质量员"),
    ("30", "安全员", "安全员"),
    ("40", "材料员", "材料员"),
    ("50", "机械员", "机械员"),
    ("60", "劳务员", "劳务员"),
    ("70", "资料员", "资料员"),
    ("80", "标准员", "标准员"),
    ("81", "标识员", "标识员"),
    ("90", "预算员", "预算员"),
)
VALIDITY_YEARS = 3
# docs/rules.md, section 3, rules C and D.
AGE_LIMITS = (("female", 55 * 12), ("male", 60 * 12))

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_platform_tables_1(op)
    create_audit_tables_1(op)
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
    op.create_table(
        "age_limits",
        sa.Column("sex", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.Date(), nullable=False),
        sa.Column("months", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sex", "effective_from", name=op.f("pk_age_limits")),
    )
    op.create_table(
        "enterprises",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enterprises")),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("id_number", sa.Text(), nullable=False),
        sa.Column("id_number_index", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sex", sa.Text(), nullable=False),
        sa.Column("birth_date", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("id_number_index", name=op.f("uq_people_id_number_index")),
    )
    op.create_table(
        "posts",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("validity_years", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_posts")),
        sa.UniqueConstraint("name", name=op.f("uq_posts_name")),
    )
    op.create_table(
        "applications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("enterprise_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("post", sa.Text(), nullable=False),
        sa.Column("post_family", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "draft",
                "pending_review",
                "approved",
                "certified",
                "rejected",
                "cancelled",
                name="status",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("decision_no", sa.Integer(), nullable=False),
        sa.Column("change_no", sa.Integer(), nullable=False),
        sa.Column("last_approval", sa.Integer(), nullable=True),
        sa.Column("certificate_number", sa.Text(), nullable=True),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason_label", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("numbering_failure", sa.Text(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        postgresql.ExcludeConstraint(
            (sa.column("person_id"), "="),
            (sa.column("post_family"), "<>"),
            where=sa.text("status IN ('pending_review', 'approved') AND post_family IN ('施工员', '质量员')"),
            using="gist",
            name="ex_applications_constructor_and_quality",
        ),
        sa.ForeignKeyConstraint(
            ["enterprise_id"], ["enterprises.id"], name=op.f("fk_applications_enterprise_id_enterprises")
        ),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_applications_person_id_people")),
        sa.ForeignKeyConstraint(["post"], ["posts.code"], name=op.f("fk_applications_post_posts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_applications")),
        sa.UniqueConstraint("sequence", name=op.f("uq_applications_sequence")),
    )
    op.create_index(
        op.f("ix_applications_enterprise_id_added_at_id"),
        "applications",
        ["enterprise_id", "added_at", "id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_applications_enterprise_id_status_added_at_id"),
        "applications",
        ["enterprise_id", "status", "added_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_applications_person_live",
        "applications",
        ["person_id"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending_review', 'approved')"),
    )
    op.create_index(
        "uq_applications_live_post",
        "applications",
        ["person_id", "post"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending_review', 'approved')"),
    )
    op.create_table(
        "held_certificates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("post", sa.Text(), nullable=False),
        sa.Column("certificate_number", sa.Text(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("application_id", sa.Uuid(), nullable=True),
        sa.Column("replaced_by", sa.Uuid(), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_held_certificates_person_id_people")),
        sa.ForeignKeyConstraint(["post"], ["posts.code"], name=op.f("fk_held_certificates_post_posts")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held_certificates")),
        sa.UniqueConstraint("certificate_number", name=op.f("uq_held_certificates_certificate_number")),
    )
    op.create_index(op.f("ix_held_certificates_person_id"), "held_certificates", ["person_id"], unique=False)
    op.create_table(
        "history",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("change_no", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "draft",
                "pending_review",
                "approved",
                "certified",
                "rejected",
                "cancelled",
                name="status",
                native_enum=False,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("decision_no", sa.Integer(), nullable=False),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("reason_label", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("certificate_number", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["application_id"], ["applications.id"], name=op.f("fk_history_application_id_applications")
        ),
        sa.PrimaryKeyConstraint("application_id", "change_no", name=op.f("pk_history")),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("pixel_sha256", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["applications.id"], name=op.f("fk_images_application_id_applications")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("object_key", name=op.f("uq_images_object_key")),
    )
    op.create_index(
        "uq_images_current_kind", "images", ["application_id", "kind"], unique=True, postgresql_where=sa.text("current")
    )
    op.create_index(
        "uq_images_current_pixels",
        "images",
        ["application_id", "pixel_sha256"],
        unique=True,
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "submissions",
        sa.Column("application_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("post", sa.Text(), nullable=False),
        sa.Column("images", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["applications.id"], name=op.f("fk_submissions_application_id_applications")
        ),
        sa.ForeignKeyConstraint(["post"], ["posts.code"], name=op.f("fk_submissions_post_posts")),
        sa.PrimaryKeyConstraint("application_id", "revision", name=op.f("pk_submissions")),
    )
    posts = sa.table("posts", *(sa.column(name) for name in ("code", "name", "family", "validity_years")))
    op.bulk_insert(
        posts,
        [
            {"code": code, "name": name, "family": family, "validity_years": VALIDITY_YEARS}
            for code, name, family in POSTS
        ],
    )
    limits = sa.table("age_limits", *(sa.column(name) for name in ("sex", "effective_from", "months")))
    op.bulk_insert(
        limits,
        [{"sex": sex, "effective_from": date(1900, 1, 1), "months": months} for sex, months in AGE_LIMITS],
    )
