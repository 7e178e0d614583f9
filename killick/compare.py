"""Contents of two databases: what differs. Pure.

Only names and figures are told, never a row's content.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from killick.contents import Contents, Sequence, Table

_DATA = frozenset({"large objects", "links"})
"""Groups whose entries are data, so that a difference is level 4; all others are schema, level 3."""

OWNERSHIP = frozenset({"owners", "grants", "large object grants", "role settings", "subscriptions"})
"""Groups that a copy loaded without owners does not keep: compare `expected.groups.keys() - OWNERSHIP` there."""


@dataclass(frozen=True)
class Mismatch:
    """`table` names a table, or the entry of a group; `what` is rows, checksum, sequence or the group's name."""

    table: str
    what: str
    expected: str
    got: str
    level: int

    def to_json(self) -> dict[str, str]:
        return {"table": self.table, "what": self.what, "expected": self.expected, "got": self.got}

    def __str__(self) -> str:
        return f"{self.table}: {self.what} is {self.got}, not {self.expected}"


def compare(expected: Contents, got: Contents, *, groups: Collection[str] | None = None) -> list[Mismatch]:
    """Everything that is not as it should be; empty when all is. `groups` limits which groups are compared."""
    return [
        *_groups(expected.groups, got.groups, groups),
        *_sequences(expected.sequences, got.sequences),
        *_tables(expected.tables, got.tables),
    ]


def warnings(expected: Contents, got: Contents) -> list[str]:
    """What may differ between two sound copies, and differs: an extension's version, rows that no dump carries."""
    return [str(m) for m in _groups(expected.loose, got.loose, None)]


def _tables(expected: Mapping[str, Table], got: Mapping[str, Table]) -> Iterator[Mismatch]:
    for name in sorted(expected.keys() | got.keys()):
        a, b = expected.get(name), got.get(name)
        if a is None or b is None:
            yield Mismatch(name, "table", "present" if a else "absent", "present" if b else "absent", 4)
        elif a.rows != b.rows:
            yield Mismatch(name, "rows", str(a.rows), str(b.rows), 4)
        else:
            for what in ("checksum", "server", "generated", "sequence"):
                x, y = getattr(a, what), getattr(b, what)
                if x and y and x != y:
                    yield Mismatch(name, what, x, y, 4)
                    break


def _sequences(expected: Mapping[str, Sequence], got: Mapping[str, Sequence]) -> Iterator[Mismatch]:
    """A sequence may be ahead of what the snapshot saw (it is not transactional), never behind."""
    for name in sorted(expected.keys() | got.keys()):
        a, b = expected.get(name), got.get(name)
        if a is None or b is None:
            yield Mismatch(name, "sequence", "present" if a else "absent", "present" if b else "absent", 3)
        elif (a.increment, a.cycle) != (b.increment, b.cycle):
            yield Mismatch(name, "sequence", f"step {a.increment}", f"step {b.increment}", 3)
        elif a.covers and b.covers is False:
            yield Mismatch(name, "sequence", "at or above its column's maximum", "below it", 3)
        elif not a.cycle and behind(a, b):
            yield Mismatch(name, "sequence", _position(a), _position(b), 3)


def behind(a: Sequence, b: Sequence) -> bool:
    """Whether `b` was reached before `a`."""
    if a.increment > 0:
        return (b.value, b.called) < (a.value, a.called)
    return b.value > a.value or (b.value == a.value and b.called < a.called)


def _position(sequence: Sequence) -> str:
    return f"{sequence.value}{'' if sequence.called else ' (not yet called)'}"


def _groups(
    expected: Mapping[str, Mapping[str, str]],
    got: Mapping[str, Mapping[str, str]],
    only: Collection[str] | None,
) -> Iterator[Mismatch]:
    for group in sorted(expected.keys() | got.keys()):
        if only is not None and group not in only:
            continue
        level = 4 if group in _DATA else 3
        x, y = expected.get(group, {}), got.get(group, {})
        for name in sorted(x.keys() | y.keys()):
            if x.get(name) != y.get(name):
                yield Mismatch(name, group, x.get(name, "absent"), y.get(name, "absent"), level)
