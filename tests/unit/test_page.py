"""The pages say what the metrics say, and answer whatever the store holds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from html import unescape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from killick.errors import StoreError
from killick.figures import size
from killick.observers import metrics
from killick.state import SourceState, State, Verification
from sidecar import page
from sidecar.night import by_child
from sidecar.page import pictures
from sidecar.page.figures import summary, took
from sidecar.report import document
from sidecar.site import Board, Site
from sidecar.verdict import ago, verdict
from tests.page_states import DAY, HOUR, NIGHT, NOW, STATES, project, source

WELL = STATES["well"][0]


def text(html: str) -> str:
    """What a reader is told, in one line."""
    body = html.partition("<body>")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def site(*states: State, people: bool = True, night: Any = None) -> Site:
    board = Board()
    board.show(*states)
    return Site(board, night, people)


def asked(site: Site, path: str, now: float = NOW) -> tuple[int, str]:
    answer = site.answer(path, now)
    return answer.status, answer.body.decode()


# The page and the metrics

moments = st.none() | st.floats(NOW - 400 * DAY, NOW + DAY)
counts = st.integers(0, 10**13)
verifications = st.builds(
    Verification,
    last_attempt=st.floats(NOW - 400 * DAY, NOW),
    last_success=moments,
    result=st.sampled_from(["passed", "failed", "unverifiable"]),
    level=st.integers(0, 6),
    restore_seconds=st.floats(0, 1e6),
    tables_checked=st.integers(0, 10**6),
    tables_mismatched=st.integers(0, 100),
    verified_snapshot=moments,
    error=st.text(max_size=20),
    hint=st.text(max_size=20),
)
sources = st.builds(
    SourceState,
    source=st.just("db"),
    engine=st.sampled_from(["postgres", "mongodb", "files", ""]),
    set=st.booleans(),
    interval=st.sampled_from([0.0, HOUR, DAY]),
    last_success=moments,
    consecutive_failures=st.integers(0, 99),
    raw_bytes=counts,
    archive_bytes=counts,
    backups=st.dictionaries(st.sampled_from(["proven", "unverified", "failed", "partial"]), st.integers(0, 500)),
    bytes=counts,
    error=st.just({}) | st.fixed_dictionaries({"kind": st.just("busy"), "message": st.text(max_size=20)}),
    verification=st.just(Verification()) | verifications,
    nights=st.text(" .x!0123456", min_size=30, max_size=30),
    sizes=st.lists(st.tuples(st.floats(0, NOW), counts), max_size=5).map(lambda found: tuple(sorted(found))),
)


def measured(state: State) -> Mapping[str, Mapping[str, float]]:
    """Each metric's samples by the label that is its own, "" where it has none."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(metrics.exposition(state).decode()):
        for sample in family.samples:
            own = [value for name, value in sample.labels.items() if name in ("state", "stage", "result")]
            found.setdefault(sample.name.removeprefix("killick_"), {})["".join(own)] = sample.value
    return found


@settings(max_examples=150, deadline=None)
@given(sources)
def test_the_page_says_what_the_metrics_say(one: SourceState) -> None:
    state = project(one)
    told, shown = measured(state), text(page.overview([state], NOW))

    def gauge(name: str) -> float | None:
        return told.get(name, {}).get("")

    proven = gauge("verified_snapshot_timestamp_seconds") if one.verification.result else None
    if one.verification.result or one.verification.verified_snapshot is None:
        data = "never" if proven is None else f"data of {ago(proven, NOW)}"
        assert f"Proven restorable {data}" in shown
    assert f"Newest backup {ago(gauge('backup_last_success_timestamp_seconds'), NOW)}" in shown
    failures = int(gauge("backup_consecutive_failures") or 0)
    assert (f"{failures} attempt{'' if failures == 1 else 's'} failed since" in shown) == (failures > 0)
    results = [result for result, holds in told.get("verify_last_result", {}).items() if holds]
    if results:
        level, when = int(gauge("verify_level") or 0), ago(gauge("verify_last_attempt_timestamp_seconds"), NOW)
        assert f"Last verification {results[0]} , level {level}, {when}" in shown
        assert f"{int(gauge('verify_tables_mismatched') or 0)} differ" in shown
    else:
        assert "Last verification never" in shown
    restore = gauge("verify_restore_seconds")
    assert f"A restore takes {took(restore) if restore else 'not measured yet'}" in shown
    if stages := told.get("backup_last_size_bytes"):
        assert f"Size of the newest {size(stages['archive'])}, raw {size(stages['raw'])}" in shown
    kinds = ", ".join(f"{int(count)} {name}" for name, count in told.get("store_backups", {}).items() if count)
    assert f"In the store {size(told['store_bytes'][''])} {kinds}".strip() in shown


