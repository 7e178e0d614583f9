"""Sound backups: whatever goes in comes out, and nothing is said to differ."""

import threading
from pathlib import Path

import pytest

from killick.compare import OWNERSHIP, compare, warnings
from killick.engines.postgres import MARK
from killick.errors import Refused
from killick.watch import unwatched
from tests.contract.postgres.conftest import Pair, backup, engine, hard, quoted, script
from tests.lab.postgres import Postgres

ODD = "a=b postgres://x \"q\" 'a' %s \\ 🎈\nnl"


def test_the_hard_database_comes_back_whole_on_another_server(pair: Pair, tmp_path: Path) -> None:
    hard(pair.source, ODD)
    saved = backup(engine(pair.source, ODD, evidence="server"), tmp_path)
    expected = saved.contents
    assert expected.tables["public.x"].rows == 3
    assert expected.tables['"Weird Schema"."Tab le ""q"" \'a\' %s 🎈"'].rows == 100
    assert expected.tables["public.nothing"].rows == 2
    assert expected.tables["public.priced"].generated
    assert all(table.checksum and table.server for table in expected.tables.values() if table.columns)
    assert expected.sequences["public.customers_id_seq"].covers is True
    assert not expected.sequences["public.behind_id_seq"].covers
    assert expected.groups["large objects"]["all"].startswith("3 ")
    assert len(expected.groups["schema"]) > 100
    assert set(expected.roles) >= {"owner", "reader", 'O\'Brien "the" Ops'}

    there = {name for (name,) in pair.other.execute("SELECT rolname FROM pg_roles")}  # the server is shared
    copy = engine(pair.other, ODD + " copy", owners=True)
    notes = copy.load(tmp_path, 2, expected, unwatched)
    got = copy.contents(expected)
    assert compare(expected, got) == []
    assert warnings(expected, got) == ["DATABASE: not carried is absent, not commented 'not a copy'"]
    made = {note for note in notes if note.startswith("made the role")}
    assert made == {f"made the role {role}, without a password" for role in set(expected.roles) - there}
    assert got.rows == expected.rows > 2500


def test_a_developers_copy_differs_in_owners_and_grants_only(pair: Pair, tmp_path: Path) -> None:
    if not pair.source.execute("SELECT 1 FROM pg_database WHERE datname = 'plain'"):
        hard(pair.source, "plain")
    expected = backup(engine(pair.source, "plain"), tmp_path).contents
    copy = engine(pair.source, "mine")
    copy.load(tmp_path, 1, expected, unwatched)
    got = copy.contents(expected)
    assert compare(expected, got, groups=expected.groups.keys() - OWNERSHIP) == []
    assert {m.what for m in compare(expected, got)} == set(OWNERSHIP)


def test_policies_find_their_roles_on_a_server_that_has_none(pair: Pair, tmp_path: Path) -> None:
    pair.source.create("policies")
    script(
        pair.source,
        "policies",
        "CREATE ROLE tenant; CREATE TABLE t (i int); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
        " CREATE POLICY p ON t TO tenant USING (true);",
    )
    saved = backup(engine(pair.source, "policies"), tmp_path)
    notes = engine(pair.other, "policies").load(tmp_path, 1, saved.contents, unwatched)
    assert [note for note in notes if "tenant" in note]
    assert pair.other.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'tenant'") == [(False,)]


def test_facts(pair: Pair) -> None:
    pair.source.create("facts")
    facts = engine(pair.source, "facts").facts()
    assert facts.empty and not facts.copy
    assert facts.identity == str(pair.source.execute("SELECT system_identifier FROM pg_control_system()")[0][0])
    assert facts.identity != engine(pair.other, "postgres").facts().identity
    assert facts.server_version.split(".")[0] == facts.client_version.split(".")[0] == str(pair.major)
    assert facts.details["encoding"] == "UTF8" and facts.details["flavour"] == "postgres"
    script(
        pair.source,
        "facts",
        f"COMMENT ON DATABASE facts IS '{MARK} of app'; CREATE TABLE t AS SELECT repeat('x', 9999)",
    )
    facts = engine(pair.source, "facts").facts()
    assert facts.copy and not facts.empty
    assert facts.bytes > facts.largest > 0


