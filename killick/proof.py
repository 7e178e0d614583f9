"""What a source's records tell over time: whose turn it was, what changed, for how long nothing was proven. Pure.

No process remembers any of it, so a restart forgets nothing, and several who verify agree.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from killick.catalog import PROVEN, PROVEN_OLDER, Backup, Catalog, Evidence

OVERDUE = "overdue"
"""The kind of the record that says that an alarm was raised: see Standing."""

_CHECKS = ("verify", "refresh")
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Standing:
    """`proven` is when the newest proof was made, and `id` of which backup. `since` is what an age counts from: that
    proof, or the first backup where there never was one; None without a backup.

    `alarmed`: it was told already that this lasts too long. `turned` is when an older backup was last verified, and
    `turns` whether there is one to verify.
    """

    proven: datetime | None = None
    id: str = ""
    since: datetime | None = None
    alarmed: bool = False
    turned: datetime | None = None
    turns: bool = False


def standing(catalog: Catalog, source: str, level: int) -> Standing:
    """`level` is what is asked for here (VERIFY_LEVEL): where that proves less, it has to do."""
    there = catalog.of(source)
    known = _known(catalog, source)
    proofs = [(e.when, b.id) for b in known for e in b.evidence if e.kind in _CHECKS and _proves(b, e, level)]
    proven, id = max(proofs, default=(None, ""))
    told = max((e.when for b in known for e in b.evidence if e.kind == OVERDUE), default=None)
    return Standing(
        proven,
        id,
        since=(proven or min(b.time for b in there)) if there else None,
        alarmed=told is not None and (proven is None or told > proven),
        turned=max((e.when for b, e, older in _verifications(known) if older), default=None),
        turns=len(catalog.choices(source)) > 1,
    )


def enough(backup: Backup, level: int) -> int:
    return min(level, PROVEN_OLDER if backup.older else PROVEN)


def before(catalog: Catalog, backup: Backup, level: int) -> Evidence | None:
    """The verification that the next one of this backup is to be compared with, for what changed.

    Of the newest that is the one before it in a row of newest ones, whichever backup was it then; of an older one its
    own, so that neither calls the other's alarm off. One that passed without proving says nothing.
    """
    if backup not in catalog.choices(backup.source)[:1]:
        own = [e for e in backup.evidence if e.kind == "verify"]
        return max(own, key=lambda e: e.when, default=None)
    row = [
        e
        for b, e, older in _verifications(_known(catalog, backup.source))
        if not older and (e.result != "passed" or _proves(b, e, level))
    ]
    return max(row, key=lambda e: e.when, default=None)


def _known(catalog: Catalog, source: str) -> list[Backup]:
    """The pruned ones too, as long as their records last."""
    return [b for b in (*catalog.backups, *catalog.remains) if b.source == source]


def _proves(backup: Backup, record: Evidence, level: int) -> bool:
    return record.result == "passed" and record.level >= enough(backup, level)


def _verifications(known: list[Backup]) -> Iterator[tuple[Backup, Evidence, bool]]:
    """Each, and whether it was of an older backup: a newer one was there, and it was a day old (or it was the newest
    when it began)."""
    times = {older: sorted(b.time for b in known if b.older is older) for older in (False, True)}
    for backup in known:
        after = bisect_right(times[backup.older], backup.time)
        newer: datetime | None = next(iter(times[backup.older][after : after + 1]), None)
        for record in backup.evidence:
            if record.kind == "verify":
                yield backup, record, newer is not None and newer <= record.when >= backup.time + _DAY
