"""`killick run` as the image runs it: the real process, real children, a folder as its store."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from killick import stores
from tests.lab.postgres import Postgres
from tests.lab.programs import programs_path
from tests.unit.test_state import back_up

IDLE = 40 << 10  # kB


@contextmanager
def sidecar(tmp_path: Path, **more: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    environ |= {"PROJECT": "shop", "STORE": f"file://{tmp_path}/store", "SCRATCH_DIR": f"{tmp_path}/scratch"}
    environ |= {"DATABASE_URL": "postgres://u@127.0.0.1:1/app", "METRICS_PORT": str(port), "VERIFY_IN": "off"}
    log = (tmp_path / "log").open("w+")
    argv = [sys.executable, "-m", "killick", "run"]
    with log, subprocess.Popen(argv, env=environ | more, stderr=log, stdout=log, text=True) as process:
        try:
            yield process, port
        finally:
            process.kill()


def answer(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as got:
            return got.status, got.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def eventually(port: int, path: str, text: str) -> str:
    for _ in range(600):
        status, body = answer(port, path)
        if status and text in body:
            return body
        time.sleep(0.1)
    raise AssertionError(f"{path} never said {text!r}")


def resident(pid: int) -> int:
    """kB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def test_what_the_store_holds_is_told_and_sigterm_ends_it(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    made = back_up(stores.connect(f"file://{tmp_path}/store"), datetime.now(UTC))
    with sidecar(tmp_path) as (process, port):
        eventually(port, "/metrics", 'killick_backup_last_success_timestamp_seconds{engine="postgres"')
        assert answer(port, "/healthz")[0] == 200
        assert answer(port, "/readyz") == (200, "db: the newest backup is 0 min old\n")
        assert resident(process.pid) < IDLE
        assert "shop: backups" in answer(port, "/")[1]
        status, night = answer(port, f"/night/shop/db/{datetime.now(UTC):%Y-%m-%d}")
        assert status == 200
        assert f"<code>{made}</code>" in night
        assert "postgres 16.4, app" in night, "read by a child, from the manifest"
        assert resident(process.pid) < IDLE, "with the templates too"
        loaded = Path(f"/proc/{process.pid}/maps").read_text()
        assert not [driver for driver in ("psycopg2", "botocore", "bson") if driver in loaded]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert "sidecar-stopped" in (tmp_path / "log").read_text()


def test_the_first_backup_is_tried_at_once_and_its_failure_leaves_the_loop_alive(tmp_path: Path) -> None:
    """Nothing listens where the database should be."""
    with sidecar(tmp_path, LOG_FORMAT="json") as (process, port):
        eventually(
            port, "/metrics", 'killick_backup_consecutive_failures{engine="postgres",project="shop",source="db"} 1.0'
        )
        assert answer(port, "/healthz")[0] == 200
        status, text = answer(port, "/readyz")
        assert status == 503
        assert "the last attempt failed: " in text
        assert "127.0.0.1" in text, "the sentence of the record, as the backup wrote it"
        assert process.poll() is None


@pytest.fixture
def database(postgres16: Postgres) -> Iterator[str]:
    """A URL without its password: that travels in a file."""
    postgres16.create("looped")
    postgres16.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n", "looped")
    try:
        yield f"postgres://{postgres16.user}@127.0.0.1:{postgres16.port}/looped"
    finally:
        postgres16.execute("DROP DATABASE looped WITH (FORCE)")


def test_the_first_backup_is_made_at_once(tmp_path: Path, database: str, postgres16: Postgres) -> None:
    (tmp_path / "password").write_text(postgres16.password + "\n")
    more = {"DATABASE_PASSWORD_FILE": str(tmp_path / "password"), "PROGRAMS": programs_path(mongo=False)}
    with sidecar(tmp_path, DATABASE_URL=database, **more, CODEC="gzip") as (process, port):
        eventually(port, "/readyz", "db: the newest backup is 0 min old")
        assert answer(port, "/readyz")[0] == 200
        assert "killick_backup_last_duration_seconds{" in answer(port, "/metrics")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    log = (tmp_path / "log").read_text()
    assert "event=backup-finished" in log
    assert postgres16.password not in log


def test_sigterm_during_a_backup_leaves_nothing_partial(tmp_path: Path, database: str, postgres16: Postgres) -> None:
    """Somebody else's lock keeps the dump waiting for as long as it takes us to stop it."""
    (tmp_path / "password").write_text(postgres16.password)
    more = {"DATABASE_PASSWORD_FILE": str(tmp_path / "password"), "PROGRAMS": programs_path(mongo=False)}
    holder = postgres16.connect("looped")
    holder.autocommit = False
    try:
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        with sidecar(tmp_path, DATABASE_URL=database, **more) as (process, _):
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'looped' AND wait_event_type = 'Lock'"
            for _ in range(300):
                if postgres16.execute(waiting)[0][0]:
                    break
                time.sleep(0.1)
            assert postgres16.execute(waiting)[0][0]
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
    finally:
        holder.close()
    left = [path.name for path in (tmp_path / "store").rglob("*") if path.is_file() and ".failed-" not in path.name]
    assert not [name for name in left if ".tar" in name or ".part" in name or name.endswith("-db.json")], left
    assert not [name for name in left if ".lock." in name], "the lock is given back"
    assert list((tmp_path / "scratch").glob("run-*")) == []
    log = (tmp_path / "log").read_text()
    assert "sidecar-stopped" in log
    assert "Traceback" not in log


def test_a_page_behind_a_password_or_none_at_all(tmp_path: Path) -> None:
    for more, status in (({"PAGE_PASSWORD": "s"}, 401), ({"PAGE": "off"}, 404)):
        with sidecar(tmp_path, SCHEDULE="off", **more) as (_, port):
            eventually(port, "/metrics", "killick_info")
            assert answer(port, "/")[0] == status


def test_bad_settings_end_it_with_2(tmp_path: Path) -> None:
    with sidecar(tmp_path, SCHEDULE="nightly", STORE="nowhere") as (process, _):
        assert process.wait(30) == 2
    log = (tmp_path / "log").read_text()
    assert "SCHEDULE" in log
    assert "STORE" in log
