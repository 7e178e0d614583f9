"""The state of every source, read back from a real store; and what Prometheus is told of it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from prometheus_client.parser import text_string_to_metric_families

from killick import layout, records, state, stores
from killick.manifest import Archive
from killick.observers import metrics
from killick.settings import Settings, load
from killick.stores import Store, Stored, put_bytes
from tests.unit.test_observers import MANIFEST

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 23, 3, tzinfo=UTC)


class Counting:
    """A real folder, and how often it was read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0

    def get(self, key: str, path: Path, **more: Any) -> None:
        self.reads += 1
        self._store.get(key, path, **more)

    def list(self, prefix: str) -> Iterator[Stored]:
        return self._store.list(prefix)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    environ = {"PROJECT": "shop", "STORE": f"file://{tmp_path}", "DATABASE_URL": "postgres://u@db/app"}
    return load({**environ, "FILES_UPLOADS": "/srv", "SCHEDULE": "every day at 03:00"})


@pytest.fixture
def store(settings: Settings) -> Store:
    return stores.connect(settings.store)


def back_up(store: Store, when: datetime, source: str = "db", size: int = 7) -> str:
    id = layout.backup_id(when, source)
    key = layout.archive("shop", id, ".lrz")
    put_bytes(store, key, b"x" * size)
    archive = Archive(key, size, "a", 90, "b", "lrzip")
    records.put_manifest(
        store, replace(MANIFEST, id=id, source=source, archive=archive, seconds={"dump": 2.5, "codec": 1.0})
    )
    return id


def source(store: Store, settings: Settings, name: str = "db") -> state.SourceState:
    found = state.read(store, settings, NOW)
    assert state.loads(found.dumps()) == found, "what the child prints is what the loop reads"
    return next(s for s in found.sources if s.source == name)


def test_an_empty_store(store: Store, settings: Settings) -> None:
    found = source(store, settings)
    assert (found.last_attempt, found.last_success, found.consecutive_failures, found.error) == (None, None, 0, {})
    assert (found.interval, found.set, found.verification) == (86400.0, True, state.Verification(max_age=259200.0))


def test_a_backup(store: Store, settings: Settings) -> None:
    id = back_up(store, NIGHT)
    found = source(store, settings)
    assert (found.last_id, found.last_attempt, found.last_success) == (id, NIGHT.timestamp(), NIGHT.timestamp())
    assert (found.engine, found.database, found.server_version) == ("postgres", "app", "16.4")
    assert (found.raw_bytes, found.archive_bytes, found.bytes) == (90, 7, 7)
    assert found.seconds == {"dump": 2.5, "codec": 1.0}
    assert found.backups == {"proven": 0, "unverified": 1, "failed": 0, "partial": 0}


def test_what_the_page_shows_beside(store: Store, settings: Settings) -> None:
    whole = replace(settings, zone=ZoneInfo("Pacific/Auckland"), verify=replace(settings.verify, rto=1800.0))
    for day in (20, 22, 23):
        back_up(store, NIGHT.replace(day=day), size=day)
    back_up(store, NIGHT.replace(day=23), "old")
    found = state.read(store, whole, NOW)
    assert found.today == NOW.astimezone(whole.zone).date().isoformat()
    assert (found.max_age, found.rto) == (3 * 86400.0, 1800.0)
    assert found.next_backup is not None
    assert found.time < found.next_backup <= found.time + 86400
    assert found.next_verify is not None
    assert 0 < found.scratch_free < found.scratch_bytes
    assert [bytes for _, bytes in found.sources[0].sizes] == [20, 22, 23]
    assert len(found.sources[0].nights) == state.NIGHTS
    assert [one.nights.count("0") for one in found.sources] == [3, 0, 1], "each source has its own strip"


def test_failures_since_then(store: Store, settings: Settings) -> None:
    records.attempt_failed(store, "shop", layout.backup_id(NIGHT.replace(day=20), "db"), "busy", {})
    back_up(store, NIGHT)
    for hour in (4, 5):
        id = layout.backup_id(NIGHT.replace(hour=hour), "db")
        data = {"phase": "facts", "error": "no route", "hint": "is it up?"}
        records.attempt_failed(store, "shop", id, "unreachable", data)
    found = source(store, settings)
    assert found.consecutive_failures == 2
    assert found.last_attempt == NIGHT.replace(hour=5).timestamp()
    assert found.error == {"kind": "unreachable", "phase": "facts", "message": "no route", "hint": "is it up?"}
    back_up(store, NIGHT.replace(hour=6))
    assert source(store, settings).consecutive_failures == 0
    assert source(store, settings).error == {}