def test_every_state_is_told_without_colour() -> None:
    words = {"well": "restorable", "failed": "backup is late", "never-verified": "never verified", "empty": "no source"}
    for name, word in words.items():
        assert word in text(page.overview(STATES[name], NOW)), name
    fleet = text(page.overview(STATES["fleet"], NOW))
    assert fleet.startswith("Backups Look at 3 of 40 sources."), "and the worst come first"
    assert fleet.index("cove-north/db") < fleet.index("harbour-south/db") < fleet.index("atlas/db")
    assert summary("5" * 3 + "x. ") == "3 verified, 1 failed, 1 missing"
    assert "3 verified, 1 failed, 1 missing" in pictures.nights("555x. ")


# The verdict


@pytest.mark.parametrize(
    ("changed", "word", "well"),
    [
        ({}, "restorable", True),
        ({"last_success": None}, "no backup yet", False),
        ({"last_success": NOW - 37 * HOUR}, "backup is late", False),
        ({"last_success": NOW - 35 * HOUR}, "restorable", True),
        ({"error": {"kind": "busy"}}, "last attempt failed", False),
        ({"verification": Verification()}, "never verified", False),
        ({"verification": Verification(NIGHT, NIGHT, "passed", 5, verified_snapshot=NOW - 73 * HOUR)},
         "proof too old", False),
        ({"verification": Verification(NIGHT, NIGHT, "failed", 3, verified_snapshot=NIGHT)},
         "verification failed", False),
        ({"verification": Verification(NIGHT, NIGHT, "unverifiable", 0, verified_snapshot=NIGHT)},
         "could not verify", False),
        ({"set": False, "last_success": NOW - 90 * DAY, "verification": Verification()}, "never verified", True),
    ],
)  # fmt: skip
def test_the_verdict_is_the_worst_that_is_to_be_said(changed: dict[str, Any], word: str, well: bool) -> None:
    found = verdict(project(), source(**changed), NOW)
    assert (found.word, found.well) == (word, well)
    assert found.why


def test_the_last_failure_is_told_with_its_cure() -> None:
    shown = text(page.overview(STATES["failed"], NOW))
    assert "nobody answers at mongo:27017 What to do: is the service up" in shown
    torn = source(verification=Verification(NIGHT, NIGHT, "failed", 3, error="2 differences", hint="restore the other"))
    assert "2 differences What to do: restore the other" in text(page.overview([project(torn)], NOW))


def test_a_clock_that_is_ahead_is_told() -> None:
    assert ago(NOW + 2 * HOUR, NOW) == "2 h ahead of this clock"
    assert ago(NOW + 60, NOW) == "0 min ago"


# The site


def test_an_unreachable_store_is_told_beside_what_was_known() -> None:
    shown = site(WELL)
    shown.board.unreadable("no route to the store", NOW)
    shown.board.unreadable("still no route to the store", NOW + HOUR)
    for path in ("/", "/source/my-shop/db"):
        told = text(asked(shown, path, NOW + 2 * HOUR)[1])
        assert "cannot be read since 23 Nov 2026, 10:12 UTC (2 h): still no route" in told
        assert "last that was known" in told
        assert "Newest backup 9 h ago" in told
    shown.board.show(WELL)
    assert "cannot be read" not in asked(shown, "/")[1]
    never = Site(Board(), None)  # type: ignore[arg-type]
    assert "has not been read yet" in asked(never, "/")[1]
    assert asked(never, "/readyz")[0] == 503


def test_a_thousand_sources_are_a_table_that_leads_to_each() -> None:
    many = site(project(*(source(f"db{n}") for n in range(1000))))
    status, html = asked(many, "/")
    assert (status, html.count("<tr ")) == (200, 1000)
    assert len(html) < 2_000_000
    assert 'href="source/my-shop/db999"' in html
    assert "verified to level 5" in asked(many, "/source/my-shop/db999")[1]


