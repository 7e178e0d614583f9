"""All projects of a bucket, from the store alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from killick import layout, records, stores
from killick.cli import program
from killick.errors import SettingsError, StoreError
from killick.manifest import Archive, Manifest
from killick.observers import metrics
from killick.observers.log import Log
from killick.settings import Settings, load
from killick.state import State
from killick.stores import Store, Stored, put_bytes
from sidecar.fleet import Fleet, expected, refresh
from sidecar.report import document
from sidecar.site import Board, readiness

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"STORE": f"file://{tmp_path}/store"})


@pytest.fixture
def store(settings: Settings) -> Store:
    return stores.connect(settings.store)


class Keeping:
    """A real folder, and which keys were read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.gets: list[str] = []

    def get(self, key: str, path: Path, **more: Any) -> None:
        self.gets.append(key)
        self._store.get(key, path, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def night(back: int) -> datetime:
    return NOW.replace(hour=3) - timedelta(days=back)


def back_up(store: Store, project: str, when: datetime, source: str = "db", verified: bool = True) -> str:
    id = layout.backup_id(when, source)
    key = layout.archive(project, id, ".zst")
    put_bytes(store, key, b"archive")
    records.put_manifest(
        store,
        Manifest(
            id=id, project=project, source=source, engine="postgres", started="", finished="", snapshot="",
            server_version="16.4", client_version="16.4", identity="1", database="app", contents=None,
            archive=Archive(key, 7, "a", 90, "b", "zstd"),
        ),
    )  # fmt: skip
    if verified:
        check(store, project, id, when + timedelta(hours=2))
    return id


def check(store: Store, project: str, id: str, when: datetime) -> None:
    records.record(store, project, id, when, "verify", "passed", 5, {"restore_seconds": 3.5, "tables": 8})


def told(states: tuple[State, ...]) -> dict[str, str]:
    found = document(states, NOW.timestamp())
    return {
        f"{project['project']}/{one['source']}": one["verdict"]
        for project in found["projects"]
        for one in project["sources"]
    }


def test_every_project_and_those_that_are_dead_or_were_never_there(store: Store, settings: Settings) -> None:
    for back in range(6):
        back_up(store, "alive", night(back))
        back_up(store, "dead", night(back + 9))
        back_up(store, "weekly", night(7 * back + 6))
    back_up(store, "new", night(0), verified=False)
    back_up(store, "new", night(0), "uploads")
    put_bytes(store, "stranger/photo.jpg", b"not ours")
    states = Fleet(store, settings, ["alive", "forgotten"]).read(NOW)
    assert told(states) == {
        "alive/db": "restorable",
        "dead/db": "backup is late",
        "forgotten/None": "no backup yet",
        "new/db": "never verified",
        "new/uploads": "restorable",
        "weekly/db": "restorable",
    }
    well, lines = readiness(states, NOW.timestamp())
    assert not well
    assert "dead/db: the newest backup is 9 days old" in lines
    assert "forgotten/no source: there is no backup yet" in lines
    text = metrics.exposition(*states).decode()
    assert 'killick_store_backups{engine="",project="forgotten",source="",state="proven"} 0.0' in text
    assert 'killick_verify_restore_seconds{engine="postgres",project="alive",source="db"} 3.5' in text
    assert 'killick_backup_interval_seconds{engine="postgres",project="weekly",source="db"} 604800.0' in text


def test_what_did_not_change_is_not_read_again(store: Store, settings: Settings) -> None:
    id = back_up(store, "shop", night(1))
    back_up(store, "other", night(0))
    kept = Keeping(store)
    fleet = Fleet(kept, settings)  # type: ignore[arg-type]
    first = fleet.read(NOW)
    reads = len(kept.gets)
    again = fleet.read(NOW + timedelta(minutes=5))
    assert [state.sources for state in again] == [state.sources for state in first]
    assert len(kept.gets) == reads
    check(store, "shop", id, NOW)
    changed = fleet.read(NOW + timedelta(minutes=10))
    assert changed[1].sources[0].verification.last_attempt == NOW.timestamp()
    assert {key.partition("/")[0] for key in kept.gets[reads:]} == {"shop"}
    tomorrow = fleet.read(NOW + timedelta(days=1))
    assert tomorrow[0].sources[0].nights.endswith("5 "), "the strip moves on though nothing changed"


def test_a_manifest_that_could_not_be_read_is_tried_again(store: Store, settings: Settings) -> None:
    id = back_up(store, "shop", night(0))
    key = layout.manifest("shop", id)
    whole = stores.get_bytes(store, key)
    store.delete(key)
    put_bytes(store, key, b"{")
    fleet = Fleet(store, settings)
    assert fleet.read(NOW)[0].sources[0].engine == ""
    store.delete(key)
    put_bytes(store, key, whole)
    assert fleet.read(NOW)[0].sources[0].engine == "postgres"


class Gone:
    """A store that cannot be reached."""

    def list(self, prefix: str) -> Iterator[Stored]:
        raise StoreError("no route to the store", "try later")
        yield


def test_an_unreachable_store_leaves_what_was_known(store: Store, settings: Settings, capsys: Any) -> None:
    import sys

    back_up(store, "shop", night(0))
    board, log = Board(), Log("json", "info", sys.stderr)
    refresh(Fleet(store, settings), board, log)
    known = board.states
    refresh(Fleet(Gone(), settings), board, log)  # type: ignore[arg-type]
    assert board.states == known
    assert board.trouble
    assert "no route" in board.trouble[1]
    assert "state-unknown" in capsys.readouterr().err


def test_the_list_of_those_expected(tmp_path: Path) -> None:
    path = tmp_path / "projects.txt"
    path.write_text("# all of ours\nmy-shop\n\nblog  # soon to go\n")
    assert expected(path) == ["my-shop", "blog"]
    path.write_text("my-shop\nMy Shop\n../x\n")
    with pytest.raises(SettingsError) as raised:
        expected(path)
    assert [problem.partition(": ")[2].partition(":")[0][-6:] for problem in raised.value.problems] == [
        "line 2",
        "line 3",
    ]
    with pytest.raises(SettingsError, match="cannot be read"):
        expected(tmp_path / "absent")


def test_one_document(store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORE", raising=False)
    back_up(store, "shop", night(0))
    listed = tmp_path / "projects.txt"
    listed.write_text("blog\n")
    ran = CliRunner().invoke(program(), ["fleet", settings.store, "--json", "--expect", str(listed)])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert [project["project"] for project in found["projects"]] == ["blog", "shop"]
    assert found["well"] is False