def verify(store: Store, id: str, when: datetime, result: str, level: int, **more: Any) -> None:
    records.record(store, "shop", id, when, "verify", result, level, more)


def test_verifications(store: Store, settings: Settings) -> None:
    first, second = back_up(store, NIGHT), back_up(store, NIGHT.replace(day=24))
    records.record(store, "shop", second, NIGHT.replace(day=24, minute=1), "backup", "passed", 0, {})
    got = source(store, settings).verification
    assert (got.last_attempt, got.last_success, got.proven) == (None, None, None), "its own record verifies nothing"
    assert (got.unproven_since, got.turns) == (NIGHT.timestamp(), True)
    verify(store, first, NIGHT.replace(hour=5), "passed", 5, restore_seconds=3.5, tables=8, mismatches=[])
    got = source(store, settings).verification
    assert (got.result, got.level, got.restore_seconds, got.tables_checked, got.tables_mismatched) == (
        "passed",
        5,
        3.5,
        8,
        0,
    )
    assert got.verified_snapshot == NIGHT.timestamp()
    mismatches = [{"table": "a", "what": "rows"}, {"table": "a", "what": "sha"}, {"table": "b", "what": "rows"}]
    verify(
        store, second, NIGHT.replace(day=24, hour=5), "failed", 3, restore_seconds=None, tables=8, mismatches=mismatches
    )
    found = source(store, settings)
    got = found.verification
    assert (got.result, got.tables_mismatched, got.restore_seconds) == ("failed", 2, 0.0)
    assert got.last_attempt == NIGHT.replace(day=24, hour=5).timestamp()
    assert got.last_success == NIGHT.replace(hour=5).timestamp()
    assert got.verified_snapshot == NIGHT.timestamp(), "the newest one proven, not the newest one"
    assert found.backups == {"proven": 1, "unverified": 0, "failed": 1, "partial": 0}
    assert (got.proven, got.unproven_since) == (got.last_success, got.last_success)
    records.record(store, "shop", second, NIGHT.replace(day=28), "overdue", "failed", 0, {})
    assert source(store, settings).verification == replace(got, alarmed=True), "that alarm is no verification"


@pytest.mark.parametrize(
    "off", [{"VERIFY_IN": "off"}, {"VERIFY_SCHEDULE": "off"}, {"AGE_RECIPIENTS": "age1" + "q" * 58}]
)
def test_nothing_is_too_old_where_nobody_is_to_verify(store: Store, settings: Settings, off: dict[str, str]) -> None:
    back_up(store, NIGHT)
    environ = {"PROJECT": "shop", "STORE": settings.store, "DATABASE_URL": "postgres://u@db/app"}
    assert source(store, load({**environ, "VERIFY_MAX_AGE": "2d"})).verification.max_age == 2 * 86400
    assert source(store, load({**environ, **off})).verification.max_age == 0
    assert "killick_verify_max_age_seconds" not in samples(state.read(store, load({**environ, **off}), NOW))


def test_unverifiable_hides_no_proof(store: Store, settings: Settings) -> None:
    id = back_up(store, NIGHT)
    verify(store, id, NIGHT.replace(hour=5), "passed", 4)
    verify(store, id, NIGHT.replace(hour=6), "unverifiable", 0)
    got = source(store, settings).verification
    assert (got.result, got.verified_snapshot) == ("unverifiable", NIGHT.timestamp())


def test_what_cannot_be_read_is_left_out(store: Store, settings: Settings) -> None:
    id = back_up(store, NIGHT)
    store.delete(layout.manifest("shop", id))
    put_bytes(store, layout.manifest("shop", id), b"{}")
    put_bytes(store, layout.failed("shop", layout.backup_id(NOW, "db"), "busy"), b"[1]")
    found = source(store, settings)
    assert (found.last_success, found.archive_bytes, found.error) == (NIGHT.timestamp(), 0, {"kind": "busy"})


