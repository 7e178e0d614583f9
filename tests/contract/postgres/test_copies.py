"""Whatever is hard to restore, restored as a developer's copy: without owners, on a server that knows nobody."""

from dataclasses import replace
from pathlib import Path

import pytest

from killick.compare import OWNERSHIP, compare, warnings
from killick.errors import RestoreError, Unreachable
from killick.watch import unwatched
from tests.contract.postgres.conftest import Pair, backup, engine, script
from tests.lab.postgres import Postgres


def test_owners_and_privileges_are_nobodys(pair: Pair, tmp_path: Path) -> None:
    """The roles are not on the copy's server, nor made there: nothing names them."""
    pair.source.create("owned")
    script(
        pair.source,
        "owned",
        "CREATE ROLE somebody; CREATE ROLE anybody IN ROLE somebody; CREATE SCHEMA s AUTHORIZATION somebody;"
        " CREATE TABLE s.t (i int); ALTER TABLE s.t OWNER TO somebody; GRANT ALL ON s.t TO anybody;"
        " ALTER DEFAULT PRIVILEGES FOR ROLE somebody IN SCHEMA s GRANT SELECT ON TABLES TO anybody;"
        " ALTER ROLE somebody IN DATABASE owned SET work_mem = '7MB'; ALTER DATABASE owned OWNER TO somebody",
    )
    saved = backup(engine(pair.source, "owned"), tmp_path)
    copy = engine(pair.other, "disowned")
    assert copy.load(tmp_path, 1, saved.contents, unwatched) == ()
    got = copy.contents(saved.contents)
    assert compare(saved.contents, got, groups=saved.contents.groups.keys() - OWNERSHIP) == []
    assert set(got.groups["owners"].values()) == {"postgres"} and got.groups["grants"] == {}
    assert pair.other.execute("SELECT count(*) FROM pg_default_acl", "disowned") == [(0,)]
    assert not pair.other.execute("SELECT 1 FROM pg_roles WHERE rolname IN ('somebody', 'anybody')")


@pytest.mark.parametrize("owners", [False, True])
def test_event_triggers_do_not_fire_during_the_load(pair: Pair, tmp_path: Path, owners: bool) -> None:
    """Not even for the filling of materialized views, which is last of all. Disabled ones stay so."""
    if not pair.source.execute("SELECT 1 FROM pg_database WHERE datname = 'eventful'"):
        pair.source.create("eventful")
        script(
            pair.source,
            "eventful",
            "CREATE TABLE t AS SELECT 1 AS i; CREATE INDEX ON t (i); CREATE MATERIALIZED VIEW m AS SELECT * FROM t;"
            " CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'it fired'; END $$;"
            " CREATE EVENT TRIGGER off ON ddl_command_end EXECUTE FUNCTION f(); ALTER EVENT TRIGGER off DISABLE;"
            " CREATE EVENT TRIGGER always ON ddl_command_end EXECUTE FUNCTION f();"
            " ALTER EVENT TRIGGER always ENABLE ALWAYS; COMMENT ON EVENT TRIGGER always IS 'a watchman'",
        )
    saved = backup(engine(pair.source, "eventful"), tmp_path)
    copy = engine(pair.other, f"eventful_{owners}", owners=owners)
    copy.load(tmp_path, 2, saved.contents, unwatched)
    got = copy.contents(saved.contents)
    assert compare(saved.contents, got, groups=saved.contents.groups.keys() - OWNERSHIP) == []
    enabled = pair.other.execute(
        "SELECT evtname, evtenabled::text FROM pg_event_trigger ORDER BY 1", f"eventful_{owners}"
    )
    assert enabled == [("always", "A"), ("off", "D")]
    with pytest.raises(Exception, match="it fired"):
        pair.other.execute("CREATE TABLE u ()", f"eventful_{owners}")


