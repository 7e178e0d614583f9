"""A manifest that somebody edited: whatever stands in it, it is told as damage, for people and for programs."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from killick import catalog, records, stores
from killick.catalog import Backup
from killick.contents import Contents, Sequence, Table
from killick.errors import Corrupt
from killick.manifest import Archive, Manifest, loads
from killick.stores import Store
from verify.html import render
from verify.options import Options
from verify.verify import record, verify

ID = "20261123T030000Z-db"
OTHER = "20261124T030000Z-db"
CONTENTS = Contents(
    {"public.orders": Table(3, "9f", ("id", "said"), ancestors=("public.every",)), "public.notes": Table(0)},
    {"public.orders_id_seq": Sequence(3, called=True, increment=1, covers=True)},
    {"schema": {"TABLE public.orders": "9f"}}, {"versions": {"server": "16"}}, ("app",), ("a note",),
    "2026-11-23T03:00:01Z",
)  # fmt: skip
WHOLE = Manifest(
    ID, "shop", "db", "postgres", "2026-11-23T03:00:00Z", "2026-11-23T03:00:09Z", "2026-11-23T03:00:01Z", "16.14",
    "16.14", "7412345678901234567", "shop", CONTENTS,
    Archive(f"shop/{ID}.tar.zst", 7, "9f" * 32, 70, "3a" * 32, "zstd", 1.5),
    {"encoding": "UTF8"}, ("app",), (), {"dump": 2.5}, ("not carried",), read_back=True, killick="0.1.0",
)  # fmt: skip
KEY, TABLE = ("archive", "key"), ("contents", "tables", "public.orders")
WRONG: list[tuple[tuple[str, ...], Any]] = [
    *((KEY, value) for value in (None, 5, [], "", "../x", "shop", "shop/", f"shop/{OTHER}.tar.zst", f"shop/{ID}.json")),
    *((KEY, value) for value in (f"other/{ID}.tar.zst", f"shop/../shop/{ID}.tar.zst", f"{ID}.tar.zst")),
    *((("archive", "codec"), value) for value in (None, 5, [], {}, True)),
    *((("archive", name), value) for name in ("bytes", "raw_bytes") for value in (None, "x", 7.5, True, [], 10**400)),
    *((("archive", name), value) for name in ("sha256", "raw_sha256") for value in (None, 5)),
    *((("archive", "seconds"), value) for value in (None, "x", float("nan"), float("inf"))),
    *((("archive",), value) for value in (5, "x", [], {})),
    *((("recipe",), value) for value in (None, 5, "x", [], {"rows": "1"}, {"rows": None})),
    *((("snapshot",), value) for value in (None, 5, [], {}, "\ud800")),
    *((("engine",), value) for value in (None, 5, ["postgres"], {})),
    *(((name,), None) for name in ("id", "project", "source", "started", "finished", "server_version", "identity")),
    *(((name,), value) for name in ("roles", "recipients", "warnings") for value in (None, 5, "x", {}, [5], [None])),
    *((("details",), value) for value in (None, 5, [], {"encoding": 5}, {"\udc80": "x"})),
    *((("seconds",), value) for value in (None, "x", {"dump": "x"}, {"dump": float("nan")})),
    *((("read_back",), value) for value in (None, 1, "yes")),
    *((("contents",), value) for value in (5, "x", [])),
    *((("contents", part), value) for part in ("tables", "sequences", "groups") for value in (None, 5, [], {"x": 5})),
    *((("contents", part), value) for part in ("roles", "notes") for value in (None, "x", [5])),
    (("contents", "snapshot"), 5),
    *(((*TABLE, "rows"), value) for value in (None, "3", 2.5, True, 10**400)),
    *(((*TABLE, "checksum"), value) for value in (None, 5)),
    *(((*TABLE, "columns"), value) for value in (None, "id", [5])),
    *((("contents", "sequences", "public.orders_id_seq", "covers"), value) for value in (1, "yes")),
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "shop").mkdir()
    (tmp_path / f"shop/{ID}.tar.zst").write_bytes(b"archive")
    return stores.connect(f"file://{tmp_path}")


def stored(folder: Path, data: object) -> Backup:
    """The backup with that manifest."""
    (folder / f"shop/{ID}.json").write_text(data if isinstance(data, str) else json.dumps(data))
    return next(iter(catalog.read(stores.connect(f"file://{folder}"), "shop").backups))


def edited(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(WHOLE.dumps())
    part = data
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return data


@pytest.mark.parametrize(
    ("path", "value"), WRONG, ids=[f"{'.'.join(path)}={str(value)[:20]!a}" for path, value in WRONG]
)
def test_an_edit_is_damage(tmp_path: Path, store: Store, path: tuple[str, ...], value: Any) -> None:
    refused(tmp_path, store, edited(path, value))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "5", "{", '{"format": "killick/1"}', "[" * 100_000, '{"format": ' + "[" * 100_000]
)
def test_what_is_no_manifest(tmp_path: Path, store: Store, text: str) -> None:
    refused(tmp_path, store, text)


def refused(folder: Path, store: Store, data: object) -> None:
    """By restore and fetch (4), and failed by verify: told, recorded and printed."""
    backup = stored(folder, data)
    with pytest.raises(Corrupt) as told:
        records.manifest(store, backup)
    report = record(store, verify(store, backup, Options(folder / "scratch")))
    assert (report.result, report.reason, report.failed_level) == ("failed", "corrupt", 0)
    assert report.error == told.value.message
    assert f"{ID} FAILED" in report.text().encode().decode()
    assert render([report], datetime.now(UTC)).encode()


def test_what_was_written_is_read(tmp_path: Path, store: Store) -> None:
    assert records.manifest(store, stored(tmp_path, WHOLE.to_json())) == WHOLE


def test_what_an_earlier_version_left_out_and_a_later_one_added(tmp_path: Path, store: Store) -> None:
    """Fields that have a value without being written, whole numbers for seconds, and names that nobody knows yet."""
    data: dict[str, Any] = json.loads(WHOLE.dumps())
    for name in ("roles", "recipients", "seconds", "warnings", "read_back", "recipe", "killick", "details"):
        del data[name]
    data["archive"]["seconds"] = 2
    for part in (data, data["archive"], data["contents"], data["contents"]["tables"]["public.orders"]):
        part["of_a_later_version"] = {"x": [None]}
    found = records.manifest(store, stored(tmp_path, data))
    assert (found.contents, found.recipe, found.roles, found.read_back) == (CONTENTS, WHOLE.recipe, (), True)
    assert found.archive is not None
    assert found.archive.seconds == 2


def test_one_without_contents() -> None:
    data = WHOLE.to_json()
    del data["contents"]
    assert loads(json.dumps(data), "here").contents is None
