"""One night, read from a folder store: what its page is made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from killick import catalog, layout, records, stores
from killick.contents import Contents, Table
from killick.manifest import Archive, Manifest
from killick.stores import Store, put_bytes
from sidecar.night import read
from sidecar.page import night as page

NIGHT = datetime(2026, 11, 23, 3, tzinfo=UTC)
TABLES = Contents(tables={"public.orders": Table(1200, "a1" * 16), "public.notes": Table(0)})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return stores.connect(f"file://{tmp_path}/store")


def back_up(store: Store, when: datetime = NIGHT, **more: Any) -> str:
    id = layout.backup_id(when, "db")
    key = layout.archive("shop", id, ".zst")
    put_bytes(store, key, b"archive")
    made = Manifest(
        id=id, project="shop", source="db", engine="postgres", started="", finished="", snapshot="2026-11-23T03:00:01Z",
        server_version="16.4", client_version="16.4", identity="1", database="app", contents=TABLES,
        archive=Archive(key, 7, "ab" * 32, 90, "b", "zstd"), seconds={"dump": 2.5},
    )  # fmt: skip
    records.put_manifest(store, replace(made, **more))
    return id


def verified(store: Store, id: str, result: str, level: int, **data: Any) -> None:
    records.record(store, "shop", id, NIGHT + timedelta(hours=2), "verify", result, level, data)


def shown(store: Store, day: date | None = None) -> Any:
    found = read(store, "shop", "db", day or NIGHT.date(), UTC)
    assert page(found, NIGHT.timestamp())
    return found


def said(store: Store) -> dict[str, str]:
    return {table["name"]: table["said"] for table in shown(store)["backups"][0]["tables"]}


def test_the_evidence_table_by_table(store: Store) -> None:
    id = back_up(store)
    assert said(store) == {"public.notes": "not compared", "public.orders": "not compared"}
    verified(store, id, "passed", 5, restore_seconds=3.5, seconds={"restore": 3.0}, mismatches=[])
    assert said(store) == {"public.notes": "equal", "public.orders": "equal"}
    (backup,) = shown(store)["backups"]
    assert backup["facts"]["Rows"] == "1,200 in 2 tables"
    assert backup["evidence"][0]["said"] == "a restore takes 3.5 s (restore 3.0)"
    assert "public.orders" in page(shown(store), 0.0)


def test_what_differs_comes_first(store: Store) -> None:
    mismatch = {"table": "public.orders", "what": "rows", "expected": "1200", "got": "1199"}
    verified(
        store,
        back_up(store),
        "failed",
        3,
        failed_level=4,
        error="1 difference",
        hint="the one before",
        mismatches=[mismatch],
    )
    assert list(said(store).items()) == [
        ("public.orders", "rows: 1200 expected, 1199 found"),
        ("public.notes", "equal"),
    ]
    assert shown(store)["backups"][0]["evidence"][0]["said"] == "1 difference; the one before"


@pytest.mark.parametrize(("result", "level"), [("passed", 2), ("failed", 1), ("unverifiable", 0)])
def test_what_was_not_compared_is_not_called_equal(store: Store, result: str, level: int) -> None:
    verified(store, back_up(store), result, level)
    assert set(said(store).values()) == {"not compared"}


def test_evidence_that_is_half_written(store: Store) -> None:
    id = back_up(store)
    torn = (b"", b"[1]", b'{"mismatches": [1, {}], "seconds": "x", "restore_seconds": "y"}')
    for hour, data in zip((5, 6, 7), torn, strict=True):
        put_bytes(store, layout.evidence("shop", id, NIGHT.replace(hour=hour), "verify", "passed", 5), data)
    evidence = shown(store)["backups"][0]["evidence"]
    assert [one["result"] for one in evidence] == ["passed"] * 3, "the key says so"
    assert "cannot be read" in evidence[0]["said"]
    put_bytes(store, layout.failed("shop", layout.backup_id(NIGHT.replace(hour=4), "db"), "busy"), b"{")
    assert "cannot be read" in shown(store)["failures"][0]["error"]


def test_a_manifest_that_is_torn_hides_nothing_else(store: Store) -> None:
    id = back_up(store)
    verified(store, id, "passed", 5)
    store.delete(layout.manifest("shop", id))
    put_bytes(store, layout.manifest("shop", id), b"{")
    (backup,) = shown(store)["backups"]
    assert "is not a manifest" in backup["error"]
    assert (len(backup["evidence"]), backup["tables"]) == (1, [])


def test_what_is_left_of_a_pruned_backup(store: Store) -> None:
    id = back_up(store)
    verified(store, id, "passed", 5)
    back_up(store, NIGHT.replace(hour=9))
    records.delete(store, catalog.read(store, "shop").backups[1])
    newest, pruned = shown(store)["backups"]
    assert (newest["pruned"], pruned["pruned"], len(pruned["evidence"])) == (False, True, 1)


def test_a_night_is_a_local_day_and_another_source_is_none_of_it(store: Store) -> None:
    back_up(store)
    for key in ("shop/20261123T030000Z-db_old.json", "shop/20261122T235959Z-db.json"):
        put_bytes(store, key, b"{}")
    assert [backup["id"] for backup in shown(store)["backups"]] == ["20261123T030000Z-db"]
    assert shown(store, date(2026, 11, 20))["backups"] == []


def test_an_encrypted_one_and_one_that_is_under_way(store: Store) -> None:
    back_up(store, contents=None)
    put_bytes(store, "shop/20261123T040000Z-db.tar.zst", b"arch")
    partial, encrypted = shown(store)["backups"]
    assert "encrypted" in encrypted["silent"]
    assert "no manifest" in partial["error"]


def test_many_of_one_night(store: Store) -> None:
    for minute in range(30):
        back_up(store, NIGHT.replace(minute=minute))
    found = shown(store)
    assert (len(found["backups"]), found["more"]) == (24, 6)
    assert found["backups"][0]["id"] == "20261123T032900Z-db"