def test_a_source_that_only_the_store_knows(store: Store, settings: Settings) -> None:
    back_up(store, NIGHT, "old")
    found = source(store, settings, "old")
    assert (found.set, found.interval) == (False, 0.0)


def test_three_reads_for_each_source_however_many_backups(store: Store, settings: Settings) -> None:
    for day in range(1, 11):
        id = back_up(store, NIGHT.replace(day=day))
        for hour in (5, 6, 7):
            verify(store, id, NIGHT.replace(day=day, hour=hour), "passed", 5)
        records.attempt_failed(store, "shop", layout.backup_id(NIGHT.replace(day=day, hour=9), "db"), "busy", {})
    counting = Counting(store)
    state.read(counting, settings, NOW)  # type: ignore[arg-type]  # it passes all else on
    assert counting.reads == 3


@pytest.mark.parametrize(("rto", "target"), [({"target": 60.0, "met": None}, 60.0), (None, 0.0), ("fast", 0.0)])
def test_the_target_is_the_one_that_the_verification_had(
    store: Store, settings: Settings, rto: object, target: float
) -> None:
    verify(store, back_up(store, NIGHT), NIGHT.replace(hour=5), "passed", 4, rto=rto)
    assert source(store, settings).verification.restore_target == target


CONTRACT = """
killick_info{version} killick_source_info{database,server_version}
killick_backup_last_attempt_timestamp_seconds killick_backup_last_success_timestamp_seconds
killick_backup_last_duration_seconds{phase} killick_backup_last_size_bytes{stage}
killick_backup_consecutive_failures killick_backup_interval_seconds
killick_verify_last_attempt_timestamp_seconds killick_verify_last_success_timestamp_seconds
killick_verify_last_result{result} killick_verify_level killick_verify_restore_seconds killick_restore_target_seconds
killick_verify_max_age_seconds killick_verify_last_proof_timestamp_seconds
killick_verify_tables_checked killick_verify_tables_mismatched killick_verified_snapshot_timestamp_seconds
killick_store_backups{state} killick_store_bytes
"""


def samples(*found: state.State) -> dict[str, dict[tuple[str, ...], float]]:
    text = metrics.exposition(*found).decode()
    return {
        family.name: {tuple(s.labels.values()): s.value for s in family.samples}
        for family in text_string_to_metric_families(text)
    }


def test_metrics_are_those_of_the_contract(store: Store, settings: Settings) -> None:
    id = back_up(store, NIGHT)
    told = {"tables": 8, "mismatches": [], "rto": {"target": 60.0, "met": True}}
    verify(store, id, NIGHT.replace(hour=5), "passed", 5, restore_seconds=3.5, **told)
    text = metrics.exposition(state.read(store, settings, NOW)).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
        labels = {label for s in family.samples for label in s.labels}
        assert labels >= {"project", "source", "engine"} or family.name == "killick_info"
        found[family.name] = labels - {"project", "source", "engine"}
    promised = {}
    for word in CONTRACT.split():
        name, _, labels = word.rstrip("}").partition("{")
        promised[name] = set(labels.split(",")) - {""}
    assert found == promised


def test_what_never_happened_has_no_sample(store: Store, settings: Settings) -> None:
    got = samples(state.read(store, settings, NOW))
    assert "killick_backup_last_success_timestamp_seconds" not in got
    assert "killick_verify_last_result" not in got
    assert set(got["killick_backup_interval_seconds"].values()) == {86400.0}
    assert samples().keys() == {"killick_info"}


def test_metrics_are_the_same_after_a_restart(store: Store, settings: Settings) -> None:
    verify(store, back_up(store, NIGHT), NIGHT.replace(hour=5), "failed", 3)
    before = metrics.exposition(state.read(store, settings, NOW))
    assert metrics.exposition(state.read(stores.connect(settings.store), settings, NOW)) == before
    text = before.decode()
    for result, value in (("passed", 0), ("failed", 1), ("unverifiable", 0)):
        assert f'project="shop",result="{result}",source="db"}} {value}.0' in text
