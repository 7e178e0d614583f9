"""Times, durations and nights in words, for the templates. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from killick import layout
from killick.figures import size
from killick.nights import ATTEMPTED, DAMAGED, MISSING, NOTHING, days
from sidecar.health import span

_SAID = {
    MISSING: "missing",
    ATTEMPTED: "failed",
    DAMAGED: "verification failed",
    NOTHING: "nothing due",
    "0": "backed up",
}


def mark(character: str) -> str:
    """A night's mark in words."""
    return _SAID.get(character, f"verified to level {character}")


def summary(strip: str) -> str:
    """What a strip shows, the same as text: 28 verified, 1 failed."""
    counts = Counter("verified" if each in "123456" else _SAID[each] for each in strip if each != NOTHING)
    return ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing yet"


def took(seconds: float) -> str:
    """How long something lasted: 4.2 s, 42 s, 6 min, 2 h 5 min."""
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s" if seconds < 120 else span(seconds)


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC, for `datetime` attributes."""
    return layout.rfc3339(datetime.fromtimestamp(seconds, UTC))


def moment(seconds: float) -> str:
    """For people: 23 Nov 2026, 03:00 UTC."""
    time = datetime.fromtimestamp(seconds, UTC)
    return f"{time.day} {time:%b %Y, %H:%M} UTC"


def short(day: date) -> str:
    return f"{day.day} {day:%b}"


def count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


FILTERS: dict[str, Callable[..., Any]] = {
    "count": count,
    "days": days,
    "mark": mark,
    "moment": moment,
    "short": short,
    "size": size,
    "span": span,
    "stamp": stamp,
    "summary": summary,
    "took": took,
}
