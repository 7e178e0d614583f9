"""Damages of the hard database (tests/contract/postgres/hard.sql): what is done to a copy of it, and what tells."""

from collections.abc import Mapping
from typing import NamedTuple

_LEVEL_4 = {"rows", "checksum", "large objects"}


class Damage(NamedTuple):
    """A statement; `what` and a part of the name of the mismatch that must be found."""

    statement: str
    what: str
    name: str

    @property
    def level(self) -> int:
        """The first that does not hold. A table that is there or not is seen in the schema already."""
        return 4 if self.what in _LEVEL_4 else 3

    def apart(self, other: "Damage") -> bool:
        """Whether each can be told from the other when both are done."""
        return self.name not in other.name and other.name not in self.name


DATA = {
    "one row missing": Damage("DELETE FROM orders WHERE id = 7", "rows", "public.orders"),
    "one value changed": Damage("UPDATE orders SET total = total + 0.01 WHERE id = 7", "checksum", "public.orders"),
    "row twice": Damage("INSERT INTO x VALUES ('same', 'one', 1)", "rows", "public.x"),
    "another row twice": Damage("UPDATE x SET t = 'one', r = 1 WHERE ctid = '(0,3)'", "checksum", "public.x"),
    "columns exchanged": Damage("UPDATE x SET x = t, t = x", "checksum", "public.x"),
    "minus zero": Damage("UPDATE everything SET f8 = '0' WHERE id = 1", "checksum", "public.everything"),
    "NaN lost": Damage("UPDATE everything SET f4 = NULL WHERE id = 1", "checksum", "public.everything"),
    "infinity lost": Damage("UPDATE everything SET ts = '9999-12-31' WHERE id = 1", "checksum", "public.everything"),
    "scale of a number": Damage("UPDATE everything SET n = '0' WHERE n = 0", "checksum", "public.everything"),
    "NULL became empty": Damage("UPDATE blanks SET t = '' WHERE t IS NULL", "checksum", "public.blanks"),
    "blanks trimmed": Damage("UPDATE blanks SET t = '' WHERE t = ' '", "checksum", "public.blanks"),
    "duplicate key in json": Damage(
        """UPDATE everything SET j = '{"a": 2}' WHERE id = 1""", "checksum", "public.everything"
    ),
    "carriage return": Damage(
        "UPDATE everything SET t = replace(t, E'\\r', '') WHERE id = 1",
        "checksum",
        "public.everything",
    ),
    "a byte": Damage("UPDATE everything SET b = '\\x00ff5c2e0b' WHERE id = 1", "checksum", "public.everything"),
    "bounds of an array": Damage(
        "UPDATE everything SET ints = '{1,2}' WHERE ints = '[0:1]={1,2}'", "checksum", "everything"
    ),
    "row without columns missing": Damage(
        "TRUNCATE nothing; INSERT INTO nothing DEFAULT VALUES", "rows", "public.nothing"
    ),
    "unlogged rows gone": Damage("TRUNCATE cache", "rows", "public.cache"),
    "row of a partition missing": Damage(
        "DELETE FROM events_2026 WHERE id = (SELECT min(id) FROM events_2026)", "rows", "events_2026"
    ),
    "rows of a parent alone gone": Damage("DELETE FROM ONLY parent", "rows", "public.parent"),
    "value below an inheritance": Damage("UPDATE grandchild SET more = 5", "checksum", "public.grandchild"),
    "table gone": Damage("DROP TABLE blanks", "table", "public.blanks"),
    "table too many": Damage("CREATE TABLE surplus ()", "table", "public.surplus"),
    "sequence behind": Damage("SELECT setval('orders_id_seq', 5)", "sequence", "public.orders_id_seq"),
    "sequence not yet called": Damage(
        "SELECT setval('orders_id_seq', 2000, false)", "sequence", "public.orders_id_seq"
    ),
    "sequence's step": Damage("ALTER SEQUENCE untouched INCREMENT 2", "sequence", "public.untouched"),
    "downward sequence behind": Damage("SELECT setval('downward', -1, false)", "sequence", "public.downward"),
    "large object gone": Damage("SELECT lo_unlink(4712)", "large object grants", "all"),
    "large object's byte": Damage("SELECT lo_put(4711, 70000, '\\x01')", "large objects", "all"),
    "large object's comment gone": Damage("COMMENT ON LARGE OBJECT 4711 IS NULL", "large objects", "all"),
    "two values swapped": Damage(
        "UPDATE orders a SET total = b.total FROM orders b WHERE (a.id, b.id) IN ((7, 8), (8, 7))",
        "checksum",
        "public.orders",
    ),
    "NaN became zero": Damage("UPDATE everything SET n = 0 WHERE n = 'NaN'", "checksum", "public.everything"),
    "infinity's sign": Damage("UPDATE everything SET f8 = 'infinity' WHERE f8 = '-infinity'", "checksum", "everything"),
    "sequence reset": Damage("SELECT setval('customers_id_seq', 1, false)", "sequence", "public.customers_id_seq"),
    "identity's sequence reset": Damage("SELECT setval('events_id_seq', 100, false)", "sequence", "events_id_seq"),
}
SCHEMA = {
    "index gone": Damage("DROP INDEX orders_of", "schema", "INDEX public.orders_of"),
    "index not valid": Damage(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_of'::regclass",
        "schema",
        "INDEX public.orders_of",
    ),
    "primary key gone": Damage("ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE", "schema", "orders_pkey"),
    "foreign key gone": Damage(
        "ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey", "schema", "orders_customer_fkey"
    ),
    "check gone": Damage("ALTER TABLE orders DROP CONSTRAINT later", "schema", "later"),
    "check made valid": Damage("ALTER TABLE orders VALIDATE CONSTRAINT later", "schema", "later"),
    "exclusion gone": Damage("ALTER TABLE orders DROP CONSTRAINT orders_during_excl", "schema", "orders_during_excl"),
    "NOT NULL gone": Damage("ALTER TABLE wide ALTER c DROP NOT NULL", "schema", "TABLE public.wide"),
    "default changed": Damage("ALTER TABLE wide ALTER c SET DEFAULT 'later'", "schema", "TABLE public.wide"),
    "column's type": Damage("ALTER TABLE wide ALTER a TYPE bigint", "schema", "TABLE public.wide"),
    "column's storage": Damage("ALTER TABLE wide ALTER b SET STORAGE EXTENDED", "schema", "TABLE public.wide"),
    "column's statistics target": Damage("ALTER TABLE wide ALTER a SET STATISTICS -1", "schema", "TABLE public.wide"),
    "column gone": Damage("ALTER TABLE wide DROP COLUMN b", "schema", "TABLE public.wide"),
    "unlogged table made durable": Damage("ALTER TABLE cache SET LOGGED", "schema", "TABLE public.cache"),
    "table's fill factor": Damage("ALTER TABLE orders RESET (fillfactor)", "schema", "TABLE public.orders"),
    "column no longer generated": Damage(
        "ALTER TABLE priced ALTER gross DROP EXPRESSION", "schema", "TABLE public.priced"
    ),
    "identity gone": Damage("ALTER TABLE events ALTER id DROP IDENTITY", "schema", "SEQUENCE public.events_id_seq"),
    "inheritance gone": Damage("ALTER TABLE child NO INHERIT parent", "schema", "TABLE public.child"),
    "partition detached": Damage("ALTER TABLE events DETACH PARTITION events_2026", "schema", "TABLE ATTACH"),
    "trigger disabled": Damage("ALTER TABLE orders DISABLE TRIGGER touched", "schema", "TRIGGER public.orders touched"),
    "trigger gone": Damage("DROP TRIGGER sleeping ON orders", "schema", "TRIGGER public.orders sleeping"),
    "row security off": Damage(
        "ALTER TABLE customers DISABLE ROW LEVEL SECURITY", "schema", "ROW SECURITY public.customers"
    ),
    "row security not forced": Damage(
        "ALTER TABLE customers NO FORCE ROW LEVEL SECURITY",
        "schema",
        "TABLE public.customers",
    ),
    "policy gone": Damage("DROP POLICY own_rows ON customers", "schema", "POLICY public.customers own_rows"),
    "policy widened": Damage(
        "ALTER POLICY all_rows ON customers WITH CHECK (true)",
        "schema",
        "POLICY public.customers all_r",
    ),
    "comment gone": Damage("COMMENT ON TABLE orders IS NULL", "schema", "COMMENT public.TABLE orders"),
    "column's comment": Damage(
        "COMMENT ON COLUMN orders.total IS 'in $'", "schema", "COMMENT public.COLUMN orders.total"
    ),
    "enum label added": Damage("ALTER TYPE mood ADD VALUE 'new' BEFORE 'ok'", "schema", "TYPE public.mood"),
    "domain's check gone": Damage(
        "ALTER DOMAIN positive DROP CONSTRAINT positive_check", "schema", "DOMAIN public.positive"
    ),
    "composite type's attribute": Damage("ALTER TYPE pair ADD ATTRIBUTE c int", "schema", "TYPE public.pair"),
    "function's body": Damage(
        "CREATE OR REPLACE FUNCTION add(a text) RETURNS text LANGUAGE sql AS 'SELECT b.a FROM (SELECT a) b'",
        "schema",
        "FUNCTION public.add(text)",
    ),
    "function's volatility": Damage(
        "ALTER FUNCTION add(int, int) VOLATILE",
        "schema",
        "FUNCTION public.add(integer, integer)",
    ),
    "overloaded function gone": Damage("DROP FUNCTION add(text)", "schema", "FUNCTION public.add(text)"),
    "aggregate gone": Damage("DROP AGGREGATE total(int)", "schema", "AGGREGATE public.total"),
    "view's query": Damage(
        "CREATE OR REPLACE VIEW cheap AS SELECT * FROM orders WHERE total < 11", "schema", "VIEW public.cheap"
    ),
    "rule gone": Damage("DROP RULE quiet ON cheap", "schema", "RULE public.cheap quiet"),
    "materialized view emptied": Damage(
        "REFRESH MATERIALIZED VIEW totals WITH NO DATA", "materialized views", "public.totals"
    ),
    "materialized view filled": Damage("REFRESH MATERIALIZED VIEW unfilled", "materialized views", "public.unfilled"),
    "event trigger enabled": Damage("ALTER EVENT TRIGGER on_ddl ENABLE", "schema", "EVENT TRIGGER on_ddl"),
    "extended statistics gone": Damage("DROP STATISTICS order_stats", "schema", "STATISTICS public.order_stats"),
    "cast gone": Damage("DROP CAST (x AS text)", "schema", "CAST CAST (public.x AS text)"),
    "operator gone": Damage("DROP OPERATOR public.= (name, text)", "schema", "OPERATOR public.="),
    "collation gone": Damage("DROP COLLATION other.plain CASCADE", "schema", "COLLATION other.plain"),
    "publication's table gone": Damage(
        "ALTER PUBLICATION some_rows DROP TABLE orders", "schema", "PUBLICATION TABLE public.some_rows"
    ),
    "foreign table's option": Damage(
        "ALTER FOREIGN TABLE away OPTIONS (ADD x 'y')", "schema", "FOREIGN TABLE public.away"
    ),
    "user mapping gone": Damage("DROP USER MAPPING FOR reader SERVER far", "schema", "USER MAPPING"),
    "text search configuration gone": Damage(
        "DROP TEXT SEARCH CONFIGURATION mine", "schema", "TEXT SEARCH CONFIGURATION public.mine"
    ),
    "schema gone": Damage('DROP SCHEMA "Weird Schema" CASCADE', "schema", "SCHEMA Weird Schema"),
    "grant gone": Damage("REVOKE SELECT ON orders FROM reader CASCADE", "grants", "TABLE orders"),
    "grant option gone": Damage("REVOKE GRANT OPTION FOR SELECT ON orders FROM reader", "grants", "TABLE orders"),
    "column's grant gone": Damage(
        'REVOKE UPDATE (total) ON orders FROM "O\'Brien ""the"" Ops"', "grants", "orders.total"
    ),
    "grant too many": Damage("GRANT SELECT ON customers TO PUBLIC", "grants", "TABLE customers"),
    "default privileges gone": Damage(
        "ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA other REVOKE SELECT ON TABLES FROM reader",
        "grants",
        "DEFAULT ACL",
    ),
    "table's owner": Damage("ALTER TABLE customers OWNER TO postgres", "owners", "TABLE public.customers"),
    "large object's grant gone": Damage("REVOKE SELECT ON LARGE OBJECT 4711 FROM reader", "large object grants", "all"),
    "index made unique": Damage(
        "DROP INDEX orders_of; CREATE UNIQUE INDEX orders_of ON orders (customer, total DESC NULLS LAST)"
        " INCLUDE (id) WHERE total > 10",
        "schema",
        "INDEX public.orders_of",
    ),
    "index's collation": Damage(
        "DROP INDEX IF EXISTS customers_lower;"
        " CREATE INDEX customers_lower ON customers (lower(name::text) text_pattern_ops)",
        "schema",
        "INDEX public.customers_lower",
    ),
    "unique constraint gone": Damage(
        "ALTER TABLE customers DROP CONSTRAINT customers_name_key", "schema", "public.customers customers_name_key"
    ),
    "foreign key's action": Damage(
        "ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey, ADD CONSTRAINT orders_customer_fkey"
        " FOREIGN KEY (customer) REFERENCES customers",
        "schema",
        "orders_customer_fkey",
    ),
    "column's collation": Damage('ALTER TABLE wide ALTER b TYPE text COLLATE "C"', "schema", "TABLE public.wide"),
    "default gone": Damage("ALTER TABLE wide ALTER c DROP DEFAULT", "schema", "TABLE public.wide"),
    "serial's default gone": Damage("ALTER TABLE behind ALTER id DROP DEFAULT", "schema", "DEFAULT public.behind id"),
    "sequence of nobody": Damage(
        "ALTER SEQUENCE orders_id_seq OWNED BY NONE", "schema", "SEQUENCE OWNED BY public.orders_id_seq"
    ),
    "replica identity": Damage("ALTER TABLE orders REPLICA IDENTITY FULL", "schema", "TABLE public.orders"),
    "cluster mark gone": Damage("ALTER TABLE orders SET WITHOUT CLUSTER", "schema", "orders_pkey"),
    "partition's bounds": Damage(
        "ALTER TABLE events DETACH PARTITION events_2025;"
        " ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2024-12-31') TO ('2026-01-01')",
        "schema",
        "TABLE ATTACH public.events_2025",
    ),
    "trigger no longer always": Damage("ALTER TABLE orders ENABLE TRIGGER touched", "schema", "public.orders touched"),
    "policy for everybody": Damage("ALTER POLICY own_rows ON customers TO PUBLIC", "schema", "customers own_rows"),
    "constraint's comment": Damage(
        "COMMENT ON CONSTRAINT later ON orders IS NULL", "schema", "COMMENT public.CONSTRAINT later"
    ),
    "enum label gone": Damage(
        "UPDATE everything SET m = 'ok' WHERE m = 'sad'; DELETE FROM pg_enum WHERE enumlabel = 'sad'",
        "schema",
        "TYPE public.mood",
    ),
    "enum label renamed": Damage("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", "schema", "TYPE public.mood"),
    "enum labels exchanged": Damage(
        "UPDATE pg_enum SET enumsortorder = CASE enumlabel WHEN 'sad' THEN 2.5 ELSE enumsortorder END",
        "schema",
        "TYPE public.mood",
    ),
    "function made a definer's": Damage("ALTER FUNCTION add(int, int) SECURITY DEFINER", "schema", "add(integer, "),
    "function's setting": Damage("ALTER FUNCTION touch() SET search_path = ''", "schema", "FUNCTION public.touch()"),
    "procedure gone": Damage("DROP PROCEDURE nop", "schema", "PROCEDURE public.nop()"),
    "view's barrier gone": Damage("ALTER VIEW cheap RESET (security_barrier)", "schema", "VIEW public.cheap"),
    "operator family gone": Damage("DROP OPERATOR FAMILY mine USING btree", "schema", "OPERATOR FAMILY public.mine"),
    "foreign server elsewhere": Damage("ALTER SERVER far OPTIONS (SET host 'near')", "schema", "SERVER far"),
    "grant to all again": Damage("GRANT EXECUTE ON FUNCTION add(int, int) TO PUBLIC", "grants", "FUNCTION add"),
    "schema's grant gone": Damage("REVOKE USAGE ON SCHEMA public FROM PUBLIC", "grants", "SCHEMA public"),
    "function's owner": Damage(
        "ALTER FUNCTION add(int, int) OWNER TO owner", "owners", "FUNCTION public.add(integer, "
    ),
    "owner below a body like a dump": Damage(  # whose text has a heading as pg_dump writes it
        "ALTER FUNCTION touch() OWNER TO postgres", "owners", "FUNCTION public.touch()"
    ),
    "schema's owner": Damage("ALTER SCHEMA other OWNER TO postgres", "owners", "SCHEMA other"),
    "large object's owner": Damage("ALTER LARGE OBJECT 4712 OWNER TO owner", "large object grants", "all"),
}
EXTENSIONS = {
    "extension gone": Damage("DROP EXTENSION hstore CASCADE", "extensions", "hstore"),
    "extension in another schema": Damage("ALTER EXTENSION hstore SET SCHEMA other", "extensions", "hstore"),
}
SUBSCRIPTIONS = {"subscription gone": Damage("DROP SUBSCRIPTION afar", "subscriptions", "SUBSCRIPTION afar")}
# Rows of a table that a publication names cannot be changed without a replica identity.
QUIET = "SET allow_system_table_mods = on; DROP PUBLICATION everything_there"


def together(damages: Mapping[str, Damage]) -> list[dict[str, Damage]]:
    """In as few parts as there must be for each damage of a part to be named by itself."""
    parts: list[dict[str, Damage]] = []
    for title, damage in damages.items():
        for part in parts:
            if all(damage.apart(other) for other in part.values()):
                part[title] = damage
                break
        else:
            parts.append({title: damage})
    return parts
