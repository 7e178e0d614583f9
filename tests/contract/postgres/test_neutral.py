"""What keeps a copy from acting in production's name; a verification compares all as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from killick.compare import compare
from killick.engines.postgres import neutral
from killick.engines.postgres import script as plain
from killick.engines.postgres.session import session
from killick.errors import RestoreError
from killick.watch import unwatched
from tests.contract.postgres.conftest import Backup, Pair, backup, engine, has_extension, script
from tests.lab import Missing
from tests.lab.postgres import Postgres

MAPPED = """
    CREATE FOREIGN DATA WRAPPER dummy; CREATE SERVER "Far Away" FOREIGN DATA WRAPPER dummy
        OPTIONS (host 'far', api_key 'hush');
    CREATE USER MAPPING FOR PUBLIC SERVER "Far Away" OPTIONS (username 'u', "Password" 'hush');
    CREATE USER MAPPING FOR postgres SERVER "Far Away" OPTIONS (password 'hush', secret_token 'hush', keepalives '1');
    CREATE FOREIGN TABLE ft (i int) SERVER "Far Away"; CREATE VIEW v AS SELECT * FROM ft"""
OPTIONS = "SELECT coalesce(usename, 'public'), umoptions FROM pg_user_mappings ORDER BY 1"


@pytest.fixture
def mapped(pair: Pair, tmp_path: Path) -> Backup:
    if not pair.source.execute("SELECT 1 FROM pg_database WHERE datname = 'mapped'"):
        pair.source.create("mapped")
        script(pair.source, "mapped", MAPPED)
    return backup(engine(pair.source, "mapped"), tmp_path)


def test_a_copy_has_no_credentials_for_foreign_servers(pair: Pair, mapped: Backup) -> None:
    notes = engine(pair.other, "unmapped").load(mapped.folder, 1, mapped.contents, unwatched)
    assert pair.other.execute(OPTIONS, "unmapped") == [("postgres", ["keepalives=1"]), ("public", ["username=u"])]
    assert pair.other.execute("SELECT srvoptions FROM pg_foreign_server", "unmapped") == [(["host=far"],)]
    assert {note for note in notes if "in this copy" in note} == {
        'USER MAPPING FOR postgres SERVER "Far Away" has no password in this copy',
        'USER MAPPING FOR postgres SERVER "Far Away" has no secret_token in this copy',
        'USER MAPPING FOR PUBLIC SERVER "Far Away" has no Password in this copy',
        'SERVER "Far Away" has no api_key in this copy',
    }
    assert "hush" not in "".join(notes)


def test_a_verification_keeps_them(pair: Pair, mapped: Backup) -> None:
    copy = engine(pair.other, "still_mapped", owners=True)
    notes = copy.load(mapped.folder, 1, mapped.contents, unwatched)
    assert compare(mapped.contents, copy.contents(mapped.contents)) == []
    assert not [note for note in notes if "in this copy" in note]


def test_options_that_postgres_hides_are_dropped_all_the_same(pair: Pair) -> None:
    pair.other.create("hidden_options")
    script(
        pair.other,
        "hidden_options",
        f"{MAPPED}; CREATE ROLE keeper LOGIN PASSWORD 'p'; CREATE ROLE bare;"
        ' ALTER SERVER "Far Away" OWNER TO keeper; CREATE USER MAPPING FOR bare SERVER "Far Away"',
    )
    with session(engine(pair.other, "hidden_options", user="keeper", password="p").address) as server:
        notes = neutral.calm(server)
    assert ("postgres", ["secret_token=hush", "keepalives=1"]) in pair.other.execute(OPTIONS, "hidden_options")
    assert not [note for note in notes if "keeps" in note or "bare" in note]
    pair.other.execute("DROP DATABASE hidden_options")
    pair.other.execute("DROP ROLE keeper, bare")


def test_a_foreign_server_that_was_reached_is_not_any_more(debian15: Postgres, tmp_path: Path) -> None:
    debian15.create("near")
    address = f"host '127.0.0.1', port '{debian15.port}', dbname 'postgres'"
    script(
        debian15,
        "near",
        f"CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({address});"
        f" CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'postgres', password '{debian15.password}');"
        " CREATE FOREIGN TABLE far_databases (datname name) SERVER s"
        "  OPTIONS (schema_name 'pg_catalog', table_name 'pg_database');"
        " CREATE MATERIALIZED VIEW seen AS SELECT * FROM far_databases;"
        " CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM seen; CREATE MATERIALIZED VIEW own AS SELECT 1 AS i",
    )
    saved = backup(engine(debian15, "near"), tmp_path)
    notes = engine(debian15, "near_copy").load(tmp_path, 1, saved.contents, unwatched)
    with pytest.raises(Exception, match=r"could not connect|password"):
        debian15.execute("SELECT * FROM far_databases", "near_copy")
    filled = dict(debian15.execute("SELECT matviewname, ispopulated FROM pg_matviews", "near_copy"))
    assert filled == {"seen": False, "counted": False, "own": True}
    (note,) = [note for note in notes if note.startswith("left empty")]
    assert "public seen" in note and "public counted" in note


def test_a_copy_subscribes_to_nothing(pair: Pair, tmp_path: Path) -> None:
    pair.source.create("subscriber")
    script(
        pair.source,
        "subscriber",
        "CREATE SUBSCRIPTION s CONNECTION 'host=nowhere password=hush' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE); CREATE PUBLICATION ours FOR ALL TABLES",
    )
    saved = backup(engine(pair.source, "subscriber"), tmp_path)
    engine(pair.other, "unsubscribed").load(tmp_path, 1, saved.contents, unwatched)
    there = "SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = '{}')"
    assert pair.source.execute(there.format("subscriber")) == [(1,)]
    assert pair.other.execute(there.format("unsubscribed")) == [(0,)]
    assert pair.other.execute("SELECT pubname FROM pg_publication", "unsubscribed") == [("ours",)]


@pytest.fixture(scope="module")
def cron(debian15: Postgres) -> Iterator[Postgres]:
    """A server on which pg_cron runs, in the database `cronned`."""
    if not has_extension(debian15, "pg_cron"):
        raise Missing("pg_cron is not installed: apt-get install postgresql-15-cron")
    settings = {"shared_preload_libraries": "pg_cron", "cron.database_name": "cronned"}
    with Postgres(15, settings=settings) as server:
        server.create("cronned")
        script(
            server,
            "cronned",
            "CREATE EXTENSION pg_cron; SELECT cron.schedule('hourly', '0 * * * *', 'SELECT mail_everybody()');"
            " SELECT cron.schedule('never', '0 3 * * *', 'VACUUM'); UPDATE cron.job SET active = false"
            " WHERE jobname = 'never'; CREATE TABLE t AS SELECT 1 AS i;"
            " CREATE VIEW jobs AS SELECT jobname FROM cron.job; CREATE VIEW shown AS SELECT * FROM jobs",
        )
        yield server


@pytest.fixture
def scheduled(cron: Postgres, tmp_path: Path) -> Backup:
    return backup(engine(cron, "cronned"), tmp_path)


JOBS = "SELECT jobname::text, active FROM cron.job ORDER BY 1"


@pytest.mark.parametrize("owners", [False, True])
def test_jobs_are_inactive_in_a_copy_only(scheduled: Backup, owners: bool) -> None:
    settings = {"shared_preload_libraries": "pg_cron", "cron.database_name": "copy"}
    with Postgres(15, settings=settings) as other:
        other.create("copy")  # the launcher wants it there
        notes = engine(other, "copy", owners=owners).load(scheduled.folder, 1, scheduled.contents, unwatched)
        assert other.execute(JOBS, "copy") == [("hourly", owners), ("never", False)]
        assert other.execute("SELECT count(*) FROM shown", "copy") == [(2,)]
        assert [note[:48] for note in notes] == ([] if owners else ["jobs of pg_cron made inactive in this copy: 1 (U"])


def test_where_it_cannot_run_a_copy_does_without(cron: Postgres, postgres18: Postgres, scheduled: Backup) -> None:
    """In another database of the same server, and on a server that has never heard of it."""
    for server, name in ((cron, "beside"), (postgres18, "uncronned")):
        copy = engine(server, name)
        notes = copy.load(scheduled.folder, 1, scheduled.contents, unwatched)
        assert set(copy.contents().tables) == {"public.t"}
        (note,) = [note for note in notes if "pg_cron" in note]
        assert "left out" in note and "public jobs, public shown" in note


def test_where_it_cannot_run_a_verification_says_so(cron: Postgres, scheduled: Backup) -> None:
    with pytest.raises(RestoreError, match="pg_cron") as caught:
        engine(cron, "besides", owners=True).load(scheduled.folder, 1, scheduled.contents, unwatched)
    assert caught.value.reason == "missing-extension" and "cron.database_name" in caught.value.hint
    assert not cron.execute("SELECT 1 FROM pg_database WHERE datname = 'besides'")


def test_a_text_schedules_nothing(scheduled: Backup) -> None:
    with plain(scheduled.folder, None, True) as chunks:
        sql = b"".join(chunks)
    assert b"CREATE EXTENSION IF NOT EXISTS pg_cron" in sql and b"mail_everybody" not in sql
