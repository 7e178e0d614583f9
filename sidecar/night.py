"""One night of one source, read from the store: its backups, the attempts that failed, the evidence table by table.

The document is what the night's page shows. It holds names and figures, never a row's content.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, tzinfo
from threading import Lock
from typing import Any

from killick import catalog as catalogs
from killick import layout, records
from killick.catalog import Backup, Catalog, Failed
from killick.contents import Table
from killick.errors import KillickError, NotFound
from killick.figures import size
from killick.manifest import Manifest
from killick.stores import Store, get_bytes

Night = Mapping[str, Any]
Read = Callable[[str, str, date], Night]
"""(project, source, local day) → the document. Raises KillickError."""

_BACKUPS, _TABLES = 24, 1000  # of a night, of a backup: a page stays readable, and says what it leaves out
_PATIENCE = 30.0  # seconds that a reader of the page waits for others
_COMPARED = 4  # the level at which rows are compared


def read(store: Store, project: str, source: str, day: date, zone: tzinfo) -> Night:
    """Raises StoreError and its kinds. An object that cannot be read is told of in its place."""
    part = catalogs.read(store, project, zone).parts().get(source, Catalog(project))
    made = [b for b in (*part.backups, *part.partial, *part.remains) if b.time.astimezone(zone).date() == day]
    failures = [f for f in part.failures if f.time.astimezone(zone).date() == day]
    made.sort(key=lambda b: b.time, reverse=True)
    return {
        "project": project,
        "source": source,
        "day": day.isoformat(),
        "failures": [_failure(store, project, failed) for failed in failures[:_BACKUPS]],
        "backups": [_backup(store, backup) for backup in made[:_BACKUPS]],
        "more": max(0, len(made) - _BACKUPS),
    }


def by_child(answer: Callable[..., bytes]) -> Read:
    """Reads in a child process, so that the sidecar's loop needs no driver; one at a time, whoever asks how often."""
    turn = Lock()

    def night(_project: str, source: str, day: date) -> Night:
        if not turn.acquire(timeout=_PATIENCE):
            raise KillickError("others are reading nights from the store", "try again in a minute")
        try:
            found: Night = json.loads(answer("night", source, day.isoformat()))
            return found
        finally:
            turn.release()

    return night


def _failure(store: Store, project: str, failed: Failed) -> dict[str, str]:
    told: Mapping[str, Any] = {}
    with suppress(ValueError, NotFound):
        found = json.loads(get_bytes(store, layout.failed(project, failed.id, failed.kind)))
        told = found if isinstance(found, dict) else {}
    return {
        "time": layout.rfc3339(failed.time),
        "kind": failed.kind,
        "phase": str(told.get("phase") or ""),
        "error": str(told.get("error") or "what was recorded of it cannot be read"),
        "hint": str(told.get("hint") or ""),
    }


def _backup(store: Store, backup: Backup) -> dict[str, Any]:
    manifest, error = None, ""
    if backup.manifest:
        try:
            manifest = records.manifest(store, backup)
        except KillickError as raised:
            error = raised.message
    evidence = [one for one in records.evidence(store, backup) if one["kind"] != "backup"]
    contents = manifest.contents if manifest else None
    newest = evidence[-1] if evidence else {}
    tables = [_table(name, table, newest) for name, table in contents.tables.items()] if contents else []
    tables.sort(key=lambda table: (not table["differs"], table["name"]))
    if not backup.manifest and backup.suffix is not None and not backup.older:
        error = "this archive has no manifest: its upload did not finish, or it is under way"
    return {
        "id": backup.id,
        "pruned": backup.suffix is None,
        "error": error,
        "facts": _facts(backup, manifest),
        "evidence": [_record(one) for one in evidence],
        "tables": tables[:_TABLES],
        "more": max(0, len(tables) - _TABLES),
        "silent": "What is in it stands in the encrypted archive only." if manifest and contents is None else "",
    }


def _facts(backup: Backup, manifest: Manifest | None) -> dict[str, str]:
    facts = {"Begun": layout.rfc3339(backup.time)}
    if backup.bytes:
        facts["Stored"] = size(backup.bytes)
    if manifest is None:
        return facts
    facts["Server"] = f"{manifest.engine} {manifest.server_version}, {manifest.database}"
    facts["Data of"] = manifest.snapshot
    if manifest.archive:
        facts["Raw"] = size(manifest.archive.raw_bytes)
        facts["SHA-256"] = manifest.archive.sha256
    if manifest.contents:
        facts["Rows"] = f"{manifest.contents.rows:,} in {len(manifest.contents.tables):,} tables"
    facts["Seconds"] = _phases(manifest.seconds)
    return {name: value for name, value in facts.items() if value.strip(" ,")}


def _phases(seconds: object) -> str:
    """A record may be half written: whatever is no figure is left out."""
    each = seconds.items() if isinstance(seconds, Mapping) else ()
    return ", ".join(f"{phase} {took:.1f}" for phase, took in each if isinstance(took, (int, float)))


def _record(record: Mapping[str, Any]) -> dict[str, Any]:
    said = [str(record[name]) for name in ("error", "hint") if record.get(name)]
    phases = _phases(record.get("seconds"))
    whole = record.get("restore_seconds")
    if isinstance(whole, (int, float)) and whole:
        said.append(f"a restore takes {whole:.1f} s" + (f" ({phases})" if phases else ""))
    return {**{name: record[name] for name in ("time", "kind", "result", "level")}, "said": "; ".join(said)}


def _table(name: str, table: Table, newest: Mapping[str, Any]) -> dict[str, Any]:
    mismatches = newest.get("mismatches")
    mine = [
        f"{m.get('what')}: {m.get('expected')} expected, {m.get('got')} found"
        for m in (mismatches if isinstance(mismatches, list) else ())
        if isinstance(m, dict) and m.get("table") == name
    ]
    compared = newest.get("level", 0) >= _COMPARED or newest.get("failed_level") == _COMPARED
    said = "; ".join(mine) or ("equal" if compared and newest.get("result") != "unverifiable" else "not compared")
    return {"name": name, "rows": table.rows, "checksum": table.checksum[:16], "said": said, "differs": bool(mine)}
