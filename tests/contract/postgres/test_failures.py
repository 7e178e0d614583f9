"""What goes wrong: told in one sentence with its cure, and never taken for a backup or a restore."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from killick.compare import OWNERSHIP, compare
from killick.contents import Contents, Sequence
from killick.engines import Source
from killick.engines.postgres import Postgres as Engine
from killick.engines.postgres import catalog
from killick.engines.postgres.address import connect
from killick.engines.postgres.catalog import Numbers
from killick.engines.postgres.session import Session
from killick.errors import (
    AccessDenied,
    CommandFailed,
    Corrupt,
    DatabaseMissing,
    EmptyDump,
    KillickError,
    RestoreError,
    SettingsError,
    SourceError,
    Unreachable,
    Unsupported,
)
from killick.programs import installed
from killick.watch import unwatched
from tests.contract.postgres.conftest import Pair, backup, engine, fake, hard, has_extension, script
from tests.kit import wait_for
from tests.lab.postgres import Postgres
from tests.lab.server import free_ports

SECRET = "s3cret 'x' \\ %"


@pytest.fixture(scope="module")
def server(postgres16: Postgres) -> Postgres:
    postgres16.create("shop")
    quoted = SECRET.replace("'", "''")
    script(
        postgres16,
        "shop",
        f"CREATE ROLE backup LOGIN PASSWORD '{quoted}' IN ROLE pg_read_all_data;"
        " CREATE ROLE poor LOGIN PASSWORD 'poor';"
        " CREATE TABLE orders AS SELECT i, 'order ' || i AS t FROM generate_series(1, 1000) i;"
        " CREATE TABLE empty (i int)",
    )
    return postgres16


def as_backup(server: Postgres, database: str = "shop") -> Engine:
    return engine(server, database, user="backup", password=SECRET)


def test_a_wrong_password_and_an_unknown_role(server: Postgres) -> None:
    for user, password in (("backup", "wrong"), ("nobody there", SECRET)):
        with pytest.raises(AccessDenied) as caught:
            engine(server, "shop", user=user, password=password).facts()
        assert password not in str(caught.value) and user in caught.value.message
        assert "DATABASE_PASSWORD" in caught.value.hint


RULES = {
    "rejected": ("host all backup 127.0.0.1/32 reject", "", "lets user backup not connect to shop from here"),
    "not named": ("", "", "lets user backup not connect to shop from here"),
    "another kind of login": (
        "host all backup 127.0.0.1/32 ident", "", r"asks user backup for no password: Ident authentication failed"
    ),
    "plain where TLS is wanted": (
        "hostssl all backup 127.0.0.1/32 trust\nhostnossl all backup 127.0.0.1/32 reject",
        "disable",
        "lets user backup not connect to shop from here",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "sslmode", "said"), RULES.values(), ids=RULES)
def test_rules_of_the_server_that_keep_us_out(server: Postgres, lines: str, sslmode: str, said: str) -> None:
    place = Path(str(server.execute("SHOW hba_file")[0][0]))
    before = place.read_text()
    place.write_text(f"{lines}\nhost all postgres 127.0.0.1/32 trust\n")
    url = f"postgres://backup@127.0.0.1:{server.port}/shop" + (f"?sslmode={sslmode}" if sslmode else "")
    try:
        assert server.execute("SELECT pg_reload_conf()") == [(True,)]
        with pytest.raises(AccessDenied, match=said) as caught:
            for _ in range(200):  # until the server has read it
                Engine(Source("db", url, SECRET)).facts()
    finally:
        place.write_text(before)
        server.execute("SELECT pg_reload_conf()")
    assert "pg_hba.conf" in caught.value.hint
    assert ("?sslmode=disable" in caught.value.hint) == bool(sslmode)
    assert SECRET not in str(caught.value)


def test_no_statement_meets_the_haste_that_is_set_for_the_database(postgres16: Postgres) -> None:
    postgres16.create("hasty")
    postgres16.execute("ALTER DATABASE hasty SET statement_timeout = '1ms'")
    said: list[str | bytes] = []

    class Heard(Session):
        def execute(self, statement: str | bytes) -> str:
            said.append(statement)
            return super().execute(statement)

        def rows(self, query: str | bytes) -> list[tuple[Any, ...]]:
            said.append(query)
            return super().rows(query)

    connection = connect(engine(postgres16, "hasty").address)
    try:
        Heard(connection).pin()
    finally:
        connection.close()
    assert said[0] == "SET statement_timeout = 0"


def test_a_table_that_somebody_locked_is_no_hindrance_to_a_look(postgres16: Postgres) -> None:
    """At a target, say, with a migration that hangs: its sessions are ended before the swap anyway."""
    postgres16.create("stuck")
    postgres16.execute("CREATE TABLE orders AS SELECT generate_series(1, 1000)", "stuck")
    postgres16.execute("VACUUM orders", "stuck")
    holder = postgres16.connect("stuck")
    try:
        holder.cursor().execute("BEGIN; LOCK TABLE orders")
        facts = engine(postgres16, "stuck").facts()
    finally:
        holder.close()
    assert facts.largest == 5 * 8192 and not facts.empty


def test_nobody_listens() -> None:
    (port,) = free_ports(1)
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}"):
        Engine(Source("db", f"postgres://u@127.0.0.1:{port}/d", "p")).facts()
    with pytest.raises(Unreachable, match=r"nowhere\.invalid"):
        Engine(Source("db", "postgres://u@nowhere.invalid/d", "p")).facts()


def test_a_sequence_that_is_set_back_as_it_is_read(
    postgres16: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that began before reads it where it lay, which is empty by then: no row comes."""
    postgres16.create("restarted")
    postgres16.execute("CREATE SEQUENCE numbers; CREATE TABLE orders (id serial)", "restarted")
    postgres16.execute("SELECT nextval('numbers') FROM generate_series(1, 100)", "restarted")
    query = "SELECT 0 FROM (SELECT pg_sleep(2)) s UNION ALL SELECT last_value FROM public.numbers"
    with ThreadPoolExecutor(1) as other:
        read = other.submit(postgres16.execute, query, "restarted")
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = 'restarted'"
        wait_for(lambda: postgres16.execute(sleeping) == [(1,)])
        postgres16.execute("ALTER SEQUENCE numbers RESTART", "restarted")
        assert read.result() == [(0,)]

    asked = catalog.sequence_values

    def moved(session: Session, wanted: list[Numbers]) -> dict[str, Sequence]:
        return {key: value for key, value in asked(session, wanted).items() if key != "public.numbers"}

    with monkeypatch.context() as patch:
        patch.setattr(catalog, "sequence_values", moved)
        saved = backup(engine(postgres16, "restarted"), tmp_path)
        with pytest.raises(SourceError, match=r"the sequence public\.numbers was set back while it was read"):
            engine(postgres16, "restarted").contents(saved.contents)
    assert any("public.numbers was set back" in note for note in saved.contents.notes)
    assert compare(saved.contents, engine(postgres16, "restarted").contents(saved.contents)) == []


