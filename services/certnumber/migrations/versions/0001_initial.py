"""initial"""

from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from shared.audit.trail import create_audit_tables_1
from shared.messaging.tables import create_platform_tables_1

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIMESTAMP = sa.DateTime(timezone=True)

LEDGER_GUARD = """
CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.state = 'valid' AND NEW.state = 'void'
           AND to_jsonb(NEW) - '{state,voided_at,void_reason}'::text[]
             = to_jsonb(OLD) - '{state,voided_at,void_reason}'::text[] THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the ledger only grows, and a number only goes from valid to void'
        USING ERRCODE = 'restrict_violation';
END $$
"""


def upgrade() -> None:
    create_platform_tables_1(op)
    create_audit_tables_1(op)
    series = op.create_table(
        "series",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("layout", sa.Text, nullable=False),
        sa.Column("posts", ARRAY(sa.Text)),
        sa.Column("yearly", sa.Boolean, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
    )
    op.create_index(
        "uq_series_default", "series", ["active"], unique=True, postgresql_where=sa.text("active AND posts IS NULL")
    )
    # Fourteen digits like the known numbers; the owner may change it at any time (PATCH /series/{id}).
    op.execute(
        series.insert().values(
            id=UUID("00000000-0000-4000-8000-000000000707"),
            name="默认编号",
            layout="00707{post}{serial:07}",
            yearly=False,
            active=True,
            created_at=sa.func.now(),
            updated_at=sa.func.now(),
        )
    )
    op.create_table(
        "counters",
        sa.Column("series_id", sa.Uuid, sa.ForeignKey("series.id", name="fk_counters_series_id_series"), primary_key=True),
        sa.Column("period", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "approvals",
        sa.Column("application_id", sa.Uuid, primary_key=True),
        sa.Column("decision_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("previous_approval", sa.Integer),
        sa.Column("replaces", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("post", sa.Text, nullable=False),
        sa.Column("post_name", sa.Text, nullable=False),
        sa.Column("enterprise_name", sa.Text, nullable=False),
        sa.Column("holder_masked", sa.Text, nullable=False),
        sa.Column("approved_at", TIMESTAMP),
        sa.Column("traceparent", sa.Text),
        sa.Column("failure_code", sa.Text),
        sa.Column("created_at", TIMESTAMP, server_default=sa.func.now(), nullable=False),
        sa.CheckConstraint("status IN ('waiting', 'numbered', 'withdrawn', 'failed')", name="ck_approvals_status"),
        sa.CheckConstraint("status = 'withdrawn' OR approved_at IS NOT NULL", name="ck_approvals_approved_at"),
        sa.CheckConstraint("(status = 'failed') = (failure_code IS NOT NULL)", name="ck_approvals_failure_code"),
    )
    op.create_index(
        "ix_approvals_waiting",
        "approvals",
        ["approved_at", "application_id", "decision_no"],
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_index(
        "ix_approvals_failed", "approvals", ["approved_at"], postgresql_where=sa.text("status = 'failed'")
    )
    # Every row leaves the waiting index within seconds; what it leaves behind must not pile up before the next claim.
    op.execute("ALTER TABLE approvals SET (autovacuum_vacuum_scale_factor = 0.01)")
    op.create_table(
        "ledger",
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("lookup", sa.Text, nullable=False),
        sa.Column("series_id", sa.Uuid, nullable=False),
        sa.Column("period", sa.Integer, nullable=False),
        sa.Column("serial", sa.BigInteger, nullable=False),
        sa.Column("application_id", sa.Uuid, nullable=False),
        sa.Column("decision_no", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("post", sa.Text, nullable=False),
        sa.Column("post_name", sa.Text, nullable=False),
        sa.Column("enterprise_name", sa.Text, nullable=False),
        sa.Column("holder_masked", sa.Text, nullable=False),
        sa.Column("issued_on", sa.Date, nullable=False),
        sa.Column("assigned_at", TIMESTAMP, nullable=False),
        sa.Column("voided_at", TIMESTAMP),
        sa.Column("void_reason", sa.Text),
        sa.Column("replaces", sa.Text),
        sa.ForeignKeyConstraint(
            ["series_id", "period"], ["counters.series_id", "counters.period"], name="fk_ledger_series_id_counters"
        ),
        sa.ForeignKeyConstraint(
            ["application_id", "decision_no"],
            ["approvals.application_id", "approvals.decision_no"],
            name="fk_ledger_application_id_approvals",
        ),
        sa.UniqueConstraint("lookup", name="uq_ledger_lookup"),
        sa.UniqueConstraint("application_id", "decision_no", name="uq_ledger_approval"),
        sa.UniqueConstraint("series_id", "period", "serial", name="uq_ledger_serial"),
        sa.CheckConstraint("serial > 0", name="ck_ledger_serial"),
        sa.CheckConstraint("state IN ('valid', 'void')", name="ck_ledger_state"),
        sa.CheckConstraint("(state = 'void') = (voided_at IS NOT NULL)", name="ck_ledger_voided_at"),
    )
    op.create_index("ix_ledger_replaces", "ledger", ["replaces"])
    op.create_index(
        "uq_ledger_valid", "ledger", ["application_id"], unique=True, postgresql_where=sa.text("state = 'valid'")
    )
    op.execute(LEDGER_GUARD)
    op.execute(
        "CREATE TRIGGER ledger_guard BEFORE UPDATE OR DELETE ON ledger "
        "FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change()"
    )
    op.execute(
        "CREATE TRIGGER ledger_truncate_guard BEFORE TRUNCATE ON ledger "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()"
    )
