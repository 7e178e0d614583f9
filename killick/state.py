"""What is known of every source: the one answer behind metrics, health and the evidence page.

Nothing of it is remembered by a process. It is read from the store: one listing, and at most three small objects for
each source (the newest manifest, the newest piece of evidence, the newest failed attempt).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, tzinfo
from pathlib import Path
from typing import Any

from killick import catalog as catalogs
from killick import engines, layout, records, schedule
from killick.catalog import Backup, Catalog, Evidence
from killick.errors import KillickError
from killick.manifest import Manifest
from killick.nights import nights
from killick.proof import standing
from killick.settings import Settings
from killick.stores import Store, get_bytes

NIGHTS = 30
"""How many the strip has, and how many sizes are shown."""

_CHECKS = ("verify", "refresh")


@dataclass(frozen=True)
class Verification:
    """The newest one, and what of older ones still counts. Times in seconds since 1970; None: never.

    `restore_seconds` is 0 where it did not come to a restore, `restore_target` where there was none (RTO). `error` and
    `hint`: why the newest one did not pass. `max_age` is VERIFY_MAX_AGE in seconds, 0 where nobody is to verify here.
    `proven`, `unproven_since`, `alarmed`, `turned`, `turns`: see killick.proof.
    """

    last_attempt: float | None = None
    last_success: float | None = None
    result: str = ""
    level: int = 0
    restore_seconds: float = 0.0
    tables_checked: int = 0
    tables_mismatched: int = 0
    verified_snapshot: float | None = None
    error: str = ""
    hint: str = ""
    restore_target: float = 0.0
    proven: float | None = None
    unproven_since: float | None = None
    max_age: float = 0.0
    alarmed: bool = False
    turned: float | None = None
    turns: bool = False


@dataclass(frozen=True)
class SourceState:
    """Times in seconds since 1970, None for never. `interval` is the schedule's, in seconds; 0 when it is off.

    `set`: the settings name this source; one that only the store knows is shown, and never stale.
    `seconds`, `raw_bytes` and `archive_bytes` are of the newest backup. `backups` counts by state: proven, unverified,
    failed (its verification), partial (an archive without a manifest). `error` tells of the last attempt, where it
    failed: {"kind", "phase", "message", "hint"}. `nights` as killick.nights writes them; `sizes` are (time, bytes) of
    the newest archives, oldest first.
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
    nights: str = ""
    sizes: tuple[tuple[float, int], ...] = ()


@dataclass(frozen=True)
class State:
    """`time` is when it was read, in seconds since 1970; `today` (2026-11-23) the local day then: the strips' last.

    `max_age` and `rto` are the settings' in seconds, 0 for none; `next_backup` and `next_verify` the planned runs;
    `scratch_free` of `scratch_bytes` are left on the scratch folder's disk, 0 where that is not known.
    """

    project: str
    time: float
    sources: tuple[SourceState, ...] = ()
    today: str = ""
    max_age: float = 0.0
    rto: float = 0.0
    next_backup: float | None = None
    next_verify: float | None = None
    scratch_free: int = 0
    scratch_bytes: int = 0

    @property
    def day(self) -> date:
        return date.fromisoformat(self.today) if self.today else datetime.fromtimestamp(self.time, UTC).date()

    def dumps(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def loads(text: str | bytes) -> State:
    """Raises ValueError, KeyError, TypeError for what `dumps` did not write."""
    data = json.loads(text)
    return State(**{**data, "sources": tuple(_source(one) for one in data["sources"])})


def _source(data: Mapping[str, Any]) -> SourceState:
    sizes = tuple((time, bytes) for time, bytes in data["sizes"])
    return SourceState(**{**data, "sizes": sizes, "verification": Verification(**data["verification"])})


def read(store: Store, settings: Settings, now: datetime) -> State:
    """Raises StoreError and its kinds. An object that cannot be read leaves its facts out, and no more."""
    catalog = catalogs.read(store, settings.project, settings.zone)
    names = [s.name for s in settings.sources]
    parts = catalog.parts()
    others = [name for name in catalog.sources if name not in names]
    interval = schedule.interval(settings.schedule, now, settings.zone)
    schemes = {s.name: s.url.partition("://")[0] for s in settings.sources}
    found = []
    for name in [*names, *others]:
        given = SourceState(name, engine=_engine(schemes.get(name, "")), set=name in schemes)
        given = replace(given, interval=interval if given.set else 0.0)
        part = parts.get(name, Catalog(settings.project))
        state = of_source(store, part, given, settings.zone, now)
        found.append(replace(state, verification=_over_time(state.verification, part, name, settings)))
    free, whole = _disk(settings.scratch)
    return State(
        settings.project,
        now.timestamp(),
        tuple(found),
        today=now.astimezone(settings.zone).date().isoformat(),
        max_age=settings.verify.max_age,
        rto=settings.verify.rto,
        next_backup=_moment(schedule.next_run(settings.schedule, now, settings.zone)),
        next_verify=_moment(schedule.next_run(settings.verify.schedule, now, settings.zone)),
        scratch_free=free,
        scratch_bytes=whole,
    )


def of_source(store: Store, part: Catalog, given: SourceState, zone: tzinfo, now: datetime) -> SourceState:
    """`given` with what the catalog of this one source tells, and three objects at most. Raises nothing of one."""
    backups, partial, failures = part.backups, part.partial, part.failures
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
        verification=_verification(store, part),
        error=_error(store, layout.failed(part.project, newer[0].id, newer[0].kind), newer[0].kind) if newer else {},
        nights=nights(part, NIGHTS, zone, now, given.interval),
        sizes=tuple((b.time.timestamp(), b.bytes) for b in reversed(backups[:NIGHTS])),
    )
    own = next((b for b in backups if not b.older), None)
    with suppress(KillickError):
        return _described(state, records.manifest(store, own), own == backups[0]) if own else state
    return state


