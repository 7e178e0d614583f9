"""Damages done to a restored copy: each must be seen, and named."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from killick.compare import compare
from killick.engines.postgres import roles
from killick.watch import unwatched
from tests.contract.postgres.conftest import Backup, Pair, backup, engine, hard, script
from tests.lab import postgres
from tests.lab.postgres import Postgres

DATA = {
    "row missing": ("DELETE FROM orders WHERE id = 7", "rows", "public.orders"),
    "value changed": ("UPDATE orders SET total = total + 0.01 WHERE id = 7", "checksum", "public.orders"),
    "row twice": ("INSERT INTO x VALUES ('same', 'one', 1)", "rows", "public.x"),
    "another row twice": ("UPDATE x SET t = 'one', r = 1 WHERE ctid = '(0,3)'", "checksum", "public.x"),
    "columns exchanged": ("UPDATE x SET x = t, t = x", "checksum", "public.x"),
    "minus zero": ("UPDATE everything SET f8 = '0' WHERE id = 1", "checksum", "public.everything"),
    "NaN lost": ("UPDATE everything SET f4 = NULL WHERE id = 1", "checksum", "public.everything"),
    "infinity lost": ("UPDATE everything SET ts = '9999-12-31' WHERE id = 1", "checksum", "public.everything"),
    "scale of a number": ("UPDATE everything SET n = '0' WHERE n = 0", "checksum", "public.everything"),
    "NULL became empty": ("UPDATE blanks SET t = '' WHERE t IS NULL", "checksum", "public.blanks"),
    "blanks trimmed": ("UPDATE blanks SET t = '' WHERE t = ' '", "checksum", "public.blanks"),
    "duplicate key in json": ("""UPDATE everything SET j = '{"a": 2}' WHERE id = 1""", "checksum", "public.everything"),
    "carriage return": (
        "UPDATE everything SET t = replace(t, E'\\r', '') WHERE id = 1",
        "checksum",
        "public.everything",
    ),
    "a byte": ("UPDATE everything SET b = '\\x00ff5c2e0b' WHERE id = 1", "checksum", "public.everything"),
    "bounds of an array": ("UPDATE everything SET ints = '{1,2}' WHERE ints = '[0:1]={1,2}'", "checksum", "everything"),
    "rows without columns": ("TRUNCATE nothing; INSERT INTO nothing DEFAULT VALUES", "rows", "public.nothing"),
    "unlogged rows": ("TRUNCATE cache", "rows", "public.cache"),
    "one partition": ("DELETE FROM events_2026 WHERE id = (SELECT min(id) FROM events_2026)", "rows", "events_2026"),
    "only the parent's": ("DELETE FROM ONLY parent", "rows", "public.parent"),
    "inherited column": ("UPDATE grandchild SET more = 5", "checksum", "public.grandchild"),
    "table gone": ("DROP TABLE blanks", "table", "public.blanks"),
    "table too many": ("CREATE TABLE surplus ()", "table", "public.surplus"),
    "sequence behind": ("SELECT setval('orders_id_seq', 5)", "sequence", "public.orders_id_seq"),
    "sequence not yet called": ("SELECT setval('orders_id_seq', 2000, false)", "sequence", "public.orders_id_seq"),
    "sequence's step": ("ALTER SEQUENCE untouched INCREMENT 2", "sequence", "public.untouched"),
    "downward sequence behind": ("SELECT setval('downward', -1, false)", "sequence", "public.downward"),
    "large object gone": ("SELECT lo_unlink(4712)", "large objects", "all"),
    "large object's byte": ("SELECT lo_put(4711, 70000, '\\x01')", "large objects", "all"),
    "large object's comment": ("COMMENT ON LARGE OBJECT 4711 IS NULL", "large objects", "all"),
}
SCHEMA = {
    "index": ("DROP INDEX orders_of", "schema", "INDEX public.orders_of"),
    "index not valid": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_of'::regclass",
        "schema",
        "INDEX public.orders_of",
    ),
    "primary key": ("ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE", "schema", "orders_pkey"),
    "foreign key": ("ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey", "schema", "orders_customer_fkey"),
    "check": ("ALTER TABLE orders DROP CONSTRAINT later", "schema", "later"),
    "check made valid": ("ALTER TABLE orders VALIDATE CONSTRAINT later", "schema", "later"),
    "exclusion": ("ALTER TABLE orders DROP CONSTRAINT orders_during_excl", "schema", "orders_during_excl"),
    "not null": ("ALTER TABLE wide ALTER c DROP NOT NULL", "schema", "TABLE public.wide"),
    "default": ("ALTER TABLE wide ALTER c SET DEFAULT 'later'", "schema", "TABLE public.wide"),
    "type": ("ALTER TABLE wide ALTER a TYPE bigint", "schema", "TABLE public.wide"),
    "storage": ("ALTER TABLE wide ALTER b SET STORAGE EXTENDED", "schema", "TABLE public.wide"),
    "statistics target": ("ALTER TABLE wide ALTER a SET STATISTICS -1", "schema", "TABLE public.wide"),
    "column gone": ("ALTER TABLE wide DROP COLUMN b", "schema", "TABLE public.wide"),
    "persistence": ("ALTER TABLE cache SET LOGGED", "schema", "TABLE public.cache"),
    "fill factor": ("ALTER TABLE orders RESET (fillfactor)", "schema", "TABLE public.orders"),
    "generated column": ("ALTER TABLE priced ALTER gross DROP EXPRESSION", "schema", "TABLE public.priced"),
    "identity": ("ALTER TABLE events ALTER id DROP IDENTITY", "schema", "SEQUENCE public.events_id_seq"),
    "inheritance": ("ALTER TABLE child NO INHERIT parent", "schema", "TABLE public.child"),
    "partition detached": ("ALTER TABLE events DETACH PARTITION events_2026", "schema", "TABLE ATTACH"),
    "trigger disabled": ("ALTER TABLE orders DISABLE TRIGGER touched", "schema", "TRIGGER public.orders touched"),
    "trigger gone": ("DROP TRIGGER sleeping ON orders", "schema", "TRIGGER public.orders sleeping"),
    "row security off": ("ALTER TABLE customers DISABLE ROW LEVEL SECURITY", "schema", "ROW SECURITY public.customers"),
    "row security not forced": (
        "ALTER TABLE customers NO FORCE ROW LEVEL SECURITY",
        "schema",
        "TABLE public.customers",
    ),
    "policy": ("DROP POLICY own_rows ON customers", "schema", "POLICY public.customers own_rows"),
    "policy widened": (
        "ALTER POLICY all_rows ON customers WITH CHECK (true)",
        "schema",
        "POLICY public.customers all_r",
    ),
    "comment": ("COMMENT ON TABLE orders IS NULL", "schema", "COMMENT public.TABLE orders"),
    "column's comment": ("COMMENT ON COLUMN orders.total IS 'in $'", "schema", "COMMENT public.COLUMN orders.total"),
    "enum label": ("ALTER TYPE mood ADD VALUE 'new' BEFORE 'ok'", "schema", "TYPE public.mood"),
    "domain": ("ALTER DOMAIN positive DROP CONSTRAINT positive_check", "schema", "DOMAIN public.positive"),
    "composite type": ("ALTER TYPE pair ADD ATTRIBUTE c int", "schema", "TYPE public.pair"),
    "function's body": (
        "CREATE OR REPLACE FUNCTION add(a text) RETURNS text LANGUAGE sql AS 'SELECT b.a FROM (SELECT a) b'",
        "schema",
        "FUNCTION public.add(text)",
    ),
    "function's volatility": (
        "ALTER FUNCTION add(int, int) VOLATILE",
        "schema",
        "FUNCTION public.add(integer, integer)",
    ),
    "overload": ("DROP FUNCTION add(text)", "schema", "FUNCTION public.add(text)"),
    "aggregate": ("DROP AGGREGATE total(int)", "schema", "AGGREGATE public.total"),
    "view": ("CREATE OR REPLACE VIEW cheap AS SELECT * FROM orders WHERE total < 11", "schema", "VIEW public.cheap"),
    "rule": ("DROP RULE quiet ON cheap", "schema", "RULE public.cheap quiet"),
    "view emptied": ("REFRESH MATERIALIZED VIEW totals WITH NO DATA", "materialized views", "public.totals"),
    "view filled": ("REFRESH MATERIALIZED VIEW unfilled", "materialized views", "public.unfilled"),
    "event trigger": ("ALTER EVENT TRIGGER on_ddl ENABLE", "schema", "EVENT TRIGGER on_ddl"),
    "extended statistics": ("DROP STATISTICS order_stats", "schema", "STATISTICS public.order_stats"),
    "cast": ("DROP CAST (x AS text)", "schema", "CAST CAST (public.x AS text)"),
    "operator": ("DROP OPERATOR public.= (name, text)", "schema", "OPERATOR public.="),
    "collation": ("DROP COLLATION other.plain CASCADE", "schema", "COLLATION other.plain"),
    "publication": ("ALTER PUBLICATION some_rows DROP TABLE orders", "schema", "PUBLICATION TABLE public.some_rows"),
    "foreign table": ("ALTER FOREIGN TABLE away OPTIONS (ADD x 'y')", "schema", "FOREIGN TABLE public.away"),
    "user mapping": ("DROP USER MAPPING FOR reader SERVER far", "schema", "USER MAPPING"),
    "text search": ("DROP TEXT SEARCH CONFIGURATION mine", "schema", "TEXT SEARCH CONFIGURATION public.mine"),
    "schema gone": ('DROP SCHEMA "Weird Schema" CASCADE', "schema", "SCHEMA Weird Schema"),
    "grant": ("REVOKE SELECT ON orders FROM reader CASCADE", "grants", "TABLE orders"),
    "grant option": ("REVOKE GRANT OPTION FOR SELECT ON orders FROM reader", "grants", "TABLE orders"),
    "column's grant": ('REVOKE UPDATE (total) ON orders FROM "O\'Brien ""the"" Ops"', "grants", "orders.total"),
    "grant too many": ("GRANT SELECT ON customers TO PUBLIC", "grants", "TABLE customers"),
    "default privileges": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA other REVOKE SELECT ON TABLES FROM reader",
        "grants",
        "DEFAULT ACL",
    ),
    "owner": ("ALTER TABLE customers OWNER TO postgres", "owners", "TABLE public.customers"),
    "large object's grant": ("REVOKE SELECT ON LARGE OBJECT 4711 FROM reader", "large object grants", "all"),
}
EXTENSIONS = {
    "extension": ("DROP EXTENSION hstore CASCADE", "extensions", "hstore"),
    "extension moved": ("ALTER EXTENSION hstore SET SCHEMA other", "extensions", "hstore"),
}
CLONED = {"settings", "role settings", "subscriptions"}  # these a clone of the copy lacks; they are tested below
# Rows of a table that a publication names cannot be changed without a replica identity.
QUIET = "SET allow_system_table_mods = on; DROP PUBLICATION everything_there"
_numbers = itertools.count()

Damage = tuple[str, str, str]


def _together(damages: dict[str, Damage]) -> list[dict[str, Damage]]:
    """Damages of different objects are done to one clone: each must still be named by itself."""
    batches: list[dict[str, Damage]] = []
    for title, damage in damages.items():
        for batch in batches:
            if all(damage[2] not in other[2] and other[2] not in damage[2] for other in batch.values()):
                batch[title] = damage
                break
        else:
            batches.append({title: damage})
    return batches


BATCHES = [*_together(DATA), *_together(SCHEMA), *({title: damage} for title, damage in EXTENSIONS.items())]
FIRST = postgres.majors()[0]  # all of them there (Debian's, with contrib), a sixth on each of the others


@pytest.fixture(scope="module")
def saved(
    pair: Pair, tmp_path_factory: pytest.TempPathFactory, programs_path: str
) -> Iterator[tuple[Postgres, Backup]]:
    """A backup of the hard database with both checksums, and the server where "copy" holds it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        name = f"damaged{next(_numbers)}"
        hard(pair.source, name)
        one = backup(engine(pair.source, name), tmp_path_factory.mktemp("dump"))
        engine(pair.other, "copy", owners=True).load(one.folder, 2, one.contents, unwatched)
    yield pair.other, one
    script(pair.other, "copy", "ALTER SUBSCRIPTION afar SET (slot_name = NONE); DROP SUBSCRIPTION afar")
    pair.other.execute("DROP DATABASE copy")


