"""A verification that comes while its source is backed up: by a lock that is really held."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from killick import layout, lock, stores
from killick.catalog import Backup
from killick.errors import Unverifiable
from killick.lock import Terms, hold
from killick.owner import Owner
from killick.stores import Store
from killick.watch import Phases
from tests.kit import Project, basics
from verify import meanwhile

SHORT = Terms(renew=0.2, again=0.1, expiry=1)
BACKUP = Backup("shop", "20261123T030000Z-db", "db", datetime(2026, 11, 23, 3, tzinfo=UTC))


class Reading:
    """A store by credentials that may only read."""

    def __init__(self, store: Store) -> None:
        self.list, self.get = store.list, store.get

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked of a store that may only be read")


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(meanwhile, "_PAUSE", 0.05)
    if request.param == "folder":
        return stores.connect(f"file://{tmp_path}/store")
    server = request.getfixturevalue("s3")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return stores.connect(f"{server.bucket(f'meanwhile-{secrets.token_hex(6)}')}/backups")


@contextmanager
def held(store: Store, tmp_path: Path, source: str = "db") -> Iterator[threading.Event]:
    """The lock, until the event is set."""
    free, taken = threading.Event(), threading.Event()

    def work() -> None:
        with hold(store, "shop", source, Owner(tmp_path / "scratch"), terms=SHORT):
            taken.set()
            free.wait(60)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert taken.wait(30)
        yield free
    finally:
        free.set()
        worker.join()


def waited(store: Store, patience: float = 0.0, terms: Terms = lock.TERMS) -> tuple[list[str], dict[str, float]]:
    said: list[str] = []
    phases = Phases()
    meanwhile.undisturbing(Reading(store), BACKUP, patience, phases, said.append, terms)  # type: ignore[arg-type]
    return said, phases.seconds


def test_nobody_is_waited_for_where_nobody_works(store: Store, tmp_path: Path) -> None:
    assert waited(store) == ([], {})
    with held(store, tmp_path, "uploads"):
        assert waited(store) == ([], {}), "another source"


def test_it_waits_until_the_backup_ended(store: Store, tmp_path: Path) -> None:
    with held(store, tmp_path) as free:
        timer = threading.Timer(2, free.set)  # longer than a lock that is not renewed would be believed
        timer.start()
        said, seconds = waited(store, terms=Terms(renew=0.2, again=0.1, expiry=3600))
        assert free.is_set()
    assert len(said) == 1
    assert "db is being worked on by " in said[0]
    assert list(seconds) == ["wait"]


def test_it_does_not_wait_longer_than_it_may(store: Store, tmp_path: Path) -> None:
    with held(store, tmp_path) as free:
        with pytest.raises(Unverifiable, match="and the verification waited") as error:
            waited(store, patience=0.3)
        assert error.value.reason == "busy"
        assert not free.is_set(), "the backup goes on"


def dead(store: Store, **body: object) -> None:
    whole = {"owner": "x", "host": "h", "pid": 1, "started": "2026-11-23T03:00:00Z", **body}
    stores.put_json(store, layout.lock("shop", "db", 3), whole)


def test_one_that_nobody_renews_does_not_count(store: Store) -> None:
    """Its clock may be any: who does not renew is dead. An old one is not even watched."""
    dead(store)
    said, seconds = waited(store, terms=Terms(expiry=3))
    assert len(said) == 1
    assert seconds["wait"]
    time.sleep(3)
    assert waited(store, terms=Terms(expiry=1)) == ([], {})


def test_one_that_was_given_back_without_the_right_to_delete_does_not_count(store: Store) -> None:
    dead(store, released=True)
    assert waited(store) == ([], {})


def test_the_command_line_waits_says_for_whom_and_goes_on(tmp_path: Path, programs_path: str) -> None:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads/picture").write_bytes(b"\0" * 1000)
    project = Project({**basics(tmp_path, programs_path), "FILES_UPLOADS": str(tmp_path / "uploads")})
    project.back_up()
    with held(project.store, tmp_path / "other", "uploads") as free:
        ran = project.run("verify", "--json", "--in", "process", VERIFY_TIMEOUT="1s", expect=6)
        assert "is being worked on" in ran.json["error"]
        (record,) = (tmp_path / "store/shop" / f"{ran.json['id']}.evidence").glob("*-verify-unverifiable-0.json")
        assert json.loads(record.read_text())["reason"] == "busy"
        with project.running("verify", "--json", "--in", "process") as waiting:
            assert waiting.stderr is not None
            assert "the verification waits: uploads is being worked on by" in waiting.stderr.readline()
            free.set()
            assert waiting.wait(60) == 0
