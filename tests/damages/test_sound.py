"""Sound backups pass: of databases that are written into, that are hard, that lie elsewhere. No false alarm."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from killick.engines import Source
from killick.errors import CommandFailed, SourceError
from tests.contract.postgres.conftest import hard, script
from tests.damages.truth import verified
from tests.damages.writers import SCHEMA, Rounds, writing
from tests.end_to_end.backups import Backups
from tests.lab import postgres, regress
from tests.lab.postgres import Postgres
from verify.options import Options

FIRST = postgres.all_majors()[0]
TIMES = [*range(20), *(pytest.param(n, marks=pytest.mark.slow) for n in range(20, 100))]


@pytest.fixture(scope="module")
def busy() -> Iterator[tuple[Postgres, Rounds]]:
    """A server whose database `busy` is written into all the time; how often each writer went round."""
    with Postgres(FIRST) as server:
        server.create("busy")
        server.execute(SCHEMA, "busy")
        with writing(server, "busy") as rounds:
            yield server, rounds


@pytest.mark.parametrize("number", TIMES)
def test_under_writers(busy: tuple[Postgres, Rounds], tmp_path: Path, options: Options, number: int) -> None:
    server, rounds = busy
    before = rounds()
    backups = Backups(tmp_path / "store")
    id = made(backups, Source("db", server.url("busy")))
    passes(backups, id, options)
    assert all(now > then for then, now in zip(before, rounds(), strict=True)), "a writer stood still"


PLACES = {
    "LATIN1": "ENCODING 'LATIN1' LOCALE 'C'",
    "SQL_ASCII": "ENCODING 'SQL_ASCII' LOCALE 'C'",
    "EUC_JP": "ENCODING 'EUC_JP' LOCALE 'C'",
    "ICU": "ENCODING 'UTF8' LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk'",
}
WORDS = {"LATIN1": "äöü ß ÿ", "SQL_ASCII": "äöü 🎈", "EUC_JP": "日本 仮名", "ICU": "Ärger Ähre Zorn ß 🎈"}


@pytest.mark.parametrize("place", PLACES)
def test_in_another_encoding_or_locale(
    busy: tuple[Postgres, Rounds], tmp_path: Path, options: Options, place: str
) -> None:
    server, _ = busy
    server.execute(f'CREATE DATABASE "{place}" TEMPLATE template0 {PLACES[place]}')
    script(
        server,
        place,
        f"SET client_encoding = {'SQL_ASCII' if place == 'SQL_ASCII' else 'UTF8'};"
        f' CREATE TABLE words (word text UNIQUE, "{WORDS[place][:2]}" int,'
        f" CHECK (word <> '{WORDS[place]}!'));"
        f" INSERT INTO words SELECT unnest(string_to_array('{WORDS[place]}', ' '));"
        f" COMMENT ON TABLE words IS '{WORDS[place]}'; CREATE INDEX ON words (lower(word), word DESC)",
    )
    backups = Backups(tmp_path / "store")
    assert passes(backups, backups.make(Source("db", server.url(place))), options) == ()


def test_settings_of_a_locale_that_the_throwaway_lacks(
    busy: tuple[Postgres, Rounds], tmp_path: Path, options: Options
) -> None:
    """This machine lacks it too, so they are written into the catalog, as a server that has it would."""
    server, _ = busy
    server.create("german")
    script(
        server,
        "german",
        "CREATE ROLE clerk; CREATE TABLE t (i int); ALTER TABLE t OWNER TO clerk; SET allow_system_table_mods = on;"
        " INSERT INTO pg_db_role_setting SELECT oid, 0, '{lc_time=de_DE.UTF-8,TimeZone=Mars/Crater}' FROM pg_database"
        " WHERE datname = 'german'; INSERT INTO pg_db_role_setting SELECT d.oid, r.oid, '{lc_numeric=de_DE.UTF-8}'"
        " FROM pg_database d, pg_roles r WHERE datname = 'german' AND rolname = 'clerk'",
    )
    backups = Backups(tmp_path / "store")
    warned = passes(backups, backups.make(Source("db", server.url("german"))), options)
    for name in ("lc_time", "TimeZone", "clerk lc_numeric"):
        assert any(f"locale or time zone: {name}: " in warning for warning in warned)


def test_of_an_older_minor(tmp_path: Path, options: Options) -> None:
    """Backed up from the first minor of its series by clients of a later one, and restored into that one's server."""
    with Postgres(17, contrib=True) as old:
        hard(old, "truth")
        backups = Backups(tmp_path / "store")
        id = backups.make(Source("db", old.url("truth")))
    report = verified(backups, id, options)
    assert (report.result, report.mismatches) == ("passed", ()), report.text()
    assert report.copy is not None
    assert backups.manifest(id).server_version == "17.0"
    assert report.copy.version != "17.0"