def test_a_missing_database_tells_of_similar_ones(server: Postgres) -> None:
    with pytest.raises(DatabaseMissing, match="no database shpo") as caught:
        as_backup(server, "shpo").facts()
    assert "shop" in caught.value.hint


def test_a_url_that_libpq_does_not_know(server: Postgres) -> None:
    with pytest.raises(SettingsError, match=r"source db: .*nonsense"):
        Engine(Source("db", "postgres://u@h/d?nonsense=1", SECRET)).facts()


def test_by_socket_with_options(server: Postgres) -> None:
    folder = str(server.sockets).replace("/", "%2F")
    url = f"postgis://postgres@{folder}:{server.port}/shop?sslmode=prefer&application_name=mine"
    assert Engine(Source("db", url, server.password)).facts().database == "shop"


def test_a_role_that_may_not_read(server: Postgres, tmp_path: Path) -> None:
    poor = engine(server, "shop", user="poor", password="poor")
    with pytest.raises(AccessDenied, match=r"\"poor\" may not read public.empty, public.orders") as caught:
        poor.dump(tmp_path, 1, unwatched)
    assert 'GRANT pg_read_all_data TO "poor"' in caught.value.hint
    assert [(check.ok, "GRANT" in check.cure) for check in poor.checks()][-1] == (False, True)
    assert all(check.ok for check in as_backup(server).checks())
    server.execute("GRANT SELECT ON orders, empty TO poor", "shop")
    assert poor.dump(tmp_path, 1, unwatched).rows == 1000