def test_security_labels_of_a_provider_that_is_not_here(postgres16: Postgres, tmp_path: Path) -> None:
    """A label can be made only where its provider is loaded: this one is written into the catalog."""
    postgres16.create("labelled")
    script(
        postgres16,
        "labelled",
        "CREATE TABLE people (name text); INSERT INTO people VALUES ('a'); SET allow_system_table_mods = on;"
        " INSERT INTO pg_seclabel VALUES ('people'::regclass, 'pg_class'::regclass, 1, 'anon', 'MASKED WITH VALUE x')",
    )
    saved = backup(engine(postgres16, "labelled"), tmp_path)
    copy = engine(postgres16, "unlabelled")
    (note,) = copy.load(tmp_path, 1, saved.contents, unwatched)
    assert '1 security labels were left out: pg_restore: security label provider "anon" is not loaded' in note
    assert copy.contents(saved.contents).tables == saved.contents.tables
    with pytest.raises(RestoreError) as caught:
        engine(postgres16, "labelled_too", owners=True).load(tmp_path, 1, saved.contents, unwatched)
    assert caught.value.reason == "missing-extension"


@pytest.mark.parametrize("encoding", ["UTF8", "LATIN1"])
def test_a_locale_that_the_server_lacks(pair: Pair, tmp_path: Path, encoding: str) -> None:
    name = f"local_{encoding.lower()}"
    pair.source.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")
    script(pair.source, name, "CREATE TABLE t AS SELECT U&'\\00e9' AS t")
    saved = backup(engine(pair.source, name), tmp_path)
    place = {**saved.contents.groups["database"], "collate": "xx_YY.utf8", "ctype": "xx_YY.utf8", "locale": ""}
    elsewhere = replace(saved.contents, groups={**saved.contents.groups, "database": place})
    copy = engine(pair.other, name)
    (note,) = copy.load(tmp_path, 1, elsewhere, unwatched)
    assert "no locale xx_YY.utf8" in note
    assert copy.contents(saved.contents).tables == saved.contents.tables
    assert copy.facts().details["encoding"] == encoding


def test_a_role_s_setting_that_the_server_lacks_costs_no_role(pair: Pair, tmp_path: Path) -> None:
    """This machine lacks the locale too, so it is written into the catalog, as a server that has it would."""
    script(
        pair.source,
        "postgres",
        """CREATE DATABASE "clerk's" TEMPLATE template0; CREATE ROLE "O'Clerk";
        ALTER ROLE "O'Clerk" SET work_mem = '8MB'; SET allow_system_table_mods = on;
        UPDATE pg_db_role_setting SET setconfig = '{lc_messages=de_DE.UTF-8,of_another_major=on}' || setconfig
            WHERE setrole = '"O''Clerk"'::regrole""",
    )
    script(pair.source, "clerk's", """CREATE TABLE t (i int); ALTER TABLE t OWNER TO "O'Clerk" """)
    saved = backup(engine(pair.source, "clerk's"), tmp_path)
    notes = engine(pair.other, "clerk's", owners=True).load(tmp_path, 1, saved.contents, unwatched)
    refused = [note for note in notes if "could not be made" in note]
    for setting, note in zip(("lc_messages", "of_another_major"), refused, strict=True):
        assert note.startswith(f"""the setting {setting} of the role "O'Clerk" could not be made: """)
    query = """SELECT setconfig FROM pg_db_role_setting WHERE setrole = '"O''Clerk"'::regrole"""
    assert pair.other.execute(query) == [(["work_mem=8MB"],)]
    pair.other.execute("""DROP DATABASE "clerk's" """)
    pair.other.execute("""DROP ROLE "O'Clerk" """)


def test_a_missing_extension_is_told_before_anything_is_made(
    debian15: Postgres, postgres16: Postgres, tmp_path: Path
) -> None:
    debian15.create("needy")
    script(debian15, "needy", "CREATE EXTENSION file_fdw; CREATE TABLE t (i int)")
    saved = backup(engine(debian15, "needy"), tmp_path)
    with pytest.raises(RestoreError, match='lacks the extension "file_fdw"') as caught:
        engine(postgres16, "needy").load(tmp_path, 1, saved.contents, unwatched)
    assert caught.value.reason == "missing-extension" and "postgres:15" in caught.value.hint
    assert not postgres16.execute("SELECT 1 FROM pg_database WHERE datname = 'needy'")
    engine(postgres16, "content").load(tmp_path, 1, saved.contents, unwatched, {"public.t"})  # it needs none