def _disk(folder: Path) -> tuple[int, int]:
    """(free, all) bytes of the disk that the folder lies on, or will."""
    for place in (folder, *folder.parents):
        with suppress(OSError):
            usage = shutil.disk_usage(place)
            return usage.free, usage.total
    return 0, 0


def _moment(time: datetime | None) -> float | None:
    return time.timestamp() if time else None


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


def _verification(store: Store, part: Catalog) -> Verification:
    """Of every backup that the store remembers, the pruned ones too where one is left."""
    backups = part.backups
    remembered = (*backups, *(part.remains if backups else ()))
    checks = [(e.when, b, e) for b in remembered for e in b.evidence if e.kind in _CHECKS]
    if not checks:
        return Verification()
    when, backup, newest = max(checks, key=lambda c: c[0])
    passed = [when for when, _, e in checks if e.result == "passed"]
    proven = [b.time for b in backups if b.proven]
    record = _record(store, backup, newest)
    seconds = record.get("restore_seconds")
    return Verification(
        last_attempt=when.timestamp(),
        last_success=max(passed).timestamp() if passed else None,
        result=newest.result,
        level=newest.level,
        restore_seconds=float(seconds) if isinstance(seconds, (int, float)) else 0.0,
        tables_checked=_count(record.get("tables")),
        tables_mismatched=_different(record.get("mismatches")),
        verified_snapshot=max(proven).timestamp() if proven else None,
        error=str(record.get("error") or ""),
        hint=str(record.get("hint") or ""),
        restore_target=_target(record.get("rto")),
    )


def _over_time(newest: Verification, catalog: Catalog, source: str, settings: Settings) -> Verification:
    found = standing(catalog, source, settings.verify.level)
    return replace(
        newest,
        proven=found.proven.timestamp() if found.proven else None,
        unproven_since=found.since.timestamp() if found.since else None,
        max_age=0.0 if settings.verifies_nothing else settings.verify.max_age,
        alarmed=found.alarmed,
        turned=found.turned.timestamp() if found.turned else None,
        turns=found.turns,
    )


def _record(store: Store, backup: Backup, evidence: Evidence) -> dict[str, Any]:
    return records.evidence(store, replace(backup, evidence=(evidence,)))[0]


def _target(rto: object) -> float:
    target = rto.get("target") if isinstance(rto, dict) else None
    return float(target) if isinstance(target, (int, float)) else 0.0


def _count(tables: object) -> int:
    return tables if isinstance(tables, int) else len(tables) if isinstance(tables, (list, dict)) else 0


def _different(mismatches: object) -> int:
    found = mismatches if isinstance(mismatches, list) else []
    return len({m.get("table") for m in found if isinstance(m, dict)})


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
