"""Swaps under load, and swaps that are killed: what is in use is one of the two, whole, and lets everybody in."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from killick.engines.postgres import Postgres as Engine
from killick.engines.postgres import marks
from killick.errors import KillickError
from tests.contract.postgres.conftest import backup, engine, script
from tests.contract.postgres.places import (
    database,
    databases,
    session,
    standing_still,
    version,
)
from tests.kit import wait_for
from tests.lab.postgres import Postgres

CLIENTS = 20


def fill(server: Postgres, name: str, number: int) -> None:
    """A version, and rows that go with it."""
    script(
        server,
        name,
        f"CREATE TABLE IF NOT EXISTS version AS SELECT {number} AS v;"
        f" CREATE TABLE counted AS SELECT generate_series(1, 10 * {number})",
    )


def made(server: Postgres, name: str, number: int) -> Engine:
    target = engine(server, name)
    target.beside("origin", 0)
    fill(server, marks.beside(name, marks.NEW), number)
    return target


def whole(server: Postgres, name: str) -> int:
    """The version in use, 0 for an empty database; it lets us in, and all of it is there."""
    try:
        number = version(server, name)
    except psycopg2.errors.UndefinedTable:
        return 0
    assert server.execute("SELECT count(*) FROM counted", name) == [(10 * number,)]
    return number


@pytest.fixture
def app(postgres16: Postgres) -> Iterator[str]:
    with database(postgres16) as name:
        fill(postgres16, name, 1)
        yield name


@contextmanager
def clients(server: Postgres, name: str, told: dict[str, Any]) -> Iterator[None]:
    """They ask all the while; afterwards `told` has what they saw."""
    conninfo = engine(server, name).address.conninfo()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.clients", conninfo, str(CLIENTS)],
        env={**os.environ, "PGPASSWORD": server.password},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        try:
            yield
            told.update(json.loads(process.communicate()[0]))
        finally:
            process.kill()


def test_clients_that_come_back_at_once_see_the_one_or_the_other(any_postgres: Postgres) -> None:
    swaps = 50 if any_postgres.major == 16 else 10
    told: dict[str, Any] = {}
    with database(any_postgres) as app:
        fill(any_postgres, app, 1)
        target = made(any_postgres, app, 2)
        with clients(any_postgres, app, told):
            for number in range(swaps):
                if number == 0:
                    target.swap("origin")
                else:
                    target.undo()
                time.sleep(0.05)
    assert told["torn"] == []
    assert max(told["broken"].values()) <= swaps
    for seen in told["seen"].values():
        assert seen[:2] == [1, 2] and all(a != b for a, b in itertools.pairwise(seen))
        assert len(seen) > swaps / 2, "they did come back"
    ours = {f'database "{app}" does not exist', "terminating connection due to administrator command"}
    assert set(told["refused"]) <= ours
    assert told["outages"]
    outages = sorted(told["outages"])
    print(f"outages: median {outages[len(outages) // 2]:.3f} s, longest {outages[-1]:.3f} s of {len(outages)}")


def url(server: Postgres, name: str) -> str:
    return server.url(name, password="").replace(":@", "@")


def dying(server: Postgres, name: str, verb: str, number: int, *folder: str) -> int:
    """The exit status of a process that does `verb` and dies before its nth step."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.dying", url(server, name), verb, str(number), *folder],
        env={**os.environ, "PASSWORD": server.password},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


@pytest.mark.parametrize("verb", ["beside", "swap", "undo", "snapshot", "reset", "clear"])
def test_killed_before_each_of_its_steps(postgres16: Postgres, app: str, verb: str) -> None:
    target = made(postgres16, app, 2)
    target.swap("origin")
    target.snapshot()
    for number in itertools.count(1):
        if verb in ("beside", "swap"):
            made(postgres16, app, 3)
        before = whole(postgres16, app)
        ended = dying(postgres16, app, verb, number)
        after = whole(postgres16, app)
        expected = {"swap": 3, "undo": 3 - before, "reset": 2, "clear": 0}.get(verb, before)
        assert after == expected or (ended != 0 and after == before)
        target.sweep()
        assert set(databases(postgres16, app)) <= {"", marks.OLD, marks.SNAPSHOT}
        if ended == 0:
            break
    assert number > 3
    target.reset()
    assert whole(postgres16, app) == 2, "the snapshot is whole"


