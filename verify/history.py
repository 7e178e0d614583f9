"""Rows against those of the verified backup before: what shrank, and what vanished. Pure, but for finding that one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from killick import records
from killick.catalog import Backup, Catalog
from killick.compare import Mismatch
from killick.contents import Contents
from killick.errors import KillickError
from killick.manifest import Manifest
from killick.stores import Store

LOST = 0.3
"""Of a table's rows, above which it is told."""
_TOLD = 20  # tables that are told one by one


def before(known: Catalog, backup: Backup) -> Backup | None:
    """The newest proven backup of the same source that is older than this one."""
    return next((b for b in known.of(backup.source) if b.manifest and b.proven and b.time < backup.time), None)


def manifest_of(store: Store, earlier: Backup, engine: str) -> tuple[Manifest | None, str]:
    """The manifest of the backup before, or why its rows cannot be compared."""
    unlike = f"rows were not compared with those of {earlier.id}, the verified backup before"
    try:
        found = records.manifest(store, earlier)
    except KillickError as error:
        return None, f"{unlike}: {error.message}"
    if found.engine != engine:
        return None, f"{unlike}: it is of {found.engine}"
    if found.contents is None:
        return None, f"{unlike}: it is encrypted, and its rows stand inside"
    return found, ""


def vanished(earlier: Contents, now: Contents, may_vanish: Sequence[str]) -> list[Mismatch]:
    """Tables with rows or without that are there no more; a partitioned table and its partitions are one."""
    left = {*_families(now), *_declared(now)}
    return [
        Mismatch(name, "table", "present, as in the backup before", "absent", 5)
        for name in sorted(_families(earlier))
        if name not in left and _bare(name) not in left and not _allowed(name, may_vanish)
    ]


def shrunk(earlier: Contents, now: Contents, id: str) -> list[str]:
    """A sentence for each table that lost many of its rows since the backup `id`."""
    told = list(_shrunk(earlier, now, id))
    return told if len(told) <= _TOLD else [*told[:_TOLD], f"{len(told) - _TOLD} more tables lost as many rows"]


def _shrunk(earlier: Contents, now: Contents, id: str) -> Iterator[str]:
    rows, declared = _families(now), _declared(now)
    for name, had in sorted(_families(earlier).items()):
        there = name in rows or _bare(name) in declared
        has = rows.get(name, 0)
        if there and had - has > LOST * had:
            yield f"{name} has {has:,} rows, {(had - has) / had:.0%} less than the {had:,} of {id}"


def _families(contents: Contents) -> dict[str, int]:
    """Rows by table; those of partitions and of tables that inherit count for the table at the top.

    Partitions come and go by design: what one of them loses is another's, or the table's as a whole.
    """
    found: dict[str, int] = {}
    for name, table in contents.tables.items():
        top = table.ancestors[-1] if table.ancestors else name
        found[top] = found.get(top, 0) + table.rows
    return found


def _declared(contents: Contents) -> frozenset[str]:
    """Tables of the schema's text: one whose partitions are all gone has no rows, and is there."""
    return frozenset(
        _bare(label.removeprefix("TABLE ")) for label in contents.groups.get("schema", {}) if label.startswith("TABLE ")
    )


def _bare(name: str) -> str:
    """The schema's text and the keys of Contents quote names in different ways."""
    return name.replace('"', "")


def _allowed(name: str, patterns: Sequence[str]) -> bool:
    """A pattern is of the whole name, or of what follows the schema or database."""
    return any(fnmatchcase(part, pattern) for pattern in patterns for part in (name, name.partition(".")[2]))