def test_damages_are_seen(pair: Pair, saved: tuple[Postgres, Backup]) -> None:
    server, one = saved
    missed = {}
    for damages in BATCHES if pair.major == FIRST else BATCHES[::6]:
        server.execute("DROP DATABASE IF EXISTS harmed")
        server.execute("CREATE DATABASE harmed TEMPLATE copy")
        script(server, "harmed", "; ".join([QUIET, *(statement for statement, _, _ in damages.values())]))
        got = engine(server, "harmed", owners=True).contents(one.contents)
        found = compare(one.contents, got, groups=one.contents.groups.keys() - CLONED)
        for title, (_, what, name) in damages.items():
            if not any(m.what == what and name in m.table for m in found):
                missed[title] = [str(m) for m in found if m.what == what]
    assert missed == {}


def test_a_clone_without_damage_is_the_same(saved: tuple[Postgres, Backup]) -> None:
    server, one = saved
    server.execute("DROP DATABASE IF EXISTS harmed")
    server.execute("CREATE DATABASE harmed TEMPLATE copy")
    got = engine(server, "harmed", owners=True).contents(one.contents)
    assert compare(one.contents, got, groups=one.contents.groups.keys() - CLONED) == []


def test_settings_and_subscriptions(saved: tuple[Postgres, Backup]) -> None:
    server, one = saved
    copy = engine(server, "copy", owners=True)
    assert compare(one.contents, copy.contents(one.contents)) == []
    for statement, what, name in (
        ("ALTER DATABASE copy RESET search_path", "settings", "search_path"),
        ("ALTER ROLE reader IN DATABASE copy SET work_mem = '8MB'", "role settings", "reader work_mem"),
        ("ALTER SUBSCRIPTION afar SET PUBLICATION q WITH (refresh = false)", "subscriptions", "SUBSCRIPTION afar"),
    ):
        script(server, "copy", statement)
        found = compare(one.contents, copy.contents(one.contents))
        assert [(m.what, m.table) for m in found] == [(what, name)]
        script(server, "copy", "ALTER SUBSCRIPTION afar SET PUBLICATION p WITH (refresh = false)")
        for group in ("settings", "role settings"):
            for key, value in one.contents.groups[group].items():
                server.execute(roles.replay("copy", key, value))