def test_where_there_is_no_page() -> None:
    bare = site(WELL, people=False)
    for path in ("/", "/source/my-shop/db", "/state.json", "/badge.svg"):
        assert asked(bare, path)[0] == 404
    assert asked(bare, "/metrics")[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/source/my-shop/nobody", "/source/other/db", "/night/my-shop/db/2026-13-01", "/night/my-shop/nobody/2026-11-23",
     "/badge/other.svg", "/badge/my-shop/nobody.svg", "/night/my-shop/..%2f/2026-11-23"],
)  # fmt: skip
def test_what_is_not_there_is_not_found(path: str) -> None:
    assert asked(site(WELL), path)[0] == 404


def test_a_badge_tells_an_age_and_no_more() -> None:
    shown = site(WELL)
    assert shown.open("/badge.svg")
    assert shown.open("/badge/my-shop/db.svg")
    for path in ("/", "/state.json", "/source/my-shop/db", "/night/my-shop/db/2026-11-23"):
        assert not shown.open(path)
    assert "restorable · 7 h ago" in asked(shown, "/badge.svg")[1]
    failed = site(*STATES["failed"])
    assert "backup is late · 3 days 7 h ago" in asked(failed, "/badge.svg")[1], "the worst source's"
    assert "restorable · 7 h ago" in asked(failed, "/badge/my-shop/db.svg")[1]
    assert "mongo:27017" not in asked(failed, "/badge.svg")[1]
    assert "never verified<" in asked(site(*STATES["never-verified"]), "/badge/my-shop.svg")[1]
    assert "unknown" in asked(Site(Board(), None), "/badge.svg")[1]  # type: ignore[arg-type]


NIGHTS: dict[str, Any] = {
    "project": "my-shop",
    "source": "db",
    "day": "2026-11-22",
    "failures": [],
    "backups": [],
    "more": 0,
}


def test_a_night_that_cannot_be_read_is_told() -> None:
    def broken(_project: str, _source: str, _day: date) -> Any:
        raise StoreError("no route to the store", "try later")

    status, html = asked(site(WELL, night=broken), "/night/my-shop/db/2026-11-22")
    assert status == 503
    assert "no route to the store" in html
    status, html = asked(site(WELL, night=lambda *_: NIGHTS), "/night/my-shop/db/2026-11-22")
    assert status == 200
    assert "Nothing of this night" in html


def test_nights_are_read_by_a_child_that_gets_what_was_asked_for() -> None:
    argv: list[tuple[str, ...]] = []

    def answer(*given: str) -> bytes:
        argv.append(given)
        return json.dumps(NIGHTS).encode()

    assert by_child(answer)("my-shop", "db", date(2026, 11, 22)) == NIGHTS
    assert argv == [("night", "db", "2026-11-22")]


def test_what_others_wrote_is_text() -> None:
    evil = "<script>alert(1)</script>"
    told = source(error={"kind": "busy", "message": evil, "hint": evil}, database=evil)
    night = {**NIGHTS, "failures": [dict.fromkeys(("time", "kind", "phase", "error", "hint"), evil)]}
    for html in (page.overview([project(told)], NOW), page.night(night, NOW), pictures.badge(evil, 3)):
        assert "<script" not in html
        assert "&lt;script&gt;" in html


def test_the_document_for_programs() -> None:
    made = document(STATES["failed"], NOW)
    assert made["well"] is False
    events = next(one for one in made["projects"][0]["sources"] if one["source"] == "events")
    assert (events["well"], events["verdict"], events["proven"]) == (False, "backup is late", "2026-11-20T03:00:00Z")
    assert document([WELL], NOW)["well"] is True
    assert json.loads(asked(site(WELL), "/state.json")[1]) == document([WELL], NOW)


def test_pictures_of_little() -> None:
    assert pictures.sparkline(()) == pictures.sparkline(((1.0, 5),)) == pictures.sparkline(((1.0, 5), (1.0, 6))) == ""
    assert "at most 0 B" in pictures.sparkline(((1.0, 0), (2.0, 0)))
    assert "bad" in pictures.bar(3.0, 2.0, "")
    assert "bad" not in pictures.bar(2.0, 2.0, "")
