"""Sequences that somebody sets back while the dump is made: where the dump has them is not known to us."""

from __future__ import annotations

from collections.abc import Mapping

from killick.compare import behind
from killick.contents import Sequence
from killick.engines.postgres import catalog, names
from killick.engines.postgres.catalog import Numbers
from killick.engines.postgres.session import Session

_LOWEST, _HIGHEST = -(2**63), 2**63 - 1

Files = Mapping[str, int | None]
"""By sequence the file that it lies in, which RESTART makes anew; None for one that is gone."""


def files(session: Session, wanted: list[Numbers]) -> dict[str, int | None]:
    listed = ", ".join(names.literal(sequence.sql) for sequence in wanted)
    found = session.rows(
        "SELECT pg_catalog.pg_relation_filenode(pg_catalog.to_regclass(s))::bigint"
        f" FROM pg_catalog.unnest(ARRAY[{listed}]::text[]) WITH ORDINALITY AS x(s, i) ORDER BY i"
    )
    return {sequence.key: file for sequence, (file,) in zip(wanted, found, strict=True)}


def uncertain(
    session: Session, wanted: list[Numbers], before: Mapping[str, Sequence], then: Files
) -> dict[str, Sequence]:
    """`before`, but of those that are not in it, not at or above it any more, or lie elsewhere than `then`, a position
    that every copy is at or above."""
    now = files(session, wanted)
    after = catalog.sequence_values(session, [sequence for sequence in wanted if now[sequence.key] is not None])

    def stayed(key: str) -> bool:
        if key not in before or key not in after or now[key] != then[key]:
            return False
        return before[key].cycle or not behind(before[key], after[key])

    return {each.key: before[each.key] if stayed(each.key) else _anywhere(each) for each in wanted}


def _anywhere(sequence: Numbers) -> Sequence:
    up = sequence.increment > 0
    return Sequence(_LOWEST if up else _HIGHEST, not up, sequence.increment, sequence.cycle)


def notes(before: Mapping[str, Sequence], told: Mapping[str, Sequence]) -> list[str]:
    return [
        f"the sequence {key} was set back or dropped while the dump was made: its position is not compared"
        for key, value in told.items()
        if value != before.get(key)
    ]