def test_killed_while_the_new_one_is_made_and_made_anew(
    postgres16: Postgres, app: str, tmp_path: Path, programs_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its encoding is the dump's: an empty database is dropped for it, and comes again."""
    monkeypatch.setenv("PROGRAMS", programs_path)
    latin = f"{app}_latin"
    postgres16.execute(f"CREATE DATABASE {latin} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    fill(postgres16, latin, 2)
    (tmp_path / "dump").mkdir()
    saved = backup(engine(postgres16, latin), tmp_path / "dump")
    postgres16.execute(f"DROP DATABASE {latin}")
    (tmp_path / "dump.json").write_text(json.dumps(saved.contents.to_json()))
    target = engine(postgres16, app)
    for number in itertools.count(1):
        ended = dying(postgres16, app, "load", number, str(tmp_path / "dump"))
        assert whole(postgres16, app) == 1
        if ended == 0:
            break
    target.swap("origin")
    assert whole(postgres16, app) == 2
    assert number > 8


@pytest.mark.parametrize("verb", ["undo", "snapshot"])
def test_killed_while_it_holds_the_lock(any_postgres: Postgres, verb: str) -> None:
    """A session that does not end keeps it waiting there."""
    with database(any_postgres) as app:
        fill(any_postgres, app, 1)
        target = made(any_postgres, app, 2)
        target.swap("origin")
        logged = any_postgres.log.stat().st_size
        with session(any_postgres, app) as connection, standing_still(connection):
            with subprocess.Popen(
                [sys.executable, "-m", "tests.faults.dying", url(any_postgres, app), verb, "999"],
                env={**os.environ, "PASSWORD": any_postgres.password},
            ) as process:
                locked = (
                    "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.objid WHERE d.datname = '" + app + "'"
                    " AND l.classid = 'pg_database'::regclass AND l.mode IN ('AccessExclusiveLock', 'ShareLock')"
                )
                wait_for(lambda: bool(any_postgres.execute(locked)))
                process.kill()
            assert whole(any_postgres, app) == 2, "others come in though one stands still"
            wait_for(lambda: "connection to client lost" in any_postgres.log.read_text()[logged:])
            told = any_postgres.log.read_text()[logged:]
            assert "canceling statement" not in told and "is being accessed" not in told, (
                "it stopped since we were gone"
            )
        assert databases(any_postgres, app) == ["", marks.OLD]
        target.undo()
        assert whole(any_postgres, app) == 1


def test_a_server_that_dies_right_after_has_it_in_use_though_it_commits_at_leisure() -> None:
    settings = {"synchronous_commit": "off", "wal_writer_delay": "10s"}
    with Postgres(16, settings=settings) as server, database(server) as app:
        fill(server, app, 1)
        made(server, app, 2).swap("origin")
        server.stop(kill=True)
        server.start()
        assert whole(server, app) == 2 and databases(server, app) == ["", marks.OLD]


def test_a_server_that_dies_meanwhile() -> None:
    with Postgres(16) as server, database(server) as app:
        fill(server, app, 1)
        target = made(server, app, 2)
        target.swap("origin")
        for _ in range(3):
            done = threading.Event()

            def undoing(done: threading.Event = done) -> None:
                while not done.is_set():
                    try:
                        target.undo()
                    except KillickError:
                        time.sleep(0.01)

            thread = threading.Thread(target=undoing)
            thread.start()
            time.sleep(0.3)
            server.stop(kill=True)
            done.set()
            thread.join()
            server.start()
            in_use = whole(server, app)
            assert in_use in (1, 2)
            assert databases(server, app) == ["", marks.OLD]
            target.undo()
            assert whole(server, app) == 3 - in_use
