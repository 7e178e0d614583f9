"""A copy takes the place of what is in use, and back: nothing is lost, and nothing that is not ours is touched."""

import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from killick.compare import compare
from killick.engines import Replaceable, Rewindable
from killick.engines.postgres import MARK, alone, marks
from killick.engines.postgres.session import session as opened
from killick.errors import AccessDenied, NoSpace, NotFound, Refused, SourceError
from killick.watch import unwatched
from tests.contract.postgres.conftest import backup, engine, script
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
from tests.kit import wait_for
from tests.lab.postgres import Postgres


@pytest.fixture
def app(postgres16: Postgres) -> Iterator[str]:
    with database(postgres16) as name:
        yield name


@pytest.fixture(scope="module")
def logical() -> Iterator[Postgres]:
    with Postgres(16, settings={"wal_level": "logical", "max_prepared_transactions": "4"}) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "_PATIENCE", 1.0)


@pytest.fixture
def role(postgres16: Postgres) -> Iterator[str]:
    """An ordinary role that may log in and make databases; its password is its name."""
    name = f"r_{secrets.token_hex(4)}"
    postgres16.execute(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD '{name}'")
    yield name
    postgres16.execute(f"REASSIGN OWNED BY {name} TO postgres")
    postgres16.execute(f"DROP ROLE {name}")


def test_a_backup_takes_the_place_and_undo_exchanges_the_two(any_postgres: Postgres, tmp_path: Path) -> None:
    with database(any_postgres) as source, database(any_postgres, version=2) as app:
        any_postgres.execute(f"COMMENT ON DATABASE {app} IS 'the app''s own'")
        saved = backup(engine(any_postgres, source), tmp_path)
        target = engine(any_postgres, app)
        assert isinstance(target, Replaceable) and isinstance(target, Rewindable)
        beside = target.beside(ORIGIN, 1000)
        beside.load(tmp_path, 1, saved.contents, unwatched)
        beside.settle()
        assert version(any_postgres, app) == 2, "in use until the swap"
        with session(any_postgres, app) as old:
            assert target.facts().sessions == 1
            assert target.swap(ORIGIN).kept
            assert not alive(old)
        facts = target.facts()
        assert facts.copy and facts.sessions == 0
        assert compare(saved.contents, target.contents(saved.contents), groups={"schema"}) == []
        assert any_postgres.execute("SELECT reltuples FROM pg_class WHERE relname = 'version'", app) == [(1.0,)]
        first = about(any_postgres, app)
        target.undo()
        assert version(any_postgres, app) == 2
        assert about(any_postgres, app)[3] == "the app's own" and not target.facts().copy
        target.undo()
        assert version(any_postgres, app) == 1
        assert about(any_postgres, app) == first
        assert databases(any_postgres, app) == ["", marks.OLD]


@pytest.mark.parametrize("name", ['O\'Brien "the" 100% 🎈', "a" * 63, "ü🎈" * 10])
def test_any_name_will_do(postgres16: Postgres, name: str) -> None:
    with database(postgres16, name):
        target = made(postgres16, name, 2)
        target.swap(ORIGIN)
        assert version(postgres16, name) == 2
        target.undo()
        assert version(postgres16, name) == 1
        target.snapshot()
        target.undo()
        target.reset()
        assert version(postgres16, name) == 1
        target.clear(ORIGIN)
        assert target.facts().empty


def test_the_database_that_others_connect_to_for_maintenance(any_postgres: Postgres) -> None:
    fill(any_postgres, "postgres", 1)
    target = made(any_postgres, "postgres", 2)
    target.swap(ORIGIN)
    assert version(any_postgres, "postgres") == 2
    target.undo()
    assert about(any_postgres, "postgres")[3] == "default administrative connection database"
    any_postgres.execute(f"DROP DATABASE {marks.beside('postgres', marks.OLD)}", "template1")
    script(any_postgres, "postgres", "DROP TABLE version")


def test_what_belongs_to_the_database_stays_with_it(any_postgres: Postgres, tmp_path: Path) -> None:
    suffix = secrets.token_hex(4)
    owner, reader = f'"the owner {suffix}"', f"reader_{suffix}"
    with database(any_postgres) as source, database(any_postgres) as app:
        script(
            any_postgres,
            source,
            f"ALTER DATABASE {source} SET work_mem = '1MB'; ALTER DATABASE {source} SET my.word = 'the dump''s';",
        )
        saved = backup(engine(any_postgres, source), tmp_path)
        script(
            any_postgres,
            app,
            f"CREATE ROLE {owner}; CREATE ROLE {reader}; ALTER DATABASE {app} OWNER TO {owner};"
            f" REVOKE ALL ON DATABASE {app} FROM PUBLIC, {owner}; GRANT TEMPORARY ON DATABASE {app} TO PUBLIC;"
            f" GRANT CONNECT ON DATABASE {app} TO {reader} WITH GRANT OPTION;"
            f" GRANT CREATE ON DATABASE {app} TO {owner}; ALTER DATABASE {app} CONNECTION LIMIT 17;"
            f" ALTER DATABASE {app} SET work_mem = '9MB'; ALTER DATABASE {app} SET default_transaction_read_only = on;"
            f" ALTER ROLE {owner} IN DATABASE {app} SET search_path = \"$user\", 'the rest';"
            f" COMMENT ON DATABASE {app} IS 'it''s 100%'",
        )
        before = about(any_postgres, app)
        target = engine(any_postgres, app)
        target.beside(ORIGIN, 0).load(tmp_path, 1, saved.contents, unwatched)
        target.swap(ORIGIN, copy=False)
        (settings,) = [setting for setting in about(any_postgres, app)[4] if setting.startswith(" ")]
        assert "work_mem=9MB" in settings and "my.word=the dump's" in settings
        assert about(any_postgres, app)[:4] == before[:4]
        assert [setting for setting in about(any_postgres, app)[4] if not setting.startswith(" ")] == before[4][1:]
        made(any_postgres, app, 3).swap(ORIGIN)
        assert about(any_postgres, app)[:3] == before[:3] and about(any_postgres, app)[3].startswith(MARK)
        made(any_postgres, app, 4).swap(ORIGIN, copy=False)
        assert about(any_postgres, app)[:4] == before[:4], "the comment came through the copy's mark"
        target.clear(ORIGIN)
        assert about(any_postgres, app)[:3] == before[:3]
        engine(any_postgres, app).load(tmp_path, 1, saved.contents, unwatched)
        assert about(any_postgres, app)[:3] == before[:3] and target.facts().copy
    any_postgres.execute(f"DROP ROLE {owner}, {reader}")


def test_nobody_may_enter_before_the_swap(postgres16: Postgres, app: str, role: str) -> None:
    target = made(postgres16, app, 2)
    with (
        pytest.raises(psycopg2.OperationalError, match="permission denied"),
        session(postgres16, marks.beside(app, marks.NEW), user=role, password=role),
    ):
        pass
    target.swap(ORIGIN)
    with session(postgres16, app, user=role, password=role) as connection:
        assert alive(connection)


def test_an_encoding_of_the_dump_s_own_keeps_the_mark_and_the_door_shut(
    postgres16: Postgres, app: str, tmp_path: Path
) -> None:
    """The empty database is made anew for it."""
    latin = f"{app}_latin"
    postgres16.execute(f"CREATE DATABASE {latin} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    fill(postgres16, latin, 2)
    saved = backup(engine(postgres16, latin), tmp_path)
    postgres16.execute(f"DROP DATABASE {latin}")
    target = engine(postgres16, app)
    beside = target.beside(ORIGIN, 0)
    before = about(postgres16, marks.beside(app, marks.NEW))
    beside.load(tmp_path, 1, saved.contents, unwatched)
    assert about(postgres16, marks.beside(app, marks.NEW)) == before
    assert target.swap(ORIGIN).kept
    assert target.facts().details["encoding"] == "LATIN1" and version(postgres16, app) == 2


def test_a_place_where_nothing_was(postgres16: Postgres, app: str, role: str) -> None:
    postgres16.execute(f"DROP DATABASE {app}")
    target = made(postgres16, app, 2)
    assert not target.swap(ORIGIN).kept
    assert databases(postgres16, app) == [""] and version(postgres16, app) == 2 and target.facts().copy
    with session(postgres16, app, user=role, password=role) as connection:
        assert alive(connection)
    with pytest.raises(NotFound, match="nothing is kept beside") as caught:
        target.undo()
    assert caught.value.hint


def test_an_empty_database_is_not_kept(any_postgres: Postgres) -> None:
    with database(any_postgres) as app:
        script(any_postgres, app, "DROP TABLE version")
        assert not made(any_postgres, app, 2).swap(ORIGIN).kept
        assert databases(any_postgres, app) == [""] and version(any_postgres, app) == 2


def test_only_the_last_one_is_kept_and_it_stays_until_the_next_is_in_use(
    postgres16: Postgres, app: str, impatient: None
) -> None:
    made(postgres16, app, 2).swap(ORIGIN)
    target = made(postgres16, app, 3)
    with session(postgres16, app) as stopped, standing_still(stopped), pytest.raises(SourceError):
        target.swap(ORIGIN)
    assert version(postgres16, marks.beside(app, marks.OLD)) == 1
    target.swap(ORIGIN)
    assert databases(postgres16, app) == ["", marks.OLD]
    assert [version(postgres16, marks.beside(app, end)) for end in ("", marks.OLD)] == [3, 2]


@pytest.mark.parametrize("end", [marks.NEW, marks.OLD, marks.GONE])
def test_what_bears_no_mark_of_ours_is_never_touched(postgres16: Postgres, app: str, end: str) -> None:
    theirs = marks.beside(app, end)
    postgres16.create(theirs)
    fill(postgres16, theirs, 7)
    mark = marks.made({marks.NEW: "new", marks.OLD: "old"}.get(end, "gone"), "another").comment()
    for comment in ("a colleague", f"{MARK} of {app}", mark):
        postgres16.execute(f"COMMENT ON DATABASE {theirs} IS '{comment}'")
        target = engine(postgres16, app)
        with pytest.raises(Refused, match=f"{theirs} at .* does not bear killick's mark") as caught:
            target.beside(ORIGIN, 0)
        assert "rename it, or drop it" in caught.value.hint
        with pytest.raises(Refused):
            target.clear(ORIGIN)
        with pytest.raises(NotFound):
            target.swap(ORIGIN)
        with pytest.raises(NotFound):
            target.undo()
        assert target.sweep() == ()
        assert version(postgres16, theirs) == 7 and version(postgres16, app) == 1
        assert about(postgres16, theirs)[3] == comment


def test_one_that_came_under_our_name_meanwhile_is_not_touched_by_the_swap(postgres16: Postgres, app: str) -> None:
    target = made(postgres16, app, 2)
    theirs = marks.beside(app, marks.OLD)
    postgres16.create(theirs)
    fill(postgres16, theirs, 7)
    with pytest.raises(Refused, match=theirs):
        target.swap(ORIGIN)
    assert version(postgres16, theirs) == 7 and version(postgres16, app) == 1


def test_an_empty_one_without_a_mark_is_taken_unless_somebody_is_in_it(postgres16: Postgres, app: str) -> None:
    """A run that was killed between making and marking leaves such a one."""
    new = marks.beside(app, marks.NEW)
    postgres16.create(new)
    with session(postgres16, new) as somebody:
        with pytest.raises(SourceError, match="accessed by other users"):
            engine(postgres16, app).beside(ORIGIN, 0)
        assert alive(somebody)
    made(postgres16, app, 2).swap(ORIGIN)
    assert version(postgres16, app) == 2


def test_what_was_left_beside_is_swept(postgres16: Postgres, app: str) -> None:
    target = made(postgres16, app, 2)
    new = marks.beside(app, marks.NEW)
    with session(postgres16, new) as left:
        (note,) = target.sweep()
        assert new in note and not alive(left)
    assert databases(postgres16, app) == [""]
    assert target.sweep() == ()
    made(postgres16, app, 2)
    assert engine(postgres16, app).beside(ORIGIN, 0).facts().empty
    for end in (marks.COMING, marks.GONE):
        postgres16.create(marks.beside(app, end))
        postgres16.execute(f"COMMENT ON DATABASE {marks.beside(app, end)} IS '{marks.made('gone', app).comment()}'")
    assert len(target.sweep()) == 3 and databases(postgres16, app) == [""]


def test_one_that_a_server_died_while_dropping_is_swept(any_postgres: Postgres) -> None:
    """Nobody can enter it any more; its mark stays, since the drop did not come to its end."""
    with database(any_postgres) as app:
        target = made(any_postgres, app, 2)
        new = marks.beside(app, marks.NEW)
        any_postgres.execute(f"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{new}'")
        assert len(target.sweep()) == 1 and databases(any_postgres, app) == [""]


def test_what_another_run_made_is_not_taken(postgres16: Postgres, app: str) -> None:
    first, second = engine(postgres16, app), engine(postgres16, app)
    with pytest.raises(NotFound, match="nothing stands beside"):
        first.swap(ORIGIN)
    first.beside(ORIGIN, 0)
    second.beside(ORIGIN, 0)
    with pytest.raises(Refused, match="made by another run"):
        first.swap(ORIGIN)
    with pytest.raises(Refused, match="made by another run"):
        engine(postgres16, app).swap("20270101T000000Z-db")
    assert version(postgres16, app) == 1
    fill(postgres16, marks.beside(app, marks.NEW), 2)
    second.swap(ORIGIN)
    assert version(postgres16, app) == 2


def test_an_ordinary_role_that_owns_the_database(any_postgres: Postgres) -> None:
    suffix = secrets.token_hex(4)
    role, group = f"r_{suffix}", f"g_{suffix}"
    with database(any_postgres) as app:
        any_postgres.execute(
            f"CREATE ROLE {group}; CREATE ROLE {role} LOGIN CREATEDB PASSWORD 'p' IN ROLE {group};"
            f" ALTER DATABASE {app} OWNER TO {group}; ALTER DATABASE {app} SET log_min_messages = 'error';"
            f" ALTER DATABASE {app} SET work_mem = '9MB'"
        )
        script(any_postgres, app, f"GRANT SELECT ON version TO {role}")
        target = engine(any_postgres, app, user=role, password="p")
        with session(any_postgres, app, user=role, password="p") as own:
            target.beside(ORIGIN, 0)
            fill(any_postgres, marks.beside(app, marks.NEW), 2)
            done = target.swap(ORIGIN)
            assert done.kept and not alive(own)
            assert ["log_min_messages" in note for note in done.notes] == [True], "a superuser's setting"
        assert version(any_postgres, app) == 2 and about(any_postgres, app)[0] == group
        assert "work_mem=9MB" in about(any_postgres, app)[4][0]
        target.undo()
        target.snapshot()
        target.undo()
        target.reset()
        assert version(any_postgres, app) == 1 and about(any_postgres, app)[0] == group
        target.clear(ORIGIN)
    any_postgres.execute(f"DROP ROLE {role}, {group}")


def test_a_role_that_may_not_is_told_the_cure_before_anything_is_done(
    postgres16: Postgres, app: str, role: str
) -> None:
    target = engine(postgres16, app, user=role, password=role)
    postgres16.execute(f"ALTER ROLE {role} NOCREATEDB")
    made(postgres16, app, 2)
    verbs = (lambda: target.beside(ORIGIN, 0), lambda: target.swap(ORIGIN), target.snapshot)
    with session(postgres16, app, user=role, password=role) as own:
        for verb in verbs:
            with pytest.raises(AccessDenied, match=f"role {role} may make no database beside {app}") as caught:
                verb()
            assert f'ALTER ROLE "{role}" CREATEDB' in caught.value.hint and "RESTORE_URL" in caught.value.hint
        postgres16.execute(f"ALTER ROLE {role} CREATEDB")
        for verb in verbs:
            with pytest.raises(AccessDenied, match=f"may not replace the database {app}, which is postgres's"):
                verb()
        assert alive(own)
    assert version(postgres16, app) == 1
    postgres16.execute(f"ALTER DATABASE {app} OWNER TO {role}")
    postgres16.execute(f"ALTER DATABASE {marks.beside(app, marks.NEW)} OWNER TO {role}")
    assert target.swap(ORIGIN).kept


def test_a_session_that_never_ends_is_named_and_nothing_changes(any_postgres: Postgres, impatient: None) -> None:
    with database(any_postgres) as app:
        target = made(any_postgres, app, 2)
        before = about(any_postgres, app), about(any_postgres, marks.beside(app, marks.NEW))
        with session(any_postgres, app, application="frozen app") as connection:
            with standing_still(connection) as pid, pytest.raises(SourceError) as caught:
                target.swap(ORIGIN)
            assert f"pid {pid} (user postgres, frozen app, 127.0.0.1, idle)" in caught.value.message
            assert app in caught.value.message and caught.value.hint
        assert version(any_postgres, app) == 1
        assert (about(any_postgres, app)[:4], databases(any_postgres, app)) == (before[0][:4], ["", marks.NEW])
        target.swap(ORIGIN)
        assert version(any_postgres, app) == 2


def test_others_come_in_while_we_wait_for_one_that_never_ends(
    postgres16: Postgres, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "_PATIENCE", 10.0)
    target = made(postgres16, app, 2)
    failed: list[SourceError] = []

    def swapping() -> None:
        try:
            target.swap(ORIGIN)
        except SourceError as error:
            failed.append(error)

    with session(postgres16, app) as connection, standing_still(connection):
        thread = threading.Thread(target=swapping)
        thread.start()
        locked = (
            "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.objid WHERE l.classid = 'pg_database'::regclass"
            f" AND d.datname = '{app}' AND l.mode = 'AccessExclusiveLock' AND l.granted"
        )
        wait_for(lambda: bool(postgres16.execute(locked)))
        with session(postgres16, app) as other:  # waits for the end of the attempt
            time.sleep(1)
            assert alive(other) and thread.is_alive(), "the one that is stuck is waited for without the lock"
        thread.join()
    assert failed and version(postgres16, app) == 1


def test_nobody_is_sent_away_before_the_door_is_shut(
    postgres16: Postgres, app: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who came back through it would be sent away twice."""
    monkeypatch.setattr(alone, "_LOCKED_OUT", 999.0)
    target = made(postgres16, app, 2)
    swapping = threading.Thread(target=target.swap, args=(ORIGIN,))
    with session(postgres16, app) as inside:
        with session(postgres16, "postgres") as outside:
            outside.cursor().execute(f"BEGIN; COMMENT ON DATABASE {app} IS 'mine'")
            swapping.start()
            wait_for(lambda: bool(postgres16.execute("SELECT 1 FROM pg_locks WHERE NOT granted")))
            time.sleep(0.2)
            assert alive(inside)
        swapping.join()
        assert not alive(inside)
    assert version(postgres16, app) == 2


def test_nobody_is_sent_away_after_an_attempt(postgres16: Postgres, app: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waited at the door is in by then, and would be sent away for nothing."""
    monkeypatch.setattr(alone, "_LOCKED_OUT", 0.0)
    ended: set[int] = set()
    with opened(engine(postgres16, "postgres").address) as server, session(postgres16, app) as other:
        oid = int(server.value(f"SELECT oid FROM pg_database WHERE datname = '{app}'"))
        alone._ending(server, server.connection.info.backend_pid, oid, ended)()
        assert alive(other) and not ended


def test_a_superuser_s_session_stops_an_ordinary_role_and_nobody_is_cut(
    postgres16: Postgres, app: str, role: str, impatient: None
) -> None:
    postgres16.execute(f"ALTER DATABASE {app} OWNER TO {role}")
    target = engine(postgres16, app, user=role, password=role)
    target.beside(ORIGIN, 0)
    with session(postgres16, app, user=role, password=role) as own:
        with session(postgres16, app, application="backup of the night") as theirs:
            with pytest.raises(SourceError, match=f"pid {theirs.info.backend_pid} .user postgres, backup of the night"):
                target.swap(ORIGIN)
            assert alive(own) and alive(theirs)
        target.swap(ORIGIN)
        assert not alive(own)


def test_a_prepared_transaction_is_counted_and_nobody_is_cut(logical: Postgres, impatient: None) -> None:
    with database(logical) as app, session(logical, app) as other:
        target = made(logical, app, 2)
        script(logical, app, "BEGIN; DELETE FROM version; PREPARE TRANSACTION 'left'")
        for verb in (lambda: target.swap(ORIGIN), target.snapshot):
            with pytest.raises(SourceError, match="1 prepared transaction") as caught:
                verb()
            assert "ROLLBACK PREPARED" in caught.value.hint
        assert alive(other) and version(logical, app) == 1
        script(logical, app, "ROLLBACK PREPARED 'left'")
        target.swap(ORIGIN)
        assert version(logical, app) == 2


def test_a_lock_on_the_database_of_one_inside_and_of_one_outside(
    postgres16: Postgres, app: str, impatient: None
) -> None:
    target = made(postgres16, app, 2)
    with session(postgres16, "postgres") as outside:
        outside.cursor().execute(f"BEGIN; COMMENT ON DATABASE {app} IS 'mine'")
        with pytest.raises(SourceError, match="a lock on it that somebody holds"):
            target.swap(ORIGIN)
        assert alive(outside)
    with session(postgres16, app) as inside:
        inside.cursor().execute(f"BEGIN; COMMENT ON DATABASE {app} IS 'mine'")
        target.swap(ORIGIN)
    assert version(postgres16, app) == 2


def test_a_subscription_goes_with_what_is_dropped_and_its_slot_stays(logical: Postgres) -> None:
    with database(logical) as publisher, database(logical) as app:
        script(logical, publisher, "CREATE PUBLICATION p FOR TABLE version")
        script(logical, publisher, f"SELECT pg_create_logical_replication_slot('{app}', 'pgoutput')")
        script(
            logical,
            app,
            f"CREATE SUBSCRIPTION s CONNECTION 'dbname={publisher} host={logical.sockets} port={logical.port}"
            f" user=postgres password={logical.password}' PUBLICATION p"
            f" WITH (create_slot = false, slot_name = '{app}', copy_data = false);"
            " CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no DDL here'; END $$;"
            " CREATE EVENT TRIGGER no ON ddl_command_start EXECUTE FUNCTION no()",
        )
        active = f"SELECT active FROM pg_replication_slots WHERE slot_name = '{app}'"
        wait_for(lambda: logical.execute(active) == [(True,)])
        target = made(logical, app, 2)
        target.swap(ORIGIN)
        old = marks.beside(app, marks.OLD)
        script(logical, publisher, "INSERT INTO version VALUES (9)")
        wait_for(lambda: (9,) in logical.execute("SELECT v FROM version", old))  # it goes on, in what is kept
        done = made(logical, app, 3).swap(ORIGIN)
        assert ["subscription s" in note and "left there" in note for note in done.notes] == [True]
        assert databases(logical, app) == ["", marks.OLD]
        wait_for(lambda: logical.execute(active) == [(False,)])
        script(logical, publisher, f"SELECT pg_drop_replication_slot('{app}')")


def test_a_replication_slot_keeps_what_would_be_dropped(logical: Postgres) -> None:
    with database(logical) as app:
        script(logical, app, f"SELECT pg_create_logical_replication_slot('{app}', 'pgoutput')")
        made(logical, app, 2).swap(ORIGIN)
        done = made(logical, app, 3).swap(ORIGIN)
        assert version(logical, app) == 3
        assert [f"pg_drop_replication_slot('{app}')" in note for note in done.notes] == [True]
        with pytest.raises(SourceError, match=f"replication slot {app}"):
            engine(logical, app).sweep()
        script(logical, "postgres", f"SELECT pg_drop_replication_slot('{app}')")
        assert len(engine(logical, app).sweep()) == 1
        assert databases(logical, app) == ["", marks.OLD]


def test_event_triggers_do_not_meet_us(any_postgres: Postgres) -> None:
    forbid = (
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not here'; END $$;"
        + (" CREATE EVENT TRIGGER b ON login EXECUTE FUNCTION no();" if any_postgres.major >= 17 else "")
        + " CREATE EVENT TRIGGER a ON ddl_command_start EXECUTE FUNCTION no();"
    )
    with database(any_postgres) as app:
        target = made(any_postgres, app, 2)
        beside = engine(any_postgres, marks.beside(app, marks.NEW))
        script(any_postgres, app, forbid)
        script(any_postgres, marks.beside(app, marks.NEW), forbid)
        beside.settle()
        target.snapshot()
        assert target.swap(ORIGIN).kept
        target.undo()
        target.reset()
        target.clear(ORIGIN)
        assert databases(any_postgres, app) == ["", marks.SNAPSHOT]


def test_courtesies_and_haste_that_are_set_for_the_role_do_not_bind_us(postgres16: Postgres, app: str) -> None:
    role = f"r_{secrets.token_hex(4)}"
    postgres16.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'p'")
    for setting in ("default_transaction_read_only = on", "statement_timeout = '50ms'", "search_path = 'nowhere'"):
        postgres16.execute(f"ALTER ROLE {role} SET {setting}")
    target = engine(postgres16, app, user=role, password="p")
    target.beside(ORIGIN, 0).settle()
    fill(postgres16, marks.beside(app, marks.NEW), 2)
    with session(postgres16, app):
        target.swap(ORIGIN)
    target.snapshot()
    target.reset()
    assert version(postgres16, app) == 2
    target.clear(ORIGIN)
    postgres16.execute(f"DROP DATABASE {app}")
    postgres16.execute(f"DROP DATABASE {marks.beside(app, marks.SNAPSHOT)}")
    postgres16.execute(f"DROP ROLE {role}")


def test_no_room_is_said_where_it_can_be_seen(postgres16: Postgres, app: str, role: str) -> None:
    target = engine(postgres16, app)
    with pytest.raises(NoSpace, match=rf"1000000\.0 TB beside {app} do not fit") as caught:
        target.beside(ORIGIN, 10**18)
    assert "--in-place" in caught.value.hint and str(postgres16.folder) in caught.value.message
    assert marks.beside(app, marks.OLD) not in caught.value.hint
    assert databases(postgres16, app) == [""]
    made(postgres16, app, 2).swap(ORIGIN)
    with pytest.raises(NoSpace) as caught:
        target.beside(ORIGIN, 10**18)
    assert f"drop {marks.beside(app, marks.OLD)}" in caught.value.hint
    postgres16.execute(f"ALTER DATABASE {app} OWNER TO {role}")
    postgres16.execute(f"ALTER DATABASE {marks.beside(app, marks.OLD)} OWNER TO {role}")
    engine(postgres16, app, user=role, password=role).beside(ORIGIN, 10**18)  # it may not see where the data lies


def test_the_tablespace_is_kept(postgres16: Postgres, app: str) -> None:
    place = postgres16.folder / f"space_{app}"
    place.mkdir()
    os.chown(place, postgres16.folder.stat().st_uid, postgres16.folder.stat().st_gid)
    postgres16.execute(f"CREATE TABLESPACE {app} LOCATION '{place}'")
    postgres16.execute(f"ALTER DATABASE {app} SET TABLESPACE {app}")
    with pytest.raises(NoSpace, match=str(place)):
        engine(postgres16, app).beside(ORIGIN, 10**18)
    made(postgres16, app, 2).swap(ORIGIN)
    found = "SELECT spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = "
    assert postgres16.execute(f"{found}'{app}'") == [(app,)]
    for end in ("", marks.OLD):
        postgres16.execute(f"DROP DATABASE {marks.beside(app, end)}")
    postgres16.execute(f"DROP TABLESPACE {app}")


def test_in_place_all_goes_and_there_is_no_way_back(any_postgres: Postgres, tmp_path: Path) -> None:
    with database(any_postgres) as source, database(any_postgres, version=2) as app:
        saved = backup(engine(any_postgres, source), tmp_path)
        made(any_postgres, app, 3).swap(ORIGIN)
        target = engine(any_postgres, app)
        with session(any_postgres, app) as connection:
            target.clear(ORIGIN)
            assert not alive(connection)
        facts = target.facts()
        assert facts.empty and facts.copy and databases(any_postgres, app) == [""]
        target.load(tmp_path, 1, saved.contents, unwatched)
        target.settle()
        assert version(any_postgres, app) == 1 and target.facts().copy
        target.clear(ORIGIN, copy=False)
        assert not target.facts().copy


def test_in_place_where_nothing_is_yet(postgres16: Postgres, app: str) -> None:
    postgres16.execute(f"DROP DATABASE {app}")
    engine(postgres16, app).clear(ORIGIN)
    assert engine(postgres16, app).facts().empty and databases(postgres16, app) == [""]


def test_sessions_of_others_are_counted_by_anybody(postgres16: Postgres, app: str, role: str) -> None:
    with session(postgres16, app), session(postgres16, app), session(postgres16, "postgres"):
        assert engine(postgres16, app).facts().sessions == 2
        assert engine(postgres16, app, user=role, password=role).facts().sessions == 2
