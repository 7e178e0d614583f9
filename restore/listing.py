"""Backups as a person and as a program want to see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from killick import layout, records
from killick.catalog import Backup, Catalog
from killick.errors import KillickError, SettingsError
from killick.figures import age, size
from killick.find import find, until
from killick.session import Session
from restore.signatures import told


def pick(session: Session, id: str, source: str, at: str, found: Catalog | None = None) -> Backup:
    """Raises NotFound, Corrupt, SettingsError: see killick.find. `found`: the catalog, where it was read already."""
    if at and id != "latest":
        raise SettingsError(f"{id} and --at {at} are both given", "leave one of them out")
    before = until(at, session.settings.zone) if at else None
    return find(found or session.catalog(), id, source, before)


def entries(session: Session, found: Catalog, source: str) -> list[dict[str, Any]]:
    """The contract's list. The engine is that of each source's newest manifest: one read a source."""
    shown = [b for b in (*found.backups, *found.partial) if source in ("", b.source)]
    shown.sort(key=lambda b: (b.time, b.id), reverse=True)
    engines: dict[str, str | None] = {}
    for backup in shown:
        if backup.manifest and backup.source not in engines:
            try:
                engines[backup.source] = records.manifest(session.store, backup).engine
            except KillickError:  # a manifest that cannot be read does not hide the others
                engines[backup.source] = None
    return [_entry(backup, None if backup.older else engines.get(backup.source)) for backup in shown]


def _entry(backup: Backup, engine: str | None) -> dict[str, Any]:
    verdict = backup.verdict
    return {
        "id": backup.id,
        "project": backup.project,
        "source": backup.source,
        "engine": engine,
        "time": layout.rfc3339(backup.time),
        "bytes": backup.bytes,
        "manifest": backup.manifest,
        "verified": None
        if verdict is None
        else {"time": layout.rfc3339(verdict.when), "level": verdict.level, "result": verdict.result},
    }


def table(listed: Sequence[Mapping[str, Any]], found: Catalog, now: datetime, source: str = "") -> str:
    """A line for each; below it what is under way or went wrong lately."""
    if not listed and source:
        known = ", ".join(found.sources) or "none"
        return f"{found.project} has no backups of a source {source} in this store; there are: {known}"
    if not listed:
        return f"{found.project} has no backups in this store yet: killick backup makes one"
    rows = [("ID", "SOURCE", "AGE", "SIZE", "VERIFIED")]
    rows += [
        (
            str(entry["id"]),
            str(entry["source"]),
            age(now, datetime.fromisoformat(entry["time"])),
            size(entry["bytes"]),
            _verified(entry, now),
        )
        for entry in listed
    ]
    lines = columns(rows)
    failures = [f for f in found.failures if f.time > max((b.time for b in found.of(f.source)), default=f.time)]
    for failure in failures[:3]:
        lines.append(f"✗ {failure.source}: the attempt of {layout.rfc3339(failure.time)} failed ({failure.kind})")
    return "\n".join(lines)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned; the last column is free."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    return ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]


def _verified(entry: Mapping[str, Any], now: datetime) -> str:
    verdict = entry["verified"]
    if verdict is None:
        return "never" if entry["manifest"] else "no manifest"
    when = age(now, datetime.fromisoformat(verdict["time"]))
    return f"{verdict['result']}, level {verdict['level']}, {when} ago"


def portrait(document: Mapping[str, Any]) -> str:
    """A manifest for a person: what, of when, how large; its tables; the evidence."""
    names = ("id", "project", "source", "engine", "database", "snapshot", "server_version", "identity", "killick")
    lines = [f"{name.replace('_', ' '):<16}{document[name]}" for name in names if document.get(name)]
    archive = document.get("archive")
    if archive:
        lines.append(f"{'archive':<16}{archive['key']}, {size(archive['bytes'])} of {size(archive['raw_bytes'])}")
        lines.append(f"{'sha256':<16}{archive['sha256']}")
    seconds = document.get("seconds")
    if seconds:
        lines.append(f"{'seconds':<16}" + ", ".join(f"{phase} {took:.1f}" for phase, took in seconds.items()))
    tables = document.get("contents", {}).get("tables", {})
    if tables:
        rows = sum(table["rows"] for table in tables.values())
        lines.append(f"{'tables':<16}{len(tables)}, {rows:,} rows")
        largest = sorted(tables.items(), key=lambda item: -item[1]["rows"])[:10]
        lines += [f"{'':<16}{table['rows']:>12,}  {name}" for name, table in largest]
    lines += [f"{'note':<16}{note}" for note in document.get("warnings", ())]
    lines += [
        f"{'evidence':<16}{e['time']}  {e['kind']} {e['result']}, level {e['level']}, {told(e, document)}"
        for e in document["evidence"]
    ]
    return "\n".join(lines)