def test_loading_refuses_a_database_that_holds_anything(pair: Pair, tmp_path: Path) -> None:
    pair.source.create("small")
    saved = backup(engine(pair.source, "small"), tmp_path)
    assert saved.contents.notes == ("the database has no table",)
    pair.other.create("taken")
    script(pair.other, "taken", "CREATE TYPE only_a_type AS ENUM ()")
    with pytest.raises(Refused, match=r"taken.*not empty"):
        engine(pair.other, "taken").load(tmp_path, 1, saved.contents, unwatched)


def test_an_empty_database_keeps_what_belongs_to_it(pair: Pair, tmp_path: Path) -> None:
    """Made anew, since its encoding is another: owner, grants, settings, limit and comment stay."""
    pair.source.create("utf8")
    script(pair.source, "utf8", "CREATE TABLE t AS SELECT '🎈' AS t")
    saved = backup(engine(pair.source, "utf8"), tmp_path)
    name = quoted('other "encoding"')
    script(
        pair.other,
        "postgres",
        f"CREATE ROLE kept; CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';"
        f" ALTER DATABASE {name} OWNER TO kept; ALTER DATABASE {name} CONNECTION LIMIT 17;"
        f" ALTER DATABASE {name} SET work_mem = '9MB'; ALTER DATABASE {name} SET default_transaction_read_only = on;"
        f" COMMENT ON DATABASE {name} IS '{MARK}';"
        f" REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",
    )
    copy = engine(pair.other, 'other "encoding"')
    copy.load(tmp_path, 1, saved.contents, unwatched)
    (row,) = pair.other.execute(
        "SELECT pg_get_userbyid(datdba), datconnlimit, pg_encoding_to_char(encoding),"
        " has_database_privilege('pg_monitor', oid, 'CONNECT'), shobj_description(oid, 'pg_database') FROM"
        " pg_database WHERE datname = 'other \"encoding\"'"
    )
    assert row == ("kept", 17, "UTF8", False, MARK)
    for setting, value in (("work_mem", "9MB"), ("default_transaction_read_only", "on")):
        assert pair.other.execute(f"SHOW {setting}", 'other "encoding"') == [(value,)]


def test_a_role_that_is_set_to_read_only_may_still_restore(pair: Pair, tmp_path: Path) -> None:
    pair.source.create("polite")
    script(pair.source, "polite", "CREATE TABLE t AS SELECT 1 AS i")
    saved = backup(engine(pair.source, "polite"), tmp_path)
    script(pair.other, "postgres", "CREATE ROLE polite SUPERUSER LOGIN PASSWORD 'p'")
    script(pair.other, "postgres", "ALTER ROLE polite SET default_transaction_read_only = on")
    copy = engine(pair.other, "polite", user="polite", password="p")
    copy.load(tmp_path, 1, saved.contents, unwatched)
    assert compare(saved.contents, copy.contents(saved.contents), groups={"schema"}) == []


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_other_encodings(pair: Pair, tmp_path: Path, encoding: str) -> None:
    """In SQL_ASCII a name or a value may be any bytes."""
    name = f"in_{encoding.lower()}"
    pair.source.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
    byte = "\xe9" if encoding == "LATIN1" else "\xff\xe9"
    statement = f'SET client_encoding = {encoding}; CREATE TABLE "na{byte}ve" AS SELECT \'{byte}\'::text AS "{byte}"'
    script(pair.source, name, statement.encode("latin1"))
    saved = backup(engine(pair.source, name), tmp_path)
    assert saved.contents.rows == 1
    copy = engine(pair.other, name)
    copy.load(tmp_path, 1, saved.contents, unwatched)
    assert compare(saved.contents, copy.contents(saved.contents)) == []
    assert copy.facts().details["encoding"] == encoding


def test_a_client_encoding_that_the_database_sets_alters_nothing(pair: Pair, tmp_path: Path) -> None:
    pair.source.create("latin")
    script(
        pair.source,
        "latin",
        "CREATE TABLE \"é\" AS SELECT 'é🎈' AS t; CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''🎈''';"
        " ALTER DATABASE latin SET client_encoding = 'LATIN1'",
    )
    saved = backup(engine(pair.source, "latin"), tmp_path)
    copy = engine(pair.other, "latin")
    copy.load(tmp_path, 1, saved.contents, unwatched)
    assert compare(saved.contents, copy.contents(saved.contents)) == []


