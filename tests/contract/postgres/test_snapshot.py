"""A state that one comes back to: all of it, as often as one likes."""

import secrets
from collections.abc import Iterator

import psycopg2
import pytest

from killick.compare import compare
from killick.engines.postgres import MARK, alone, marks
from killick.errors import DatabaseMissing, NotFound, Refused, SourceError
from tests.contract.postgres.conftest import engine, has_extension, script
from tests.contract.postgres.places import (
    ORIGIN,
    about,
    alive,
    database,
    databases,
    fill,
    made,
    session,
    standing_still,
    version,
)
from tests.lab.postgres import Postgres


@pytest.fixture
def app(postgres16: Postgres) -> Iterator[str]:
    with database(postgres16) as name:
        yield name


def test_all_comes_back_as_it_was(any_postgres: Postgres) -> None:
    role = f"r_{secrets.token_hex(4)}"
    with database(any_postgres) as app:
        extension = "CREATE EXTENSION hstore; CREATE TABLE h AS SELECT 'a=>1'::hstore AS h;"
        script(
            any_postgres,
            app,
            f"{extension if has_extension(any_postgres, 'hstore') else ''} CREATE ROLE {role};"
            " CREATE SEQUENCE numbers; SELECT nextval('numbers') FROM generate_series(1, 41);"
            " SELECT lo_from_bytea(4711, repeat('many bytes ', 9999)::bytea); COMMENT ON LARGE OBJECT 4711 IS 'it';"
            " CREATE UNLOGGED TABLE cache AS SELECT 1 AS i; CREATE MATERIALIZED VIEW m AS SELECT 1 AS i;"
            f" ALTER DATABASE {app} OWNER TO {role}; REVOKE CONNECT ON DATABASE {app} FROM PUBLIC;"
            f" ALTER DATABASE {app} SET work_mem = '9MB'; ALTER ROLE {role} IN DATABASE {app} SET jit = off;"
            f" ALTER DATABASE {app} CONNECTION LIMIT 17; COMMENT ON DATABASE {app} IS 'the app''s own'",
        )
        target = engine(any_postgres, app)
        then, belonged = target.contents(), about(any_postgres, app)
        target.snapshot()
        assert target.contents(then).tables == then.tables
        script(
            any_postgres,
            app,
            "UPDATE version SET v = 2; SELECT nextval('numbers'); SELECT lo_unlink(4711); DROP TABLE cache;"
            f" ALTER DATABASE {app} OWNER TO postgres; GRANT CONNECT ON DATABASE {app} TO PUBLIC;"
            f" ALTER DATABASE {app} SET work_mem = '1MB'; ALTER DATABASE {app} CONNECTION LIMIT 3",
        )
        after = about(any_postgres, app)
        for _ in range(2):
            target.reset()
            assert compare(then, target.contents(then)) == []
            assert about(any_postgres, app) == belonged
            assert not target.facts().copy
        target.undo()
        target.reset()
        script(any_postgres, app, "DROP TABLE version")
        target.reset()
        target.undo()
        with pytest.raises(psycopg2.errors.UndefinedTable):
            version(any_postgres, app)
        assert after[3] == about(any_postgres, app)[3] == "the app's own"
    any_postgres.execute(f"DROP ROLE {role}")


def test_undo_brings_back_what_a_reset_replaced(postgres16: Postgres, app: str) -> None:
    target = engine(postgres16, app)
    target.snapshot()
    script(postgres16, app, "UPDATE version SET v = 2")
    postgres16.execute(f"ALTER DATABASE {app} CONNECTION LIMIT 3")
    before = about(postgres16, app)
    target.reset()
    assert version(postgres16, app) == 1
    target.undo()
    assert version(postgres16, app) == 2 and about(postgres16, app) == before


def test_the_mark_stays_what_it_is_now(postgres16: Postgres, app: str) -> None:
    target = made(postgres16, app, 2)
    target.snapshot()
    target.swap(ORIGIN)
    copy = about(postgres16, app)[3]
    target.reset()
    assert version(postgres16, app) == 1 and about(postgres16, app)[3] == copy and copy.startswith(MARK)
    target.snapshot()
    postgres16.execute(f"COMMENT ON DATABASE {app} IS NULL")
    target.reset()
    assert about(postgres16, app)[3] is None and not target.facts().copy