def test_what_no_dump_carries(busy: tuple[Postgres, Rounds], tmp_path: Path, options: Options) -> None:
    """It is told with the backup and with each verification, which passes."""
    server, _ = busy
    server.create("left")
    script(
        server,
        "left",
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES parent);"
        " CREATE INDEX halfway ON child (id); ALTER TABLE child DISABLE TRIGGER ALL;"
        " UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'halfway'::regclass;"
        ' REVOKE CONNECT ON DATABASE "left" FROM PUBLIC',
    )
    backups = Backups(tmp_path / "store")
    id = backups.make(Source("db", server.url("left")))
    warned = " ".join(passes(backups, id, options))
    noted = " ".join(backups.manifest(id).warnings)
    for name in ("INDEX public.halfway", "TABLE public.child", "DATABASE"):
        assert f"{name}: not carried" in warned
        assert f"not carried by a dump: {name} " in noted


def test_what_belongs_to_the_database_itself(tmp_path: Path, options: Options) -> None:
    """No dump carries that either."""
    with Postgres(16) as server:
        server.execute("CREATE ROLE clerk")
        server.execute("CREATE DATABASE mine TEMPLATE template0 OWNER clerk CONNECTION LIMIT 50")
        script(
            server,
            "mine",
            "CREATE TABLE t (i int); COMMENT ON DATABASE mine IS 'the shop''s'; SET allow_system_table_mods = on;"
            " UPDATE pg_database SET daticurules = '&V << w' WHERE datname = 'mine'",  # this build is without ICU
        )
        backups = Backups(tmp_path / "store")
        id = backups.make(Source("db", server.url("mine")))
    state = """owned by clerk, commented "the shop's", limited to 50 connections, of the ICU rules '&V << w'"""
    assert backups.manifest(id).warnings == (f"not carried by a dump: DATABASE is {state}",)
    assert f"DATABASE: not carried is absent, not {state}" in passes(backups, id, options)


def test_a_database_that_its_own_role_backs_up_is_carried_whole(tmp_path: Path) -> None:
    """A role that owns it, and the database postgres, which initdb comments on."""
    with Postgres(16) as server:
        server.execute("CREATE ROLE app LOGIN CREATEDB PASSWORD 'secret'")
        server.execute("CREATE DATABASE plain TEMPLATE template0 OWNER app")
        server.execute("""COMMENT ON DATABASE plain IS 'killick: copy {"database": "plain"}'""")
        for database, user, password in (("plain", "app", "secret"), ("postgres", None, None)):
            server.execute("CREATE TABLE t (i int)", database)
            server.execute("GRANT SELECT ON t TO PUBLIC", database)
            backups = Backups(tmp_path / database)
            id = backups.make(Source("db", server.url(database, user, password)))
            assert backups.manifest(id).warnings == ()


@pytest.mark.slow
def test_postgres_own_regression_database(tmp_path: Path, options: Options) -> None:
    with Postgres(15, settings={"max_prepared_transactions": "4", "wal_level": "logical"}) as server:
        regress.fill(server, "regression")
        ((tables,),) = server.execute("SELECT count(*) FROM pg_class WHERE relkind = 'r'", "regression")
        assert tables > 500
        backups = Backups(tmp_path / "store")
        passes(backups, backups.make(Source("db", server.url("regression"))), options)


def made(backups: Backups, source: Source) -> str:
    """A table may be dropped, or wanted by a migration, before pg_dump has it: then there is no backup, and one is
    taken again."""
    for hour in range(30):
        try:
            return backups.make(source, hour)
        except (CommandFailed, SourceError):
            continue
    raise AssertionError("no dump of thirty came about")


def passes(backups: Backups, id: str, options: Options) -> tuple[str, ...]:
    """To the highest level; its warnings."""
    report = verified(backups, id, options)
    assert (report.result, report.level, report.mismatches) == ("passed", 4, ()), report.text()
    return report.warnings