def test_backups_under_writes_are_sound(pair: Pair, tmp_path: Path) -> None:
    """Rows are inserted, changed, deleted, truncated; tables and sequences come and go; nothing is said to differ."""
    pair.source.create("busy")
    script(
        pair.source,
        "busy",
        "CREATE TABLE a (id bigserial PRIMARY KEY, t text, n int DEFAULT 0);"
        " CREATE TABLE b (id bigserial PRIMARY KEY, a bigint REFERENCES a ON DELETE CASCADE);"
        " CREATE TABLE gone (i int); INSERT INTO a (t) SELECT repeat('x', 100) FROM generate_series(1, 20000);"
        " INSERT INTO b (a) SELECT id FROM a; SELECT lo_create(0) FROM generate_series(1, 5)",
    )
    stop = threading.Event()
    failed: list[str] = []
    threads = [
        threading.Thread(target=_write, args=(pair.source, statements, stop, failed))
        for statements in (
            ["INSERT INTO a (t) SELECT 'new' FROM generate_series(1, 50)", "UPDATE a SET n = n + 1 WHERE id % 97 = 3"],
            ["INSERT INTO b (a) SELECT max(id) FROM a", "DELETE FROM a WHERE id % 101 = 7", "SELECT lo_create(0)"],
            ["SELECT nextval('a_id_seq') FROM generate_series(1, 100)", "INSERT INTO gone VALUES (1)"],
        )
    ]
    for thread in threads:
        thread.start()
    try:
        saved = []
        for i in range(3):
            (tmp_path / str(i)).mkdir()
            saved.append(backup(engine(pair.source, "busy"), tmp_path / str(i)))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    for i, one in enumerate(saved):
        copy = engine(pair.other, f"busy{i}", owners=True)
        copy.load(one.folder, 2, one.contents, unwatched)
        assert compare(one.contents, copy.contents(one.contents)) == []
    assert saved[0].contents.rows != saved[2].contents.rows, "nobody wrote: this shows nothing"


def _write(server: Postgres, statements: list[str], stop: threading.Event, failed: list[str]) -> None:
    """By psql: the hook by which killick's sessions wait belongs to all of a process's psycopg2."""
    try:
        while not stop.is_set():
            script(server, "busy", ";\n".join(statements * 20))
    except Exception as error:
        failed.append(str(error))


def test_single_tables_come_with_what_they_need(pair: Pair, tmp_path: Path) -> None:
    if not pair.source.execute("SELECT 1 FROM pg_database WHERE datname = 'plain'"):
        hard(pair.source, "plain")
    expected = backup(engine(pair.source, "plain"), tmp_path).contents
    wanted = {"public.orders", '"Weird Schema"."Tab le ""q"" \'a\' %s 🎈"'}
    copy = engine(pair.other, "some")
    copy.load(tmp_path, 1, expected, unwatched, only=wanted)
    got = copy.contents(expected)
    assert set(got.tables) == wanted
    assert all(got.tables[key] == expected.tables[key] for key in wanted)
    assert "CONSTRAINT public.orders orders_pkey" in got.groups["schema"]
    assert "INDEX public.orders_of" in got.groups["schema"]
    assert got.sequences["public.orders_id_seq"] == expected.sequences["public.orders_id_seq"]


