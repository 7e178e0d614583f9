"""Which backups go: examples, and what holds for any history and any policy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from killick import layout
from killick.catalog import Backup, Catalog, Evidence, Failed
from killick.retention import Decision, Policy, decide, expired_records

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
NOTHING = Policy(0, 0, 0, 0, 0)


_VERDICTS: dict[str, list[tuple[str, int]]] = {
    "": [], "proven": [("passed", 5)], "failed": [("failed", 2)], "unfit": [("passed", 4), ("failed", 5)],
}  # fmt: skip


def backup(time: datetime, source: str = "db", verdict: str = "", **fields: object) -> Backup:
    records = tuple(
        Evidence(time + timedelta(hours=n), "verify", result, level)
        for n, (result, level) in enumerate(_VERDICTS[verdict])
    )
    whole = Backup("app", layout.backup_id(time, source), source, time, 10, ".lrz", True, evidence=records)
    return replace(whole, **fields)  # type: ignore[arg-type]


def nightly(days: int, source: str = "db") -> list[Backup]:
    return [backup(NOON - timedelta(days=n), source) for n in range(days)]


def kept(decisions: list[Decision]) -> list[str]:
    return [f"{d.backup.time:%Y-%m-%d}" for d in decisions if d.keep]


def test_the_default_policy_on_two_years_of_nights() -> None:
    decisions = decide(nightly(730), Policy(), UTC)
    assert kept(decisions) == [
        *("2026-11-23", "2026-11-22", "2026-11-21", "2026-11-20", "2026-11-19", "2026-11-18", "2026-11-17"),
        *("2026-11-15", "2026-11-08"),  # Sundays; this week's newest and last Sunday (22nd) are above
        *("2026-10-31", "2026-09-30", "2026-08-31", "2026-07-31", "2026-06-30", "2026-05-31"),
        *("2026-04-30", "2026-03-31", "2026-02-28", "2026-01-31", "2025-12-31"),
    ]
    assert decisions[0].reason == "newest, newest good one, last 1, day 2026-11-23, week 2026-W48, month 2026-11"
    assert decisions[9].reason == "no slot"


def test_a_leap_day_is_the_end_of_its_month() -> None:
    nights = [backup(datetime(2028, 3, 2, 3, tzinfo=UTC) - timedelta(days=n)) for n in range(40)]
    assert kept(decide(nights, replace(NOTHING, monthly=3), UTC)) == ["2028-03-02", "2028-02-29", "2028-01-31"]


def test_days_are_local() -> None:
    evening, midnight = datetime(2026, 11, 22, 22, 30, tzinfo=UTC), datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    two = [backup(evening), backup(midnight)]
    assert len(kept(decide(two, replace(NOTHING, daily=2), UTC))) == 1
    assert len(kept(decide(two, replace(NOTHING, daily=2), BERLIN))) == 2


def test_the_hour_that_comes_twice_is_of_one_day() -> None:
    night = [backup(datetime(2026, 10, 25, hour, 30, tzinfo=UTC)) for hour in (0, 1)]
    decisions = decide(night, replace(NOTHING, daily=2), BERLIN)
    assert [d.keep for d in decisions] == [True, False]


def test_a_gap_uses_up_no_slot() -> None:
    old = [backup(NOON - timedelta(days=200 + n)) for n in range(10)]
    assert len(kept(decide(old, replace(NOTHING, daily=7), UTC))) == 7


def test_failed_backups_fill_no_slot() -> None:
    nights = [backup(NOON - timedelta(days=n), verdict="failed" if 2 <= n < 5 else "") for n in range(10)]
    decisions = decide(nights, replace(NOTHING, last=3), UTC)
    assert kept(decisions) == ["2026-11-23", "2026-11-22", "2026-11-18"]
    assert {d.reason for d in decisions if d.backup.failed} == {"failed its verification"}


def test_one_whose_data_is_good_fills_its_slot_though_the_app_refuses_it() -> None:
    """As all do from before a migration. The newest that nothing speaks against stays besides."""
    nights = [backup(NOON - timedelta(days=n), verdict="unfit" if n < 5 else "proven") for n in range(10)]
    assert kept(decide(nights, replace(NOTHING, last=3), UTC)) == [
        *("2026-11-23", "2026-11-22", "2026-11-21"),
        "2026-11-18",
    ]


def test_when_the_newest_failed_the_good_one_before_it_stays_too() -> None:
    nights = [backup(NOON - timedelta(days=n), verdict="failed" if n < 3 else "") for n in range(6)]
    decisions = decide(nights, NOTHING, UTC)
    assert kept(decisions) == ["2026-11-23", "2026-11-22", "2026-11-21", "2026-11-20"]


def test_a_verifier_that_fails_everything_removes_nothing() -> None:
    nights = [backup(NOON - timedelta(days=n), verdict="failed") for n in range(50)]
    assert all(d.keep for d in decide(nights, NOTHING, UTC))


def test_the_newest_proven_one_stays() -> None:
    nights = [backup(NOON - timedelta(days=n), verdict="proven" if n >= 20 else "") for n in range(30)]
    assert kept(decide(nights, replace(NOTHING, last=2), UTC)) == ["2026-11-23", "2026-11-22", "2026-11-03"]


def test_siblings_have_slots_of_their_own() -> None:
    mixed = nightly(5, "app") + nightly(5, "app_staging")
    decisions = decide(mixed, replace(NOTHING, last=2), UTC)
    assert [(d.backup.source, d.keep) for d in decisions if d.keep] == [("app", True)] * 2 + [("app_staging", True)] * 2


def test_what_killick_did_not_finish_is_never_removed() -> None:
    strange = [backup(NOON - timedelta(days=900), manifest=False), backup(NOON - timedelta(days=800), older=True)]
    decisions = decide([*nightly(3), *strange], replace(NOTHING, last=1), UTC)
    assert [d.keep for d in decisions] == [True, False, False, True, True]


def test_a_manifest_whose_archive_is_gone_fills_no_slot() -> None:
    nights = [backup(NOON - timedelta(days=n), suffix=None if n == 1 else ".lrz") for n in range(4)]
    assert kept(decide(nights, replace(NOTHING, last=2), UTC)) == ["2026-11-23", "2026-11-21"]


histories = st.lists(
    st.builds(
        backup,
        st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)).map(
            lambda time: time.replace(microsecond=0)
        ),
        source=st.sampled_from(["app", "app_staging"]),
        verdict=st.sampled_from(["", "proven", "failed", "unfit"]),
        manifest=st.sampled_from([True, True, True, False]),
        older=st.sampled_from([False, False, False, True]),
        suffix=st.sampled_from([".lrz", ".lrz", None]),
    ),
    max_size=40,
    unique_by=lambda b: b.id,
)
counts = st.integers(0, 5)
policies = st.builds(Policy, counts, counts, counts, counts, counts)
zones = st.sampled_from([UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Pacific/Apia")])


@given(histories, policies, zones)
@settings(max_examples=200, deadline=None)
def test_what_is_sacred(history: list[Backup], policy: Policy, zone: ZoneInfo) -> None:
    decisions = {d.backup: d.keep for d in decide(history, policy, zone)}
    assert set(decisions) == set(history)
    for source in ("app", "app_staging"):
        own = sorted(
            (b for b in history if b.source == source and b.manifest and not b.older),
            key=lambda b: b.time,
            reverse=True,
        )
        for sacred in (own, [b for b in own if b.archive and not b.failed], [b for b in own if b.archive and b.proven]):
            assert all(decisions[b] for b in sacred[:1])
    assert all(keep for b, keep in decisions.items() if b.older or not b.manifest)


@given(histories, policies, zones)
@settings(max_examples=200, deadline=None)
def test_pruning_again_removes_nothing_more(history: list[Backup], policy: Policy, zone: ZoneInfo) -> None:
    left = [d.backup for d in decide(history, policy, zone) if d.keep]
    assert all(d.keep for d in decide(left, policy, zone))


@given(histories, policies, zones)
@settings(max_examples=200, deadline=None)
def test_a_failed_backup_more_costs_no_good_one(history: list[Backup], policy: Policy, zone: ZoneInfo) -> None:
    def good(backups: list[Backup]) -> set[Backup]:
        whole = (d for d in decide(backups, policy, zone) if d.keep and d.backup.archive and not d.backup.failed)
        return {d.backup for d in whole}

    assert good(history) >= good([b for b in history if not b.broken])


@given(histories, policies, zones)
@settings(max_examples=200, deadline=None)
def test_one_source_is_decided_as_if_alone(history: list[Backup], policy: Policy, zone: ZoneInfo) -> None:
    app = [b for b in history if b.source == "app"]
    assert decide(app, policy, zone) == [d for d in decide(history, policy, zone) if d.backup.source == "app"]


def test_records_expire() -> None:
    def gone(days: int, *records: str) -> Backup:
        evidence = tuple(Evidence(NOON - timedelta(days=days), kind, "passed", 0) for kind in records)
        time = NOON - timedelta(days=900 + days)
        return Backup("app", layout.backup_id(time, "db"), "db", time, evidence=evidence)

    failures = tuple(Failed(f"x{d}", "db", NOON - timedelta(days=d), "no-space") for d in (89, 91))
    catalog = Catalog("app", remains=(gone(399, "prune"), gone(401, "backup", "prune")), failures=failures)
    expired = expired_records(catalog, NOON)
    assert expired[0] == "app/x91.failed-no-space.json"
    assert [key.rpartition("Z-")[2] for key in expired[1:]] == ["backup-passed-0.json", "prune-passed-0.json"]
    assert expired_records(Catalog("app", backups=(gone(800, "verify"),)), NOON) == []