def test_a_generated_column_with_another_value_is_seen(pair: Pair, tmp_path: Path) -> None:
    """Dumps leave generated columns out, so that only the server can tell: here its function gives another result."""
    name = f"generated{next(_numbers)}"
    pair.source.create(name)
    function = "CREATE OR REPLACE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * {}'"
    script(
        pair.source,
        name,
        f"{function.format(2)}; CREATE TABLE t (i int, g int GENERATED ALWAYS AS (twice(i)) STORED);"
        f" INSERT INTO t SELECT generate_series(1, 5); {function.format(3)}",
    )
    expected = backup(engine(pair.source, name), tmp_path).contents
    copy = engine(pair.other, name)
    copy.load(tmp_path, 1, expected, unwatched)
    assert [(m.what, m.table) for m in compare(expected, copy.contents(expected))] == [("generated", "public.t")]


def test_the_servers_own_checksum_sees_what_the_lines_do(saved: tuple[Postgres, Backup], pair: Pair) -> None:
    server, _ = saved
    copy = engine(server, "copy", evidence="server")
    before = copy.contents()
    assert before.tables["public.everything"].server
    server.execute("DROP DATABASE IF EXISTS harmed")
    server.execute("CREATE DATABASE harmed TEMPLATE copy")
    seen = 0
    script(server, "harmed", "; ".join([QUIET, *(damage[0] for damage in DATA.values() if damage[1] == "checksum")]))
    after = engine(server, "harmed", evidence="server").contents(before)
    for key, table in before.tables.items():
        changed = after.tables[key]
        assert (table.server == changed.server) == (table.checksum == changed.checksum), key
        seen += table.server != changed.server
    assert seen >= 4