def test_row_security_and_large_objects_do_not_hide_from_us(server: Postgres, tmp_path: Path) -> None:
    server.create("hidden")
    script(server, "hidden", "CREATE TABLE t (i int); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    with pytest.raises(AccessDenied, match=r"row security hides rows of public\.t") as caught:
        as_backup(server, "hidden").dump(tmp_path, 1, unwatched)
    assert "BYPASSRLS" in caught.value.hint
    script(server, "hidden", "ALTER TABLE t DISABLE ROW LEVEL SECURITY; SELECT lo_create(77)")
    with pytest.raises(AccessDenied, match="large object") as caught:
        as_backup(server, "hidden").dump(tmp_path, 1, unwatched)
    script(server, "hidden", caught.value.hint.split(": ")[1].split(", or")[0])  # the cure is the cure
    assert as_backup(server, "hidden").dump(tmp_path, 1, unwatched).groups["large objects"]["all"].startswith("1 ")


def test_what_a_weak_role_cannot_dump_is_said(server: Postgres, tmp_path: Path) -> None:
    server.create("subscribed")
    script(
        server,
        "subscribed",
        "CREATE SUBSCRIPTION s CONNECTION 'host=nowhere password=hush' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
    )
    contents = as_backup(server, "subscribed").dump(tmp_path, 1, unwatched)
    assert ["subscriptions" in note for note in contents.notes if "table" not in note] == [True]


def test_a_server_newer_than_every_client(postgres18: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", "")
    if any(program.major >= 18 for program in installed("pg_dump")):
        pytest.skip("this machine has the clients of 18 outside the lab")
    with pytest.raises(Unsupported, match=r"18\.\d+ and every client here is older") as caught:
        engine(postgres18, "postgres").facts()
    assert "PROGRAMS" in caught.value.hint


def test_a_dump_of_a_newer_server_is_refused_before_anything_is_made(
    server: Postgres, postgres18: Postgres, tmp_path: Path
) -> None:
    postgres18.create("newer")
    saved = backup(engine(postgres18, "newer"), tmp_path)
    with pytest.raises(Unsupported, match=r"the dump is of Postgres 18 and the server here is 16"):
        engine(server, "older").load(tmp_path, 1, saved.contents, unwatched)
    assert not server.execute("SELECT 1 FROM pg_database WHERE datname = 'older'")


@pytest.mark.parametrize(
    ("script", "error", "said"),
    [
        ("exit 0", EmptyDump, "wrote nothing"),
        ("mkdir $out; : > $out/toc.dat; exit 0", EmptyDump, "wrote nothing"),
        ('$real "$@"; echo "pg_dump: error: lost it" >&2; exit 1', CommandFailed, "lost it"),
        ('$real "$@"; kill -9 $$', CommandFailed, "signal 9"),
        ('$real "$@"; sed -i 1d $(grep -l "order 1$" $out/*.dat)', EmptyDump, r"orders has 999 rows.* counted 1000"),
        ('$real "$@"; rm $(grep -l "order 1$" $out/*.dat)', EmptyDump, r"lacks the rows of public\.orders"),
        ('$real "$@"; truncate -s 500 $(grep -l "order 1$" $out/*.dat)', EmptyDump, "has no end"),
        ('exec $real --exclude-table-data=orders "$@"', EmptyDump, r"lacks the rows of public\.orders"),
    ],
)
def test_a_pg_dump_that_loses_something(
    server: Postgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    error: type[KillickError],
    said: str,
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "dump").mkdir()
    monkeypatch.setenv("PROGRAMS", fake(tmp_path / "bin", 16, script))
    with pytest.raises(error, match=said) as caught:
        as_backup(server).dump(tmp_path / "dump", 2, unwatched)
    assert SECRET not in str(caught.value)


def test_no_program_is_told_the_password_on_its_command_line(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "dump").mkdir()
    recorded = f'echo "$@" >> {tmp_path}/argv; env > {tmp_path}/env; exec $real "$@"'
    monkeypatch.setenv("PROGRAMS", fake(tmp_path / "bin", 16, recorded))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "store's key")
    source = as_backup(server)
    contents = source.dump(tmp_path / "dump", 1, unwatched)
    assert "dbname" in (tmp_path / "argv").read_text() and SECRET not in (tmp_path / "argv").read_text()
    assert SECRET in (tmp_path / "env").read_text() and "store's key" not in (tmp_path / "env").read_text()
    assert SECRET not in repr(source.source) + repr(source.address) + repr(contents)
    assert SECRET not in "".join(p.read_text("latin1") for p in (tmp_path / "dump").rglob("*") if p.is_file())


def test_a_migration_that_waits_behind_the_dump_is_said(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "dump").mkdir()
    monkeypatch.setenv("PROGRAMS", fake(tmp_path / "bin", 16, '$real "$@"; sleep 5'))
    server.create("migrated")
    script(server, "migrated", "CREATE TABLE t (i int)")
    started = threading.Event()

    def watch(done: int, total: int = 0, unit: str = "bytes") -> None:
        if (tmp_path / "dump/postgres/toc.dat").exists():
            started.set()

    def migrate() -> None:
        started.wait(30)
        script(server, "migrated", "ALTER TABLE t ADD j int")  # by psql: psycopg2 is the dump's, see session.py

    migration = threading.Thread(target=migrate)
    migration.start()
    contents = engine(server, "migrated").dump(tmp_path / "dump", 1, watch)
    migration.join()
    assert any("waited for a lock on public.t" in note for note in contents.notes)


DISTURBED = (
    'could not obtain lock on relation "public.t"',
    'query to get data of sequence "s" returned 0 rows (expected 1)',
    'failed to get data for sequence "s"; user may lack SELECT privilege on the sequence or the sequence may have been'
    " concurrently dropped",
)
"""pg_dump's own words; the last are those of 18."""


@pytest.mark.parametrize("said", DISTURBED, ids=("locked", "set back", "set back, in 18"))
def test_what_a_migration_disturbs_is_dumped_again_by_one_worker(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "dump").mkdir()
    begun = f"mkdir $out; echo half >$out/toc.dat; echo 'pg_dump: error: {said}' >&2; exit 1"
    monkeypatch.setenv(
        "PROGRAMS", fake(tmp_path / "bin", 16, f'case "$*" in *--jobs=2*) {begun};; esac; exec $real "$@"')
    )
    name = f"disturbed{DISTURBED.index(said)}"
    server.create(name)
    script(server, name, "CREATE TABLE t AS SELECT generate_series(1, 7) i")
    assert backup(engine(server, name), tmp_path / "dump").contents.rows == 7


def test_the_snapshot_is_that_of_the_locks(server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that come while pg_dump has not begun are in neither the dump nor the figures."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "dump").mkdir()
    server.create("late")
    script(server, "late", "CREATE TABLE t (i int); INSERT INTO t VALUES (1)")
    conninfo = engine(server, "late").address.conninfo()
    insert = f'{server.bin}/psql -Xqd "{conninfo}" -c "INSERT INTO t VALUES (2)" || exit 9; exec $real "$@"'
    monkeypatch.setenv("PROGRAMS", fake(tmp_path / "bin", 16, insert))
    contents = engine(server, "late").dump(tmp_path / "dump", 1, unwatched)
    assert contents.tables["public.t"].rows == 1
    assert server.execute("SELECT count(*) FROM t", "late") == [(2,)]


def dumped(server: Postgres, folder: Path, statements: str) -> Contents:
    name = f"failing_{folder.name[-40:].lower()}"
    server.create(name)
    script(server, name, statements)
    return backup(engine(server, name), folder).contents


def restored(server: Postgres, folder: Path, contents: Contents, *, owners: bool = True) -> RestoreError:
    with pytest.raises(RestoreError) as caught:
        engine(server, f"target_{folder.name[-40:].lower()}", owners=owners).load(folder, 2, contents, unwatched)
    assert caught.value.hint
    return caught.value


def test_a_restore_that_finds_no_role(server: Postgres, postgres18: Postgres, tmp_path: Path) -> None:
    contents = dumped(server, tmp_path, "CREATE ROLE gone; CREATE TABLE t (i int); ALTER TABLE t OWNER TO gone")
    (tmp_path / "globals.sql").unlink()
    error = restored(postgres18, tmp_path, replace(contents, roles=()))  # those that it names would be made
    assert error.reason == "missing-role" and '"gone"' in error.message


def test_a_restore_that_finds_no_extension(debian15: Postgres, postgres18: Postgres, tmp_path: Path) -> None:
    assert has_extension(debian15, "hstore")
    contents = dumped(debian15, tmp_path, "CREATE EXTENSION hstore; CREATE TABLE t (h hstore)")
    error = restored(postgres18, tmp_path, contents)
    assert error.reason == "missing-extension" and '"hstore"' in error.message


def test_rows_that_break_their_own_unique_index(server: Postgres, tmp_path: Path) -> None:
    """pg_dump and the counts do not see it: the restore's index build does."""
    contents = dumped(
        server,
        tmp_path,
        "SET allow_system_table_mods = on; CREATE TABLE t (secret text UNIQUE); INSERT INTO t VALUES ('private row');"
        " UPDATE pg_index SET indisready = false WHERE indrelid = 't'::regclass; INSERT INTO t VALUES ('private row');"
        " UPDATE pg_index SET indisready = true WHERE indrelid = 't'::regclass",
    )
    assert contents.rows == 2
    error = restored(server, tmp_path, contents)
    assert error.reason == "duplicate-rows"
    assert "private" not in str(error)


def test_what_a_check_s_own_function_raises_is_not_told(server: Postgres, tmp_path: Path) -> None:
    """The row that it speaks of would stand in the evidence."""
    make = "CREATE OR REPLACE FUNCTION fine(t text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN {} END $$;"
    raising = make.format("RAISE EXCEPTION 'no such name: %', t;")
    contents = dumped(
        server,
        tmp_path,
        f"{make.format('RETURN true;')} CREATE TABLE t (secret text CHECK (fine(secret)));"
        f" INSERT INTO t VALUES ('private row'); {raising}",
    )
    error = restored(server, tmp_path, contents)
    assert "private" not in str(error) and "no such name" not in str(error)
    assert error.message.endswith('a function of the database\'s own raised an error (table "t")')


@pytest.mark.parametrize("damage", ["half a list", "half a table", "no table"])
def test_a_dump_that_is_not_whole(server: Postgres, tmp_path: Path, damage: str) -> None:
    contents = dumped(
        server, tmp_path, "CREATE TABLE t AS SELECT i, 'row' AS t, 1.5 AS n FROM generate_series(1, 500) i"
    )
    (data,) = (tmp_path / "postgres").glob("[0-9]*.dat")
    toc = tmp_path / "postgres/toc.dat"
    if damage == "half a list":
        toc.write_bytes(toc.read_bytes()[: toc.stat().st_size // 2])
    elif damage == "half a table":
        data.write_bytes(data.read_bytes()[:3001])
    else:
        data.unlink()
    assert restored(server, tmp_path, contents).reason == "truncated"


def test_a_folder_without_a_dump(server: Postgres, tmp_path: Path) -> None:
    with pytest.raises(Corrupt, match="no dump of Postgres"):
        engine(server, "nothing").load(tmp_path, 1, Contents(), unwatched)


def test_a_role_that_may_make_no_database(server: Postgres, tmp_path: Path) -> None:
    saved = backup(as_backup(server), tmp_path)
    with pytest.raises(AccessDenied, match="may not make the database mine") as caught:
        as_backup(server, "mine").load(tmp_path, 1, saved.contents, unwatched)
    assert "RESTORE_URL" in caught.value.hint


def test_a_server_that_dies_during_the_dump(tmp_path: Path) -> None:
    with Postgres(16) as doomed:
        doomed.create("big")
        script(doomed, "big", "CREATE TABLE t AS SELECT i, repeat('x', 500) FROM generate_series(1, 50000) i")
        (tmp_path / "dump").mkdir()
        seen = threading.Event()

        def watch(done: int, total: int = 0, unit: str = "bytes") -> None:
            if not seen.is_set():
                seen.set()
                doomed.stop(kill=True)

        with pytest.raises((Unreachable, CommandFailed, SourceError)):
            engine(doomed, "big").dump(tmp_path / "dump", 1, watch)
        assert seen.is_set()
        shutil.rmtree(tmp_path / "dump")


def test_a_newer_client_says_so_and_its_dump_goes_into_newer_servers_only(
    server: Postgres, postgres18: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = next(program for program in installed("pg_dump") if program.major == 18)
    monkeypatch.setenv("PROGRAMS", str(newest.path.parent))
    saved = backup(as_backup(server), tmp_path)
    assert any("dumps a server of 16" in note for note in saved.contents.notes)
    assert saved.contents.loose["versions"] == {"server": "16", "client": "18"}
    with pytest.raises(Unsupported, match="written by pg_dump 18"):
        engine(server, "refused").load(tmp_path, 1, saved.contents, unwatched)
    copy = engine(postgres18, "newer_shop", owners=True)
    copy.load(tmp_path, 2, saved.contents, unwatched)
    assert compare(saved.contents, copy.contents(saved.contents)) == []


def test_a_newer_server_takes_the_hard_database(server: Postgres, postgres18: Postgres, tmp_path: Path) -> None:
    """It writes views, rules and grants in another way: those are compared by existence, and that is said."""
    hard(server, "ageing")
    saved = backup(engine(server, "ageing"), tmp_path)
    copy = engine(postgres18, "aged", owners=True)
    copy.load(tmp_path, 2, saved.contents, unwatched)
    got = copy.contents(saved.contents)
    assert any("by existence only" in note for note in got.notes)
    assert compare(saved.contents, got) == []


def test_an_index_whose_function_finds_its_own_by_search_path(pair: Pair, tmp_path: Path) -> None:
    """Its rows are backed up and counted; that nothing restores it is told with the cure, and the cure helps."""
    script(
        pair.source,
        "postgres",
        "DROP DATABASE IF EXISTS pathless; CREATE DATABASE pathless TEMPLATE template0",
    )
    for name in ("without", "with"):
        (tmp_path / name).mkdir()
    make = """
        CREATE FUNCTION inner_one(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(t) $$;
        CREATE FUNCTION outer_one(t text) RETURNS text LANGUAGE sql IMMUTABLE {how} AS $$ SELECT inner_one(t) $$;
        CREATE TABLE words AS SELECT 'word ' || i AS w FROM generate_series(1, 50) i;
        CREATE INDEX words_w ON words (outer_one(w))"""
    script(pair.source, "pathless", make.format(how="SET search_path = public"))
    script(pair.source, "pathless", "ALTER FUNCTION outer_one RESET search_path")  # 17 would not have made the index
    source = engine(pair.source, "pathless", evidence="server")
    expected = backup(source, tmp_path / "without").contents
    assert expected.tables["public.words"].rows == 50
    copy = engine(pair.other, "pathless")
    with pytest.raises(RestoreError, match="function inner_one") as caught:
        copy.load(tmp_path / "without", 1, expected, unwatched)
    assert caught.value.reason == "search-path" and "ALTER FUNCTION" in caught.value.hint
    pair.other.execute("DROP DATABASE pathless")

    script(pair.source, "pathless", "ALTER FUNCTION outer_one SET search_path = public")
    expected = backup(source, tmp_path / "with").contents
    copy.load(tmp_path / "with", 1, expected, unwatched)
    assert compare(expected, copy.contents(expected), groups=expected.groups.keys() - OWNERSHIP) == []
