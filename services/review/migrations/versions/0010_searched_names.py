"""searched names

Two tables beside the items, which the database itself keeps, whichever version writes: `name_fragments` lists items by
what stands in the person's name, newest first, `enterprise_names` the names that enterprises have. With them go the
indexes of items by character.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "name_fragments",
        sa.Column("fragment", sa.Text, nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("application_id", sa.Uuid, nullable=False),
    )
    op.create_table(
        "enterprise_names",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
    )
    _functions()
    # From here on nobody else writes items until all of this is committed; they are still read.
    op.execute(
        """
        CREATE TRIGGER list_items AFTER INSERT ON items REFERENCING NEW TABLE AS new_items
        FOR EACH STATEMENT EXECUTE FUNCTION list_items()
        """
    )
    op.execute(
        """
        CREATE TRIGGER relist_item AFTER UPDATE ON items FOR EACH ROW
        WHEN ((OLD.name, OLD.added_at, OLD.enterprise_name)
              IS DISTINCT FROM (NEW.name, NEW.added_at, NEW.enterprise_name))
        EXECUTE FUNCTION relist_item()
        """
    )
    op.execute("CREATE TRIGGER unlist_item AFTER DELETE ON items FOR EACH ROW EXECUTE FUNCTION relist_item()")
    op.execute(
        """
        INSERT INTO name_fragments (fragment, added_at, application_id)
        SELECT f, added_at, application_id
        FROM (SELECT search_key(name) AS key, added_at, application_id FROM items OFFSET 0) AS i, fragments(i.key) AS f
        """
    )
    op.execute(
        """
        INSERT INTO enterprise_names (name, key)
        SELECT name, search_key(name) FROM (SELECT DISTINCT enterprise_name AS name FROM items) AS i
        """
    )
    op.create_index(
        "ix_name_fragments_fragment_added_at_application_id",
        "name_fragments",
        ["fragment", "added_at", "application_id"],
        unique=True,
    )
    op.create_index(
        "ix_enterprise_names_characters",
        "enterprise_names",
        [sa.text("string_to_array(key, NULL)")],
        postgresql_using="gin",
    )
    op.create_index(
        "ix_items_enterprise_name_added_at_application_id", "items", ["enterprise_name", "added_at", "application_id"]
    )
    # Last, because from here on the items are not even read.
    op.drop_index("ix_items_name_characters", "items")
    op.drop_index("ix_items_enterprise_name_characters", "items")


def _functions() -> None:
    op.execute(
        """
        CREATE FUNCTION fragments(key text) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
            SELECT f
            FROM generate_series(1, length(key)) AS i, (VALUES (1), (2), (3)) AS n (n),
                 LATERAL (SELECT substr(key, i, n) AS f) AS part
            -- The first place of each alone, so that none comes twice.
            WHERE i + n - 1 <= length(key) AND strpos(key, f) = i
        $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION list_items() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO name_fragments (fragment, added_at, application_id)
            SELECT f, added_at, application_id
            FROM (SELECT search_key(name) AS key, added_at, application_id FROM new_items OFFSET 0) AS i,
                 fragments(i.key) AS f;
            INSERT INTO enterprise_names (name, key)
            SELECT name, search_key(name) FROM (SELECT DISTINCT enterprise_name AS name FROM new_items) AS i
            WHERE NOT EXISTS (SELECT FROM enterprise_names AS e WHERE e.name = i.name)
            ORDER BY name
            ON CONFLICT DO NOTHING;
            RETURN NULL;
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION relist_item() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            DELETE FROM name_fragments WHERE fragment IN (SELECT fragments(search_key(OLD.name)))
                AND added_at = OLD.added_at AND application_id = OLD.application_id;
            IF TG_OP = 'UPDATE' THEN
                INSERT INTO name_fragments (fragment, added_at, application_id)
                SELECT f, NEW.added_at, NEW.application_id FROM fragments(search_key(NEW.name)) AS f;
                INSERT INTO enterprise_names (name, key) VALUES (NEW.enterprise_name, search_key(NEW.enterprise_name))
                ON CONFLICT DO NOTHING;
            END IF;
            RETURN NULL;
        END $$
        """
    )
