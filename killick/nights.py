"""What became of each night: from the listing alone, pruned backups by the evidence that outlives them. Pure.

A night is a local day of the schedule's zone. It is kept as one character, so that a fleet's thousand strips stay
small.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from statistics import median

from killick.catalog import Backup, Catalog

DAY = 86400.0
MISSING, ATTEMPTED, DAMAGED, NOTHING = ".", "x", "!", " "
"""No backup where one was due; only attempts that failed; a verification that failed; nothing was due yet.

A digit is a backup, verified to that level; 0 where nobody verified it.
"""
_GAPS = 10  # newest distances that tell how often a source is backed up: a change of schedule shows within days


def nights(part: Catalog, days: int, zone: tzinfo, now: datetime, interval: float = DAY) -> str:
    """One mark for each of the last `days` local days, today's last. `part` is the catalog of one source.

    `interval`: seconds between two runs, 0 where nothing is planned. A day without a backup is missing when the newest
    one before its end is older than that: never while it lasts, nor before the first backup.
    """
    made = (*part.backups, *part.remains)
    marks = _marked(made, zone)
    attempts = {f.time.astimezone(zone).date() for f in part.failures}
    times = sorted(b.time.timestamp() for b in made)
    today = now.astimezone(zone).date()
    strip, before = [], 0
    for day in (today - timedelta(days=back) for back in range(days - 1, -1, -1)):
        end = datetime.combine(day + timedelta(days=1), time(), zone).timestamp()
        while before < len(times) and times[before] < end:
            before += 1
        late = interval > 0 and before > 0 and end - times[before - 1] > interval
        nothing = MISSING if late and day != today else NOTHING
        strip.append(marks.get(day) or (ATTEMPTED if day in attempts else nothing))
    return "".join(strip)


def interval(backups: Iterable[Backup]) -> float:
    """Seconds between two runs, told by the backups of one source: the median of the newest distances.

    A day where there are fewer than four. What was pruned counts too: retention thins what is older.
    """
    times = sorted((b.time.timestamp() for b in backups), reverse=True)[: _GAPS + 1]
    gaps = [newer - older for newer, older in pairwise(times)]
    return median(gaps) if len(gaps) >= 3 else DAY


def days(strip: str, today: date) -> list[tuple[date, str]]:
    """Each local day of a strip that ends `today`, with its mark."""
    return [(today - timedelta(days=len(strip) - 1 - at), mark) for at, mark in enumerate(strip)]


def _marked(made: Iterable[Backup], zone: tzinfo) -> dict[date, str]:
    """A failed verification hides a night's other backups; else the best level holds."""
    marks: dict[date, str] = {}
    for backup in made:
        day = backup.time.astimezone(zone).date()
        verdict = backup.verdict
        level = verdict.level if verdict and verdict.result == "passed" else 0
        mark = DAMAGED if backup.failed else str(level)
        before = marks.get(day, "")
        marks[day] = DAMAGED if DAMAGED in (before, mark) else max(before, mark)
    return marks
