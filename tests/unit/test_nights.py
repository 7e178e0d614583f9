"""What became of each night, told by keys alone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from killick import catalog, layout
from killick.catalog import Catalog
from killick.nights import DAY, days, interval, nights
from killick.stores import Stored

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def night(back: int, hour: int = 3) -> datetime:
    return (NOW - timedelta(days=back)).replace(hour=hour)


def made(when: datetime, *checks: tuple[str, int], pruned: bool = False) -> list[str]:
    """The keys of a backup and its verifications, each (result, level), in their order."""
    id = layout.backup_id(when, "db")
    keys = [layout.evidence("shop", id, when, "backup", "passed", 0)]
    keys += [
        layout.evidence("shop", id, when + timedelta(hours=2 + at), "verify", *check) for at, check in enumerate(checks)
    ]
    return keys if pruned else [*keys, layout.manifest("shop", id), layout.archive("shop", id, ".lrz")]


def failed(when: datetime) -> list[str]:
    return [layout.failed("shop", layout.backup_id(when, "db"), "busy")]


def listed(*keys: list[str]) -> Catalog:
    stored = [Stored(key, 7, NOW) for each in keys for key in each]
    return catalog.scan("shop", stored).parts().get("db", Catalog("shop"))


def strip(*keys: list[str], zone: tzinfo = UTC, now: datetime = NOW, every: float = DAY) -> str:
    return nights(listed(*keys), 5, zone, now, every)


@pytest.mark.parametrize(
    ("keys", "mark"),
    [
        (made(night(1)), "0"),
        (made(night(1), ("passed", 5)), "5"),
        (made(night(1), ("passed", 5), ("unverifiable", 0)), "5"),
        (made(night(1), ("unverifiable", 0)), "0"),
        (made(night(1), ("failed", 3)), "!"),
        (made(night(1), ("failed", 3), ("passed", 5)), "5"),
        (made(night(1), ("passed", 5), pruned=True), "5"),
        (made(night(1), pruned=True), "0"),
        (failed(night(1)), "x"),
        (failed(night(1)) + made(night(1, 4)), "0"),
        (made(night(1), ("passed", 3)) + made(night(1, 9), ("passed", 5)), "5"),
        (made(night(1), ("failed", 3)) + made(night(1, 9), ("passed", 5)), "!"),
    ],
)
def test_one_night(keys: list[str], mark: str) -> None:
    assert strip(keys)[3] == mark


def test_missing_is_what_was_due_and_never_came() -> None:
    assert strip(made(night(4)), made(night(2))) == "0.0. "
    assert strip(made(night(2))) == "  0. ", "nothing is missing before the first, nor today while it lasts"
    assert strip(made(night(9))) == ".... "
    assert strip() == "     "
    assert strip(made(night(4)), every=7 * DAY) == "0    ", "a weekly schedule has nights without a backup"
    assert strip(made(night(4)), every=0) == "0    ", "a schedule that is off misses nothing"


def test_a_night_is_a_local_day() -> None:
    keys = made(night(1, 20)), made(night(2, 10))
    assert strip(*keys) == "  00 "
    assert strip(*keys, zone=ZoneInfo("Pacific/Auckland")) == " 0.0 ", "20:00 UTC is tomorrow there, and so is noon"


def test_a_backup_from_the_future_breaks_nothing() -> None:
    assert strip(made(night(1)), made(night(-3))) == "   0 "


def test_the_days_of_a_strip() -> None:
    assert days("5x ", date(2026, 11, 1)) == [
        (date(2026, 10, 30), "5"),
        (date(2026, 10, 31), "x"),
        (date(2026, 11, 1), " "),
    ]


def told(*moments: datetime, pruned: int = 0) -> float:
    part = listed(*(made(each, pruned=at < pruned) for at, each in enumerate(moments)))
    return interval((*part.backups, *part.remains))


def test_how_often_is_told_by_the_newest_distances() -> None:
    assert told() == told(night(1), night(2), night(30)) == DAY, "too few to tell"
    assert told(*(night(0) - timedelta(hours=n) for n in range(12))) == 3600
    assert told(*(night(7 * n) for n in range(12))) == 7 * DAY
    daily = [night(n) for n in range(9)]
    assert told(*daily, *(night(30 * n) for n in range(1, 12))) == DAY, "what retention thinned says nothing"
    assert told(*reversed(daily), pruned=6) == DAY, "what was pruned counts"
    assert told(*(night(20 + n) for n in range(9))) == DAY, "a dead project is late, not slow"
