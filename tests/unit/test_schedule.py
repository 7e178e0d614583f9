"""Schedules: what can be written, and each local day exactly once, whatever the clocks do."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from killick import schedule
from killick.schedule import OFF, Schedule, due, interval, next_run, parse, previous_run

ZONES = [
    ZoneInfo(name)
    for name in (
        "Europe/Brussels",
        "America/New_York",
        "Australia/Lord_Howe",  # half an hour
        "Africa/Casablanca",  # moves with Ramadan
        "Pacific/Apia",  # lost 30 December 2011
        "America/Nuuk",  # its gap ends at midnight
        "Africa/Cairo",  # its gap begins at midnight
    )
]
BRUSSELS = ZONES[0]


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("every day at 03:00", "0 3 * * *"),
        ("Every  DAY at 3:05", "5 3 * * *"),
        ("daily at 03:00", "0 3 * * *"),
        ("every 6 hours", "0 */6 * * *"),
        ("every hour", "0 * * * *"),
        ("every hour at :15", "15 * * * *"),
        ("every 15 minutes", "*/15 * * * *"),
        ("every monday at 04:30", "30 4 * * 1"),
        ("every monday, wednesday and friday at 04:30", "30 4 * * 1,3,5"),
        ("every weekday at 22:00", "0 22 * * 1-5"),
        ("every month at 01:00", "0 1 1 * *"),
        ("hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("0 3 * * mon-fri", "0 3 * * mon-fri"),
        ("off", ""),
    ],
)
def test_what_can_be_written(text: str, cron: str) -> None:
    parsed = parse(text)
    assert parsed.text == text or parsed.off
    start = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
    assert next_run(parsed, start, UTC) == next_run(Schedule("", cron), start, UTC)
    assert parsed.off == (cron == "")


@pytest.mark.parametrize(
    "text",
    ["", "never", "every", "every 5 hours", "every 7 minutes", "every day at 25:00", "every day at :30", "every funday",
     "@noon",
     "61 * * * *", "0 0 30 2 *", "* * * *", "0 3 * * * *", "every 0 hours", "every 6 hours at 03:00", "every 2 days"],
)  # fmt: skip
def test_what_cannot_be_written_says_what_can(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|choose|known|leave"):
        parse(text)


@given(st.text())
def test_any_text_parses_or_is_a_value_error(text: str) -> None:
    try:
        parse(text)
    except ValueError as error:
        assert str(error)


def test_off_never_runs() -> None:
    now = datetime(2024, 1, 1, tzinfo=UTC)
    assert next_run(OFF, now, UTC) is None
    assert previous_run(OFF, now, UTC) is None
    assert interval(OFF, now, UTC) == 0
    assert not due(OFF, None, now, UTC)


def test_a_skipped_time_runs_at_the_end_of_the_gap() -> None:
    night = parse("every day at 02:30")
    assert next_run(night, datetime(2026, 3, 28, 12, tzinfo=UTC), BRUSSELS) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_several_skipped_times_run_once() -> None:
    often = parse("every 10 minutes")
    runs = [datetime(2026, 3, 29, 0, 50, tzinfo=UTC)]
    for _ in range(2):
        runs.append(next_run(often, runs[-1], BRUSSELS) or runs[-1])
    assert runs[1:] == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 3, 29, 1, 10, tzinfo=UTC)]


def test_a_repeated_time_runs_the_first_time_only() -> None:
    night = parse("every day at 02:30")
    first = next_run(night, datetime(2026, 10, 24, 12, tzinfo=UTC), BRUSSELS)
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert next_run(night, first, BRUSSELS) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert interval(parse("every 30 minutes"), first + timedelta(minutes=45), BRUSSELS) == 5400


def test_a_day_that_does_not_exist_has_no_run() -> None:
    apia = ZoneInfo("Pacific/Apia")
    runs = _runs(
        parse("every day at 03:00"), datetime(2011, 12, 28, 0, tzinfo=apia), datetime(2012, 1, 2, tzinfo=apia), apia
    )
    assert [r.astimezone(apia).day for r in runs] == [28, 29, 31, 1]


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    start=st.dates(date(2009, 1, 1), date(2035, 1, 1)),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
@example(ZoneInfo("Pacific/Apia"), date(2011, 6, 1), 3, 0)
@example(ZoneInfo("America/Nuuk"), date(2024, 1, 1), 23, 30)
@example(ZoneInfo("Africa/Cairo"), date(2024, 1, 1), 0, 30)
def test_each_local_day_exactly_once(zone: ZoneInfo, start: date, hour: int, minute: int) -> None:
    """A year of runs, one for each day that the zone's calendar has."""
    begin = datetime(start.year, start.month, start.day, tzinfo=zone).astimezone(UTC)
    end = (begin + timedelta(days=366)).astimezone(zone).replace(hour=0, minute=0, fold=0).astimezone(UTC)
    runs = _runs(parse(f"every day at {hour:02}:{minute:02}"), begin, end, zone)
    late = timedelta(hours=2)  # a run pushed over midnight by a gap belongs to the day before
    days = {
        (begin + timedelta(hours=n)).astimezone(zone).date() for n in range(int((end - begin).total_seconds() // 3600))
    }
    assert len(runs) == len(days)
    for run in runs:
        wall = run.astimezone(zone).replace(tzinfo=None)
        on_time = (wall.hour, wall.minute) == (hour, minute)
        just_before = (run - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
        planned = datetime(wall.year, wall.month, wall.day, hour, minute)
        after_gap = (
            wall - just_before > timedelta(seconds=1)
            and wall - late < (planned if planned <= wall else planned - timedelta(days=1)) < wall
        )
        assert on_time or after_gap, run


@settings(max_examples=200, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    text=st.sampled_from(
        ["every day at 02:30", "every 6 hours", "every 20 minutes", "0 0 29 2 *", "@monthly", "every weekday at 23:45"]
    ),
    at=st.datetimes(datetime(2010, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
)
def test_next_and_previous_agree(zone: ZoneInfo, text: str, at: datetime) -> None:
    plan = parse(text)
    following = next_run(plan, at, zone)
    newest = previous_run(plan, at, zone)
    assert following is not None
    assert newest is not None
    assert newest <= at < following
    assert next_run(plan, newest, zone) == following
    assert previous_run(plan, following, zone) == following
    assert interval(plan, at, zone) >= (following - newest).total_seconds()


def test_interval_keeps_the_weekend_until_the_run_after_it() -> None:
    plan = parse("every weekday at 03:00")
    monday = datetime(2026, 6, 15, 3, 1, tzinfo=UTC)
    assert interval(plan, monday, UTC) == 3 * 86400
    assert interval(plan, monday + timedelta(days=1), UTC) == 86400


def test_due_only_when_a_run_was_missed() -> None:
    plan = parse("every day at 03:00")
    now = datetime(2026, 6, 15, 12, tzinfo=UTC)
    assert due(plan, None, now, UTC)
    assert due(plan, datetime(2026, 6, 15, 2, 59, tzinfo=UTC), now, UTC)
    assert not due(plan, datetime(2026, 6, 15, 3, 0, tzinfo=UTC), now, UTC)


def _runs(plan: schedule.Schedule, begin: datetime, end: datetime, zone: ZoneInfo) -> list[datetime]:
    runs: list[datetime] = []
    run = next_run(plan, begin - timedelta(seconds=1), zone)
    while run is not None and run < end:
        runs.append(run)
        run = next_run(plan, run, zone)
    return runs
