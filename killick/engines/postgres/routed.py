"""Partitions whose rows come back through their root, so that each may land in another one.

pg_dump loads hash partitions of an enum so: an enum's hash is its label's oid, which no restore keeps. Rows and sums
add up all the same, since a checksum does not depend on the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from killick.contents import Table
from killick.engines.postgres import names
from killick.engines.postgres.session import Session
from killick.engines.postgres.tally import plus

_ROOTS = """
    SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_partitioned_table p
    JOIN pg_catalog.pg_class c ON c.oid = p.partrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE EXISTS (
        SELECT FROM pg_catalog.pg_opclass o JOIN pg_catalog.pg_am m ON m.oid = o.opcmethod
        WHERE o.oid = ANY (p.partclass) AND o.opcname::text = 'enum_ops' AND m.amname::text = 'hash')"""

_SUMS = (("server", 0), ("server", 1), ("generated", 0))


def roots(session: Session) -> set[str]:
    return {names.key(schema, name) for schema, name in session.rows(_ROOTS)}


def settled(
    found: Mapping[str, Table], before: Mapping[str, Table], through: set[str]
) -> tuple[dict[str, Table], list[str]]:
    """`found`, with the figures of `before` for the partitions below `through` that hold the same rows together.

    Where these have not one order of columns, a row's line depends on where it lies: then the server's own sums
    decide, or the number of rows alone, and a note says that.
    """
    groups: dict[str, list[str]] = {}
    for key, table in found.items():
        if (above := [root for root in table.ancestors if root in through]) and key in before:
            groups.setdefault(above[-1], []).append(key)
    settled, notes = dict(found), []
    for root, keys in groups.items():
        ours, theirs = [found[key] for key in keys], [before[key] for key in keys]
        lines = len({table.columns for table in theirs}) == 1
        server = all(table.server for table in [*ours, *theirs])
        if (
            _rows(ours) != _rows(theirs)
            or (lines and _lines(ours) != _lines(theirs))
            or any(None not in (a := _sum(ours, *of), b := _sum(theirs, *of)) and a != b for of in _SUMS)
        ):
            continue
        if not lines and not server:
            notes.append(
                f"the partitions of {root} were compared by their rows' number only: EVIDENCE=server does more"
            )
        for key, table in zip(keys, theirs, strict=True):
            settled[key] = replace(table, ancestors=found[key].ancestors)
    return settled, notes


def _rows(tables: list[Table]) -> int:
    return sum(table.rows for table in tables)


def _lines(tables: list[Table]) -> dict[str, tuple[int, str]]:
    return plus(("", (table.rows, table.checksum)) for table in tables)


def _sum(tables: list[Table], what: str, i: int) -> int | None:
    """Of the server's sums; None where one was not taken."""
    taken = [getattr(table, what).split() for table in tables]
    return sum(int(parts[i]) for parts in taken) if all(taken) else None