def test_the_next_one_replaces_it_and_nobody_enters_it(postgres16: Postgres, app: str) -> None:
    target = engine(postgres16, app)
    target.snapshot()
    kept = marks.beside(app, marks.SNAPSHOT)
    with pytest.raises(psycopg2.OperationalError, match="not currently accepting connections"):
        postgres16.connect(kept)
    script(postgres16, app, "UPDATE version SET v = 2")
    target.snapshot()
    script(postgres16, app, "UPDATE version SET v = 3")
    target.reset()
    assert version(postgres16, app) == 2
    assert databases(postgres16, app) == ["", marks.OLD, marks.SNAPSHOT]
    assert target.sweep() == (), "a snapshot and what is kept are no leftovers"


def test_sessions_are_ended_and_may_come_back(postgres16: Postgres, app: str) -> None:
    target = engine(postgres16, app)
    for verb in (target.snapshot, target.reset):
        with session(postgres16, app) as connection:
            verb()
            assert not alive(connection)
        assert version(postgres16, app) == 1


def test_a_session_that_never_ends_leaves_the_snapshot_of_before(
    postgres16: Postgres, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "_PATIENCE", 1.0)
    target = engine(postgres16, app)
    target.snapshot()
    script(postgres16, app, "UPDATE version SET v = 2")
    with session(postgres16, app) as connection, standing_still(connection) as pid:
        for verb in (target.snapshot, target.reset):
            with pytest.raises(SourceError, match=f"pid {pid} "):
                verb()
        assert version(postgres16, app) == 2
    target.reset()
    assert version(postgres16, app) == 1
    assert databases(postgres16, app) == ["", marks.OLD, marks.SNAPSHOT]


def test_nothing_to_keep_and_nothing_to_come_back_to(postgres16: Postgres, app: str) -> None:
    with pytest.raises(NotFound, match=f"no snapshot of {app}") as caught:
        engine(postgres16, app).reset()
    assert "killick snapshot" in caught.value.hint
    with pytest.raises(DatabaseMissing, match=f"no database {app}_not"):
        engine(postgres16, f"{app}_not").snapshot()


def test_a_database_that_was_dropped_comes_back(postgres16: Postgres, app: str) -> None:
    postgres16.execute(f"COMMENT ON DATABASE {app} IS 'the app''s own'")
    target = engine(postgres16, app)
    target.snapshot()
    before = about(postgres16, app)
    postgres16.execute(f"DROP DATABASE {app}")
    target.reset()
    assert version(postgres16, app) == 1 and about(postgres16, app) == before


@pytest.mark.parametrize("end", [marks.SNAPSHOT, marks.COMING])
def test_what_bears_no_mark_of_ours_is_never_touched(postgres16: Postgres, app: str, end: str) -> None:
    theirs = marks.beside(app, end)
    postgres16.create(theirs)
    fill(postgres16, theirs, 7)
    target = engine(postgres16, app)
    with session(postgres16, app) as connection:
        with pytest.raises(Refused, match=theirs):
            target.snapshot()
        with pytest.raises(NotFound):
            target.reset()
        assert alive(connection) and target.sweep() == ()
    assert version(postgres16, theirs) == 7
    target.beside(ORIGIN, 0)  # a restore needs neither name


def test_one_half_made_is_known_to_be_ours_and_another_s_closed_one_is_not(postgres16: Postgres, app: str) -> None:
    """CREATE DATABASE … TEMPLATE knows no comment: its limit and its closed door are what marks it at first."""
    coming = marks.beside(app, marks.COMING)
    target = engine(postgres16, app)
    for limit, swept in ((17, 0), (0x4B494C4C, 1)):
        postgres16.execute(f"CREATE DATABASE {coming} TEMPLATE {app} ALLOW_CONNECTIONS false CONNECTION LIMIT {limit}")
        assert len(target.sweep()) == swept
        postgres16.execute(f"DROP DATABASE IF EXISTS {coming}")
