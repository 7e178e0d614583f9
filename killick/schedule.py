"""When the next run is. Pure: nothing here reads a clock or sleeps.

A schedule is written as words (`every day at 03:00`), as a name (`@daily`), as cron (`0 3 * * *`) or as `off`; all but
`off` become a cron expression, whose times are wall-clock times of one zone.

The rule for clock changes: each local day has its run exactly once.
  - A time that the clock skips runs at the first moment after the gap: 02:30 becomes 03:00, once, even where the
    schedule names several times inside the gap.
  - A time that the clock shows twice runs the first time only.
  - A day that a zone skips whole (Apia, 30 December 2011) has no run.
So a schedule of every few minutes rests during the hour that is repeated; `interval` tells of that longer gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from cronsim import CronSim, CronSimError

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_NAMES = {
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "midnight": "0 0 * * *",
    "weekly": "0 0 * * 0",
    "monthly": "0 0 1 * *",
    "yearly": "0 0 1 1 *",
    "annually": "0 0 1 1 *",
}
_FORMS = (
    "write 'every day at 03:00', 'every 6 hours', 'every monday at 04:30', '@daily', "
    "a cron line like '0 3 * * *', or 'off'"
)
_WORDS = re.compile(r"every (?P<what>[a-z0-9, ]+?)(?: at (?P<hour>\d{1,2})?:(?P<minute>\d{2}))?")
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Schedule:
    """`text` as it was written; `cron` is empty for `off`."""

    text: str
    cron: str

    @property
    def off(self) -> bool:
        return not self.cron

    def __str__(self) -> str:
        return self.text


OFF = Schedule("off", "")


def parse(text: str) -> Schedule:
    """Raises ValueError with a sentence that ends in the cure."""
    words = " ".join(text.lower().split())
    if words == "off":
        return OFF
    name = words.removeprefix("@")
    if name in _NAMES:
        return Schedule(text, _NAMES[name])
    if words.startswith("@"):
        raise ValueError(f"there is no {words!r}: {', '.join('@' + n for n in _NAMES)} are known")
    cron = _from_words(re.sub(r"^daily at ", "every day at ", words)) if not _looks_like_cron(words) else words
    try:
        next(CronSim(cron, datetime(2024, 1, 1)))  # any moment: does the expression ever match?
    except (CronSimError, StopIteration, ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a cron line ({error or 'it never comes'}): {_FORMS}") from None
    return Schedule(text, cron)


def next_run(schedule: Schedule, after: datetime, zone: tzinfo) -> datetime | None:
    """The first run later than `after`, in UTC; None when the schedule is off."""
    return next((m for m in _moments(schedule, after, zone, back=False) if m > after), None)


def previous_run(schedule: Schedule, at: datetime, zone: tzinfo) -> datetime | None:
    """The newest run that was due at `at` or before, in UTC; None when the schedule is off."""
    return next((m for m in _moments(schedule, at, zone, back=True) if m <= at), None)


def due(schedule: Schedule, last: datetime | None, now: datetime, zone: tzinfo) -> bool:
    """Whether a run is to be caught up: none was ever started, or one was missed since the last attempt began."""
    if schedule.off:
        return False
    previous = previous_run(schedule, now, zone)
    return last is None or (previous is not None and last < previous)


def interval(schedule: Schedule, now: datetime, zone: tzinfo) -> float:
    """The longer of the two gaps around the newest run, in seconds: between it and the one before, and the one after.

    It does not shrink the moment a run begins: on Monday at 03:01, a schedule of working days still answers three days.
    0 when the schedule is off.
    """
    newest = previous_run(schedule, now, zone)
    if newest is None:
        return 0.0
    before = previous_run(schedule, newest - _SECOND, zone)
    after = next_run(schedule, newest, zone)
    gaps = [newest - before] if before else []
    gaps += [after - newest] if after else []
    return max(gaps, default=timedelta()).total_seconds()


def _looks_like_cron(words: str) -> bool:
    return re.match(r"[\d*]", words) is not None and len(words.split()) == 5


def _from_words(words: str) -> str:
    match = _WORDS.fullmatch(words)
    if match is None:
        raise ValueError(f"{words!r} is not a schedule: {_FORMS}")
    what, hour, minute = match["what"], int(match["hour"] or 0), int(match["minute"] or 0)
    at = match["minute"] is not None
    if hour > 23 or minute > 59:
        raise ValueError(f"there is no {hour:02}:{minute:02} on a clock: write 'at 03:00'")
    if repeated := re.fullmatch(r"(?:(\d+) )?(minute|hour)s?", what):
        return _repeated(int(repeated[1] or 1), repeated[2], minute, at and match["hour"] is not None)
    if at and match["hour"] is None:
        raise ValueError(f"{words!r} has no hour: write 'at 03:{minute:02}'")
    if what == "day":
        return f"{minute} {hour} * * *"
    if what == "month":
        return f"{minute} {hour} 1 * *"
    if what == "week":
        return f"{minute} {hour} * * 0"
    if what == "weekday":
        return f"{minute} {hour} * * 1-5"
    days = [d for d in re.split(r", and |, ?| and ", what) if d]
    if days and all(d in _DAYS for d in days):
        return f"{minute} {hour} * * {','.join(str(_DAYS.index(d)) for d in days)}"
    raise ValueError(f"'every {what}' is not known: {_FORMS}")


def _repeated(every: int, unit: str, minute: int, with_hour: bool) -> str:
    """Only what divides the hour or the day: anything else would leave a shorter last gap without saying so."""
    whole, name = (60, "an hour") if unit == "minute" else (24, "a day")
    if with_hour or (unit == "minute" and minute):
        raise ValueError(f"'every {every} {unit}s' takes no time of day: leave the 'at …' out")
    if not 0 < every <= whole or whole % every:
        fit = ", ".join(str(n) for n in range(1, whole) if whole % n == 0)
        raise ValueError(f"{name} does not divide into parts of {every} {unit}s: choose one of {fit}")
    if every == whole:
        return "0 * * * *" if unit == "minute" else f"{minute} 0 * * *"
    return f"*/{every} * * * *" if unit == "minute" else f"{minute} */{every} * * *"


def _moments(schedule: Schedule, around: datetime, zone: tzinfo, back: bool) -> Iterator[datetime]:
    """Runs in order, from a little before `around` on (after it, when going `back`)."""
    if schedule.off:
        return
    slack = timedelta(days=1, hours=1)  # more than any gap: a skipped time may still map to a moment on this side
    wall = around.astimezone(zone).replace(tzinfo=None, microsecond=0)
    start = wall + slack if back else wall - slack
    for planned in CronSim(schedule.cron, start, reverse=back):
        moment = _moment(planned, zone)
        if moment is not None:
            yield moment


def _moment(planned: datetime, zone: tzinfo) -> datetime | None:
    """The moment of a wall-clock time by the rule above; None for a day that does not exist in this zone."""
    before = planned.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if before.astimezone(zone).replace(tzinfo=None) == planned:
        return before
    low = planned.replace(tzinfo=zone, fold=1).astimezone(UTC)  # in a gap: before the change; `before` is after it
    gap_end = _change(low, before, zone)
    return None if _skips(planned.date(), gap_end, zone) else gap_end


def _change(low: datetime, high: datetime, zone: tzinfo) -> datetime:
    """The first second in (low, high] that has the offset of `high`."""
    offset = high.astimezone(zone).utcoffset()
    while high - low > _SECOND:
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


def _skips(day: date, gap_end: datetime, zone: tzinfo) -> bool:
    last_before = (gap_end - _SECOND).astimezone(zone).date()
    return last_before < day < gap_end.astimezone(zone).date()
