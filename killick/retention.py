"""Which backups have expired. Pure.

For each source on its own: the newest `last` backups, and the newest of each of the last `daily` days, `weekly` weeks,
`monthly` months, `yearly` years that have one. A period without a backup uses up no slot, so a month of failures
removes nothing. Days, and what they add up to, are local ones.

Never removed, whatever the policy: the newest backup, the newest that no verification failed, the newest proven
one, anything that killick did not finish itself. A backup that a verification found broken, or whose archive is
missing, fills no slot: it goes as soon as a newer good one is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import groupby

from killick import layout
from killick.catalog import Backup, Catalog

EVIDENCE_DAYS = 400  # after its backup was pruned: the page's strip needs it
FAILURE_DAYS = 90


@dataclass(frozen=True)
class Policy:
    last: int = 3
    daily: int = 7
    weekly: int = 4
    monthly: int = 12
    yearly: int = 0


@dataclass(frozen=True)
class Decision:
    """`reason` is for a person: "newest", "day 2026-11-22, week 2026-47", "no slot"."""

    backup: Backup
    keep: bool
    reason: str


Name = Callable[[datetime], str]


def _week(local: datetime) -> str:
    year, week, _ = local.isocalendar()
    return f"week {year}-W{week:02}"


_PERIODS: tuple[tuple[str, Name], ...] = (
    ("daily", lambda local: f"day {local:%Y-%m-%d}"),
    ("weekly", _week),
    ("monthly", lambda local: f"month {local:%Y-%m}"),
    ("yearly", lambda local: f"year {local:%Y}"),
)


def decide(backups: Iterable[Backup], policy: Policy, zone: tzinfo) -> list[Decision]:
    """One decision for each backup; by source, newest first."""
    ordered = sorted(backups, key=lambda b: (b.time, b.id), reverse=True)
    ordered.sort(key=lambda b: b.source)
    return [d for _, group in groupby(ordered, lambda b: b.source) for d in _decide(list(group), policy, zone)]


def _decide(backups: list[Backup], policy: Policy, zone: tzinfo) -> Iterator[Decision]:
    own = [b for b in backups if b.manifest and not b.older]
    good = [b for b in own if b.archive and not b.broken]
    reasons: dict[str, list[str]] = {b.id: [] for b in own}
    for why, first in (
        ("newest", own[:1]),
        ("newest good one", [b for b in good if not b.failed][:1]),
        ("newest proven one", [b for b in good if b.proven][:1]),
    ):
        for backup in first:
            reasons[backup.id].append(why)
    for number, backup in enumerate(good[: policy.last], 1):
        reasons[backup.id].append(f"last {number}")
    for slot, name in _PERIODS:
        for period, backup in _newest_of_each(good, name, getattr(policy, slot), zone):
            reasons[backup.id].append(period)
    for backup in backups:
        if backup.older or not backup.manifest:
            yield Decision(backup, True, "not finished by killick: never removed")
        elif reasons[backup.id]:
            yield Decision(backup, True, ", ".join(reasons[backup.id]))
        elif backup not in good and (not good or backup.time > good[0].time):
            yield Decision(backup, True, "failed its verification, and no newer one is better")
        else:
            yield Decision(backup, False, "no slot" if backup in good else "failed its verification")


def _newest_of_each(good: list[Backup], name: Name, count: int, zone: tzinfo) -> Iterator[tuple[str, Backup]]:
    for used, (period, group) in enumerate(groupby(good, lambda b: name(b.time.astimezone(zone)))):
        if used >= count:
            return
        yield period, next(group)


def expired_records(catalog: Catalog, now: datetime) -> list[str]:
    """Keys of evidence of backups long gone, and of attempts that failed long ago.

    The newest record counts: pruning leaves one.
    """
    keys = [
        layout.failed(catalog.project, failure.id, failure.kind)
        for failure in catalog.failures
        if now - failure.time > timedelta(days=FAILURE_DAYS)
    ]
    for gone in catalog.remains:
        if all(now - record.when > timedelta(days=EVIDENCE_DAYS) for record in gone.evidence):
            keys += [
                layout.evidence(catalog.project, gone.id, r.when, r.kind, r.result, r.level) for r in gone.evidence
            ]
    return keys