def test_a_database_out_of_template_postgis(postgis: Postgres, tmp_path: Path) -> None:
    """As the image postgis/postgis makes them: born with its tables, their rows, and search_path set."""
    postgis.create("template_postgis")
    script(
        postgis,
        "template_postgis",
        "CREATE EXTENSION postgis; CREATE EXTENSION postgis_topology; CREATE EXTENSION fuzzystrmatch;"
        " CREATE EXTENSION postgis_tiger_geocoder; ALTER DATABASE template_postgis IS_TEMPLATE true",
    )
    postgis.execute("CREATE DATABASE mapped_out TEMPLATE template_postgis")
    script(
        postgis,
        "mapped_out",
        "CREATE TABLE places (id serial PRIMARY KEY, at geometry(Point, 4326));"
        " INSERT INTO places (at) SELECT st_setsrid(st_point(i, i), 4326) FROM generate_series(1, 80) i;"
        " CREATE INDEX ON places USING gist (at); CREATE VIEW near AS SELECT * FROM places"
        "  WHERE st_dwithin(at, st_setsrid(st_point(0, 0), 4326), 5);"
        " INSERT INTO spatial_ref_sys (srid, srtext) VALUES (990002, 'ours'); SELECT topology.CreateTopology('net');"
        " ALTER DATABASE mapped_out SET search_path = public, tiger, topology",
    )
    saved = backup(engine(postgis, "mapped_out"), tmp_path)
    postgis.execute("CREATE DATABASE born_of_it TEMPLATE template_postgis")
    for name in ("born_of_nothing", "born_of_it"):
        copy = engine(postgis, name)
        copy.load(tmp_path, 2, saved.contents, unwatched)
        got = copy.contents(saved.contents)
        assert compare(saved.contents, got, groups=saved.contents.groups.keys() - OWNERSHIP) == []
        assert warnings(saved.contents, got) == []
        assert len(postgis.execute("SELECT 1 FROM near", name)) == 3


def test_a_foreign_partition_that_is_not_reached_has_no_statistics(debian15: Postgres, tmp_path: Path) -> None:
    """ANALYZE would ask its server; the copy is made all the same, and the other tables have theirs."""
    debian15.create("abroad")
    script(
        debian15,
        "abroad",
        "CREATE EXTENSION postgres_fdw; CREATE SERVER dead FOREIGN DATA WRAPPER postgres_fdw OPTIONS (port '1');"
        "CREATE TABLE kept (i int) PARTITION BY RANGE (i); CREATE TABLE here PARTITION OF kept DEFAULT;"
        "CREATE FOREIGN TABLE there PARTITION OF kept FOR VALUES FROM (1) TO (9) SERVER dead;"
        "INSERT INTO here VALUES (100), (200); CREATE TABLE later AS SELECT generate_series(1, 100) i",
    )
    expected = backup(engine(debian15, "abroad"), tmp_path).contents
    copy = engine(debian15, "abroad copy")
    copy.load(tmp_path, 1, expected, unwatched)
    copy.settle()
    known = {name for (name,) in debian15.execute("SELECT DISTINCT tablename FROM pg_stats", "abroad copy")}
    assert {"here", "later"} <= known


def test_a_connection_that_is_lost_among_the_statistics_is_no_tables_fault(debian15: Postgres) -> None:
    debian15.create("cut")
    script(
        debian15,
        "cut",
        "CREATE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN i; END';"
        "CREATE TABLE t (i int); INSERT INTO t VALUES (1), (2); CREATE INDEX ON t (f(i));"
        "CREATE OR REPLACE FUNCTION f(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN"
        " IF current_query() = 'ANALYZE' THEN RAISE 'not so'; END IF;"
        " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN i; END $$",
    )
    with pytest.raises(Unreachable):
        engine(debian15, "cut").settle()
