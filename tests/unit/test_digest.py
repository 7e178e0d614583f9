"""The week in one message: from a real folder, to a real HTTP receiver; the loop by a clock of the test's own."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from killick import catalog, layout, records, stores
from killick.errors import KillickError, SettingsError
from killick.session import Session
from killick.settings import Settings, load
from killick.stores import Store
from sidecar import digest as digests
from sidecar import loop as loops
from sidecar.digest import Digest
from tests.unit.test_sidecar import World, known
from tests.unit.test_state import back_up
from tests.web import Listener, listener

MONDAY = datetime(2026, 11, 23, 8, tzinfo=UTC)
NIGHT = MONDAY.replace(hour=3)
DAY = timedelta(days=1)


def session(tmp_path: Path, **more: str) -> Session:
    environ = {"PROJECT": "shop", "STORE": f"file://{tmp_path}", "DATABASE_URL": "postgres://u@db/app"}
    return Session(load({**environ, "SCHEDULE": "every day at 03:00", **more}))


@pytest.fixture
def shop(tmp_path: Path) -> Session:
    return session(tmp_path)


def verify(store: Store, id: str, result: str = "passed", level: int = 4, hours: int = 2) -> None:
    when = layout.moment(id.partition("-")[0]) + timedelta(hours=hours)
    records.record(store, "shop", id, when, "verify", result, level, {"restore_seconds": 360.0})


def week(store: Store, source: str = "db", nights: int = 7) -> list[str]:
    """Oldest first; each is proven."""
    ids = [back_up(store, NIGHT - back * DAY, source) for back in reversed(range(nights))]
    for id in ids:
        verify(store, id)
    return ids


def read(shop: Session, now: datetime = MONDAY) -> Digest:
    return digests.read(shop, now, now)


def fail(store: Store, when: datetime) -> None:
    records.attempt_failed(store, "shop", layout.backup_id(when, "db"), "no-space", {})


def test_a_week_without_a_fault(shop: Session) -> None:
    week(shop.store, nights=12)
    found = read(shop, NIGHT + timedelta(hours=4))
    assert found.title == "shop: 7 of 7 nights verified; oldest proven data 4 h; restore takes 6 min"
    assert found.well


def test_every_fault_is_named_with_its_night(shop: Session) -> None:
    store = shop.store
    proven = {day: back_up(store, NIGHT.replace(day=day)) for day in (22, 23)}
    for id in proven.values():
        verify(store, id)
    back_up(store, NIGHT.replace(day=17) - DAY)
    fail(store, NIGHT.replace(day=17))
    back_up(store, NIGHT.replace(day=18))
    verify(store, back_up(store, NIGHT.replace(day=19)), "failed", 3)
    verify(store, back_up(store, NIGHT.replace(day=20)), "passed", 3)  # the schema alone
    fail(store, NIGHT.replace(day=22, minute=5))  # of a night that was proven all the same
    found = read(shop)
    assert str(found.lines[0]) == (
        "db: 2 of 7 nights verified; newest proven data 5 h; restore takes 6 min; "
        "Tue 17 Nov: the backup failed (no-space); Wed 18 Nov: not verified; "
        "Thu 19 Nov: its verification failed; Fri 20 Nov: not verified; Sat 21 Nov: no backup"
    )
    assert not found.well


def test_what_was_pruned_counts_by_its_evidence(shop: Session) -> None:
    store = shop.store
    for id in week(store)[:3]:
        found = next(backup for backup in shop.catalog().backups if backup.id == id)
        records.delete(store, found)
    assert len(shop.catalog().backups) == 4
    assert read(shop).title.startswith("shop: 7 of 7")


def test_nothing_is_expected_before_the_first_backup(shop: Session) -> None:
    week(shop.store, nights=3)
    assert read(shop).title.startswith("shop: 3 of 3 nights")


def test_a_night_is_of_all_sources_and_a_restore_too(tmp_path: Path) -> None:
    shop = session(tmp_path, FILES_UPLOADS="/srv")
    week(shop.store)
    oldest, *_ = week(shop.store, "uploads")
    verify(shop.store, oldest, "failed", hours=3)
    found = read(shop)
    assert found.title == "shop: 6 of 7 nights verified; oldest proven data 5 h; restore takes 12 min"
    assert found.text.splitlines()[0].startswith("db: 7 of 7 nights verified; newest proven data 5 h")
    assert found.text.endswith("Tue 17 Nov: its verification failed")


def test_a_source_that_was_never_proven_is_not_passed_over(tmp_path: Path) -> None:
    shop = session(tmp_path, FILES_UPLOADS="/srv")
    week(shop.store)
    back_up(shop.store, NIGHT, "uploads")
    assert "nothing is proven restorable" in read(shop).title


@pytest.mark.parametrize(
    ("schedule", "title"),
    [
        ("every monday at 03:00", "1 of 1"),
        ("every weekday at 03:00", "5 of 5"),
        ("every hour", "7 of 7"),
        ("off", "7 of 7"),
    ],
)
def test_nights_are_those_that_the_schedule_has(tmp_path: Path, schedule: str, title: str) -> None:
    shop = session(tmp_path, SCHEDULE=schedule)
    week(shop.store, nights=9)
    back_up(shop.store, NIGHT + timedelta(hours=3))  # one of a day is enough
    assert read(shop).title.startswith(f"shop: {title} nights")


def test_a_backup_after_midnight_is_of_the_night_before(tmp_path: Path) -> None:
    """Local nights, as TZ has them: 23:30 in Brussels is 22:30 UTC, and this run waited for another."""
    shop = session(tmp_path, SCHEDULE="every day at 23:30", TZ="Europe/Brussels")
    for back in range(1, 8):
        late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC) - back * DAY
        verify(shop.store, back_up(shop.store, late))
    found = read(shop)
    assert found.title.startswith("shop: 7 of 7")
    assert [f"{day:%a}" for day in found.lines[0].faults] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@limits(deadline=None)
@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.sampled_from(["@daily", "every hour", "30 2 * * *"])
)
def test_seven_nights_whatever_the_moment(
    tmp_path_factory: pytest.TempPathFactory, moment: datetime, plan: str
) -> None:
    """Clock changes too: Brussels has a day of 23 hours and one of 25."""
    settings = load(
        {"PROJECT": "shop", "SCHEDULE": plan, "TZ": "Europe/Brussels", "DATABASE_URL": "postgres://u@db/app"}
    )
    days = list(digests._days(settings, moment.replace(tzinfo=UTC)))
    assert len(days) == digests.NIGHTS
    assert (days[-1] - days[0]).days == digests.NIGHTS - 1


# Sending


@pytest.fixture
def told(tmp_path: Path) -> tuple[Session, Listener]:
    with listener() as web:
        yield session(tmp_path, NOTIFY_URLS=f"json://127.0.0.1:{web.port}/hook"), web  # type: ignore[misc]


def titles(web: Listener) -> list[str]:
    return [json.loads(one.body)["title"] for one in web.asked]


def test_the_planned_one_goes_out_once(told: tuple[Session, Listener], tmp_path: Path) -> None:
    """Whoever asks, and however often: another sidecar, the same after a restart."""
    shop, web = told
    week(shop.store)
    assert digests.send_due(shop, MONDAY)
    for later in (timedelta(seconds=1), timedelta(hours=5), timedelta(days=6)):
        assert not digests.send_due(Session(shop.settings), MONDAY + later)
    assert titles(web) == ["shop: 7 of 7 nights verified; oldest proven data 5 h; restore takes 6 min"]
    assert json.loads(web.asked[0].body)["type"] == "info"
    assert digests.send_due(shop, MONDAY + 7 * DAY)
    assert titles(web)[1].startswith("shop: 0 of 7 nights verified; oldest proven data 7 d")
    assert json.loads(web.asked[1].body)["type"] == "warning"
    keys = [stored.key for stored in shop.store.list("shop/digest-")]
    assert keys == [layout.digest("shop", MONDAY + 7 * DAY)], "the key of the one before is gone"


def test_one_that_did_not_go_out_is_tried_again(told: tuple[Session, Listener]) -> None:
    shop, web = told
    week(shop.store)
    web.status = 500
    with pytest.raises(KillickError, match="did not go out"):
        digests.send_due(shop, MONDAY)
    web.status = 200
    assert digests.send_due(shop, MONDAY + timedelta(hours=1))
    assert len(web.asked) == 2


def test_where_nothing_was_heard_of_yet_nothing_is_told(told: tuple[Session, Listener]) -> None:
    """A project that was set up on Monday at noon has no week behind it."""
    shop, web = told
    back_up(shop.store, MONDAY + timedelta(hours=4))
    assert not digests.send_due(shop, MONDAY + timedelta(hours=5))
    assert web.asked == []
    assert list(shop.store.list("shop/digest-")) == []


def test_off_means_off(told: tuple[Session, Listener], tmp_path: Path) -> None:
    week(told[0].store)
    assert not digests.send_due(session(tmp_path, DIGEST="off", NOTIFY_URLS="json://127.0.0.1:1"), MONDAY)


def test_nobody_to_send_it_to(shop: Session) -> None:
    with pytest.raises(SettingsError, match="NOTIFY_URLS"):
        digests.send(shop, read(shop))


def test_its_key_is_no_backup_and_no_stranger(shop: Session) -> None:
    before = catalog.scan("shop", [])
    stores.put_json(shop.store, layout.digest("shop", MONDAY), {})
    assert shop.catalog() == before


# The loop


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(loops, "verifies", lambda settings: False)
    return load(
        {"PROJECT": "shop", "DATABASE_URL": "postgres://u@db/app", "NOTIFY_URLS": "json://h"} | {"SCHEDULE": "off"}
    )


DUE = ("digest", "--send", "--due")


def test_the_loop_asks_for_it_on_mondays(telling: Settings) -> None:
    world = World(telling, known("db", NIGHT), start=MONDAY + 6 * DAY)
    world.loop.refresh()
    assert world.until(MONDAY + 7 * DAY) == []
    assert world.until(MONDAY + 8 * DAY) == [DUE]


def test_one_that_was_missed_is_caught_up_within_a_day(telling: Settings) -> None:
    assert DUE in World(telling, start=MONDAY + timedelta(hours=23)).until(MONDAY + DAY)
    assert World(telling, start=MONDAY + timedelta(hours=25)).until(MONDAY + 2 * DAY) == []


def test_the_loop_tries_again_each_hour(telling: Settings) -> None:
    world = World(telling, start=MONDAY)
    world.status = 1
    assert world.until(MONDAY + timedelta(hours=3)) == [DUE] * 3
    world.status = 0
    assert world.until(MONDAY + timedelta(hours=9)) == [DUE]


def test_without_anybody_to_tell_the_loop_does_not_ask(telling: Settings) -> None:
    settings = load({"PROJECT": "shop", "SCHEDULE": "off", "VERIFY_SCHEDULE": "off"})
    assert World(settings, start=MONDAY).until(MONDAY + DAY) == []
