"""What a database, a server or a folder holds, in figures that can be compared and tell no row's content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from killick.shapes import built


@dataclass(frozen=True, slots=True)
class Table:
    """A table, a collection or a file.

    `rows` counts rows, documents or, for a file, its bytes. `checksum` is order-free over the rows; for a file
    its SHA-256. `server` is a second checksum that the server itself computed (EVIDENCE=server), `generated` one
    over stored generated columns, `sequence` one that keeps the order (capped collections). An empty string means
    "not taken": it is not compared. `ancestors` are the tables whose rows include these, the nearest first: what it is
    a partition of, or inherits from.
    """

    rows: int
    checksum: str = ""
    columns: tuple[str, ...] = ()
    condition: str = ""
    server: str = ""
    generated: str = ""
    sequence: str = ""
    ancestors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sequence:
    """`covers`: whether it stood at or above its column's maximum; None where that was not asked."""

    value: int
    called: bool
    increment: int
    cycle: bool = False
    covers: bool | None = None


@dataclass(frozen=True)
class Contents:
    """`groups` holds what must be equal, by kind: {"schema": {"TABLE public.orders": "9f…"}, "extensions": …}.

    `loose` has the same shape; a difference there is a warning (an extension's version, rows that no dump carries).
    `notes` are sentences for a person. `snapshot` is the moment that the data is of, RFC 3339 in UTC, or "".
    """

    tables: Mapping[str, Table] = field(default_factory=dict)
    sequences: Mapping[str, Sequence] = field(default_factory=dict)
    groups: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    loose: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    snapshot: str = ""

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())

    def to_json(self) -> dict[str, Any]:
        """Empty fields of tables and sequences are left out: a manifest of 10,000 tables stays small."""
        return {
            "tables": {n: _lean(asdict(t), keep=("rows", "checksum")) for n, t in self.tables.items()},
            "sequences": {
                n: _lean(asdict(s), keep=("value", "called", "increment")) for n, s in self.sequences.items()
            },
            "groups": {kind: dict(entries) for kind, entries in self.groups.items()},
            "loose": {kind: dict(entries) for kind, entries in self.loose.items()},
            "roles": list(self.roles),
            "notes": list(self.notes),
            "snapshot": self.snapshot,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Contents:
        """Raises TypeError or ValueError when `data` has another shape: manifest.py says Corrupt."""
        contents: Contents = built(cls, data)
        return contents


def _lean(fields: dict[str, Any], keep: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in keep or (value not in ("", (), None, False))}
