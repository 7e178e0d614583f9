"""What is known of every source: the one answer behind metrics, health and the evidence page.

Nothing of it is remembered by a process. It is read from the store: one listing, and at most three small objects for
each source (the newest manifest, the newest piece of evidence, the newest failed attempt).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from killick import catalog as catalogs
from killick import engines, layout, records, schedule
from killick.catalog import Backup, Catalog, Evidence
from killick.errors import KillickError
from killick.manifest import Manifest
from killick.settings import Settings
from killick.stores import Store, get_bytes

_CHECKS = ("verify", "refresh")


@dataclass(frozen=True)
class Verification:
    """The newest one, and what of older ones still counts. Times in seconds since 1970; None: never.

    `restore_seconds` is 0 where it did not come to a restore.
    """

    last_attempt: float | None = None
    last_success: float | None = None
    result: str = ""
    level: int = 0
    restore_seconds: float = 0.0
    tables_checked: int = 0
    tables_mismatched: int = 0
    verified_snapshot: float | None = None


@dataclass(frozen=True)
class SourceState:
    """Times in seconds since 1970, None for never. `interval` is the schedule's, in seconds; 0 when it is off.

    `set`: the settings name this source; one that only the store knows is shown, and never stale.
    `seconds`, `raw_bytes` and `archive_bytes` are of the newest backup. `backups` counts by state: proven, unverified,
    failed (its verification), partial (an archive without a manifest). `error` tells of the last attempt, where it
    failed: {"kind", "phase", "message", "hint"}.
    """

    source: str
    engine: str = ""
    set: bool = True
    database: str = ""
    server_version: str = ""
    interval: float = 0.0
    last_id: str = ""
    last_attempt: float | None = None
    last_success: float | None = None
    consecutive_failures: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    raw_bytes: int = 0
    archive_bytes: int = 0
    backups: Mapping[str, int] = field(default_factory=dict)
    bytes: int = 0
    error: Mapping[str, str] = field(default_factory=dict)
    verification: Verification = Verification()


@dataclass(frozen=True)
class State:
    """`time` is when it was read, in seconds since 1970."""

    project: str
    time: float
    sources: tuple[SourceState, ...] = ()

    def dumps(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def loads(text: str | bytes) -> State:
    data = json.loads(text)
    found = (SourceState(**{**one, "verification": Verification(**one["verification"])}) for one in data["sources"])
    return State(data["project"], data["time"], tuple(found))


def read(store: Store, settings: Settings, now: datetime) -> State:
    """Raises StoreError and its kinds. An object that cannot be read leaves its facts out, and no more."""
    catalog = catalogs.read(store, settings.project, settings.zone)
    names = [s.name for s in settings.sources]
    others = [name for name in catalog.sources if name not in names]
    interval = schedule.interval(settings.schedule, now, settings.zone)
    schemes = {s.name: s.url.partition("://")[0] for s in settings.sources}
    found = []
    for name in [*names, *others]:
        given = SourceState(name, engine=_engine(schemes.get(name, "")), set=name in schemes)
        found.append(_source(store, catalog, replace(given, interval=interval if given.set else 0.0)))
    return State(settings.project, now.timestamp(), tuple(found))


def _source(store: Store, catalog: Catalog, given: SourceState) -> SourceState:
    backups = catalog.of(given.source)
    partial = [b for b in catalog.partial if b.source == given.source]
    failures = [f for f in catalog.failures if f.source == given.source]
    success = backups[0].time if backups else None
    newer = [f for f in failures if success is None or f.time > success]
    attempts = [time for time in (success, failures[0].time if failures else None) if time]
    counts = {"proven": 0, "unverified": 0, "failed": 0, "partial": len(partial)}
    for backup in backups:
        counts["proven" if backup.proven else "failed" if backup.failed else "unverified"] += 1
    state = replace(
        given,
        last_id=backups[0].id if backups else "",
        last_attempt=max(attempts).timestamp() if attempts else None,
        last_success=success.timestamp() if success else None,
        consecutive_failures=len(newer),
        backups=counts,
        bytes=sum(b.bytes for b in (*backups, *partial)),
        verification=_verification(store, catalog, backups),
        error=_error(store, layout.failed(catalog.project, newer[0].id, newer[0].kind), newer[0].kind) if newer else {},
    )
    own = next((b for b in backups if not b.older), None)
    with suppress(KillickError):
        return _described(state, records.manifest(store, own), own == backups[0]) if own else state
    return state


def _described(state: SourceState, manifest: Manifest, newest: bool) -> SourceState:
    told = replace(state, engine=manifest.engine, database=manifest.database, server_version=manifest.server_version)
    if not newest or manifest.archive is None:
        return told
    return replace(
        told,
        seconds=dict(manifest.seconds),
        raw_bytes=manifest.archive.raw_bytes,
        archive_bytes=manifest.archive.bytes,
    )


def _verification(store: Store, catalog: Catalog, backups: list[Backup]) -> Verification:
    """Of every backup that the store remembers, the pruned ones too."""
    source = {b.source for b in backups}
    remembered = [*backups, *(b for b in catalog.remains if b.source in source)]
    checks = [(e.when, b, e) for b in remembered for e in b.evidence if e.kind in _CHECKS]
    if not checks:
        return Verification()
    when, backup, newest = max(checks, key=lambda c: c[0])
    passed = [when for when, _, e in checks if e.result == "passed"]
    proven = [b.time for b in backups if b.proven]
    record = _record(store, backup, newest)
    seconds, mismatches = record.get("restore_seconds"), record.get("mismatches")
    return Verification(
        last_attempt=when.timestamp(),
        last_success=max(passed).timestamp() if passed else None,
        result=newest.result,
        level=newest.level,
        restore_seconds=float(seconds) if isinstance(seconds, (int, float)) else 0.0,
        tables_checked=_count(record.get("tables")),
        tables_mismatched=len({m.get("table") for m in mismatches}) if isinstance(mismatches, list) else 0,
        verified_snapshot=max(proven).timestamp() if proven else None,
    )


def _record(store: Store, backup: Backup, evidence: Evidence) -> dict[str, Any]:
    return records.evidence(store, replace(backup, evidence=(evidence,)))[0]


def _count(tables: object) -> int:
    return tables if isinstance(tables, int) else len(tables) if isinstance(tables, (list, dict)) else 0


def _error(store: Store, key: str, kind: str) -> dict[str, str]:
    told = {"kind": kind}
    with suppress(KillickError, ValueError, LookupError, TypeError):
        data = json.loads(get_bytes(store, key))
        told |= {"phase": str(data["phase"]), "message": str(data["error"]), "hint": str(data.get("hint", ""))}
    return told


def _engine(scheme: str) -> str:
    """The engine's name is its module's."""
    module = engines.modules().get(scheme)
    return module.__name__.rpartition(".")[2] if module else ""