def test_postgis_with_topology(postgis: Postgres, tmp_path: Path) -> None:
    postgis.create("gis")
    script(
        postgis,
        "gis",
        "CREATE EXTENSION postgis; CREATE EXTENSION postgis_topology;"
        " CREATE TABLE places (id serial, at geometry(Point, 4326), g geography);"
        " CREATE INDEX ON places USING gist (at); INSERT INTO places (at, g)"
        " SELECT st_setsrid(st_point(i % 180, i % 90), 4326), st_setsrid(st_point(i, 0), 4326)"
        " FROM generate_series(1, 100) i;"
        " SELECT topology.CreateTopology('roads', 4326); CREATE TABLE road (id int);"
        " SELECT topology.AddTopoGeometryColumn('roads', 'public', 'road', 'topo', 'LINE');"
        " SELECT topology.TopoGeo_AddLineString('roads', st_geomfromtext('LINESTRING(0 0, 1 1, 2 0)', 4326));"
        " INSERT INTO spatial_ref_sys (srid, srtext) VALUES (990001, 'ours');",
    )
    saved = backup(engine(postgis, "gis"), tmp_path)
    assert saved.contents.tables["public.spatial_ref_sys"].rows == 1
    assert engine(postgis, "gis").facts().details["flavour"] == "postgis"
    postgis.create("born")
    script(postgis, "born", "CREATE EXTENSION postgis; CREATE EXTENSION postgis_topology")
    assert engine(postgis, "born").facts().empty
    for name in ("fresh", "born"):
        copy = engine(postgis, name)
        copy.load(tmp_path, 2, saved.contents, unwatched)
        got = copy.contents(saved.contents)
        assert compare(saved.contents, got) == []
        assert warnings(saved.contents, got) == []
    postgis.execute("UPDATE spatial_ref_sys SET srtext = 'mended' WHERE srid = 4326", "fresh")
    got = engine(postgis, "fresh").contents(saved.contents)
    assert compare(saved.contents, got) == []
    assert ["spatial_ref_sys" in line for line in warnings(saved.contents, got)] == [True]


ROUTED = """
    CREATE TYPE size AS ENUM ('z', 'a'); ALTER TYPE size ADD VALUE 'm' BEFORE 'a';
    CREATE TABLE sold (size size, what text, twice text GENERATED ALWAYS AS (what || what) STORED)
        PARTITION BY HASH (size);
    CREATE TABLE sold_0 PARTITION OF sold FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE sold_1 {other};
    INSERT INTO sold SELECT (enum_range(NULL::size))[1 + i % 3], 'thing ' || i FROM generate_series(1, 300) i"""
SAME = "PARTITION OF sold FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
TURNED = """(what text, size size, twice text GENERATED ALWAYS AS (what || what) STORED);
    ALTER TABLE sold ATTACH PARTITION sold_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1)"""


@pytest.mark.parametrize(
    ("other", "evidence", "seen"),
    [(SAME, "dump", True), (SAME, "server", True), (TURNED, "dump", False), (TURNED, "server", True)],
)
def test_hash_partitions_of_an_enum_change_places(
    pair: Pair, tmp_path: Path, other: str, evidence: str, seen: bool
) -> None:
    """pg_dump loads them through their root, since an enum's hash is no other database's."""
    script(pair.source, "postgres", "DROP DATABASE IF EXISTS routed; CREATE DATABASE routed TEMPLATE template0")
    script(pair.source, "routed", ROUTED.format(other=other))
    expected = backup(engine(pair.source, "routed", evidence=evidence), tmp_path).contents
    script(pair.other, "postgres", "DROP DATABASE IF EXISTS routed")
    copy = engine(pair.other, "routed")
    copy.load(tmp_path, 2, expected, unwatched)
    placed = {key: table.rows for key, table in expected.tables.items()}
    where = "SELECT 'public.' || tableoid::regclass, count(*)::int FROM sold GROUP BY 1"
    for _ in range(20):  # a label's hash is another each time: until the rows lie otherwise
        if dict(pair.other.execute(where, "routed")) != placed:
            break
        pair.other.execute("DROP DATABASE routed")
        copy.load(tmp_path, 2, expected, unwatched)
    got = copy.contents(expected)
    groups = expected.groups.keys() - OWNERSHIP
    assert compare(expected, got, groups=groups) == []
    assert any("rows' number only" in note for note in got.notes) is not seen
    pair.other.execute("UPDATE sold SET what = 'other' WHERE what = 'thing 7'", "routed")
    if seen:
        assert compare(expected, copy.contents(expected), groups=groups)
    pair.other.execute("DELETE FROM sold WHERE what = 'thing 8'", "routed")
    assert compare(expected, copy.contents(expected), groups=groups)
