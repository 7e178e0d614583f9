"""What the records tell over time, and what is news."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from killick.catalog import Backup, Catalog, Evidence
from killick.compare import Mismatch
from killick.doctor import check_proof
from killick.proof import Standing, standing
from tests.unit.test_choose import of
from verify.change import change
from verify.report import Report

MONDAY = datetime(2026, 11, 23, 3, tzinfo=UTC)
DAY = timedelta(days=1)


def made(day: float, *records: tuple[float, str, int], kind: str = "verify", hours: float = 2) -> Backup:
    """The backup of that night; records by their day (two hours after its backup), result and level."""
    when = MONDAY + day * DAY
    evidence = tuple(Evidence(MONDAY + d * DAY + timedelta(hours=hours), kind, result, lv) for d, result, lv in records)
    return Backup("shop", f"{when:%Y%m%dT%H%M%SZ}-db", "db", when, 10, ".lrz", True, evidence=evidence)


def known(*backups: Backup, level: int = 5) -> Standing:
    return standing(of(*backups), "db", level)


def test_nothing_is_known_of_a_source_without_backups() -> None:
    assert known() == Standing()
    gone = replace(made(0, (0, "passed", 4)), manifest=False, suffix=None)
    assert standing(Catalog("shop", remains=(gone,)), "db", 5).since is None, "there is nothing to prove"


def test_the_age_counts_from_the_newest_proof_or_the_first_backup() -> None:
    assert known(made(0), made(1)).since == MONDAY
    proof = MONDAY + 2 * DAY + timedelta(hours=2)
    several = known(
        made(0), made(1, (1, "passed", 4), (2, "passed", 4)), made(3, (3, "failed", 3), (4, "unverifiable", 0))
    )
    assert (several.proven, several.since, several.id) == (proof, proof, made(1).id)
    pruned = replace(made(0, (2, "passed", 4)), manifest=False, suffix=None)
    assert standing(replace(of(made(3)), remains=(pruned,)), "db", 5).since == proof, "its record outlives a backup"


def test_what_is_asked_for_here_has_to_do() -> None:
    low = made(0, (0, "passed", 2))
    assert known(low).proven is None
    assert known(low, level=2).proven
    assert known(replace(low, older=True)).proven, "more is never proven of a script's archive"
    assert known(made(0, (0, "passed", 4), kind="refresh")).proven


def test_it_was_told_until_something_is_proven() -> None:
    alarm = made(0, (4, "failed", 0), kind="overdue")
    assert known(alarm).alarmed
    assert alarm.verdict is None, "and says nothing of the backup"
    assert not known(alarm, made(5, (5, "passed", 4))).alarmed
    assert known(made(3, (3, "passed", 4)), alarm).alarmed


def test_when_an_older_one_had_its_turn() -> None:
    alone = known(made(0, (0, "passed", 4), (9, "passed", 4)))
    assert (alone.turned, alone.turns) == (None, False)
    assert known(made(0, (0, "passed", 4)), made(1, (1, "passed", 4))).turned is None, "each was the newest then"
    assert known(made(0), made(1)).turns
    turned = known(made(0, (0, "passed", 4), (2, "unverifiable", 0)), made(1), made(2, (2, "passed", 4))).turned
    assert turned == MONDAY + 2 * DAY + timedelta(hours=2)
    pruned = replace(made(0, (2, "passed", 4)), manifest=False, suffix=None)
    assert standing(replace(of(made(1), made(2)), remains=(pruned,)), "db", 5).turned == turned
    hourly = made(0, (0, "passed", 4)), made(1 / 24)
    assert known(*hourly).turned is None, "a newer one came while it was verified"


def test_doctor_says_how_long_ago() -> None:
    now = MONDAY + 5 * DAY

    def check(found: Standing) -> tuple[str, bool]:
        told = check_proof("db", found, 3 * 86400, now)
        assert "killick verify latest --source db" in told.cure
        return told.what, told.ok

    assert check(known(made(3, (3, "passed", 4)))) == ("verification: db was proven restorable 46 h ago", True)
    assert check(known(made(1, (1, "passed", 4)))) == ("verification: db was proven restorable 3 d ago", False)
    assert check(known(made(4))) == ("verification: db was not proven restorable yet", True)
    assert check(known(made(1))) == ("verification: db was not proven restorable yet", False)


# What is news


def news(catalog: Catalog, backup: Backup, result: str, level: int = 4) -> tuple[bool, bool]:
    return change(catalog, backup, Report("shop", backup.id, MONDAY, result, level, 4), 5)


def nights(*results: str) -> list[tuple[bool, bool]]:
    """What was told of each night's newest."""
    backups: list[Backup] = []
    told = []
    for night, result in enumerate(results):
        fresh = made(night)
        told.append(news(of(*backups, fresh), fresh, result, 4 if result == "passed" else 3))
        backups.append(made(night, (night, result, 4 if result == "passed" else 3)))
    return told


def test_a_failure_is_told_once_and_so_is_the_recovery() -> None:
    told = nights("passed", "passed", "failed", "failed", "failed", "passed", "passed")
    assert [first for first, _ in told] == [True, False, True, False, False, True, False]
    assert [recovered for _, recovered in told] == [False, False, False, False, False, True, False]


def test_that_it_cannot_be_tried_is_another_result() -> None:
    told = nights("passed", "unverifiable", "unverifiable", "failed", "unverifiable", "passed")
    assert [first for first, _ in told] == [True, True, False, True, True, True]
    assert [recovered for _, recovered in told] == [*[False] * 5, True]


def test_an_older_one_calls_no_alarm_off_and_raises_its_own_once() -> None:
    older, newest = made(0, (0, "passed", 4)), made(1, (1, "failed", 3))
    assert news(of(older, newest), older, "passed") == (False, False)
    assert news(of(older, newest), older, "failed", 1) == (True, False)
    failed = made(0, (0, "passed", 4), (1, "failed", 1))
    assert news(of(failed, newest), failed, "failed", 1) == (False, False)
    assert news(of(failed, newest), failed, "passed") == (True, True)
    weekly = made(0, (0, "passed", 4), (2.1, "failed", 1))
    row = of(weekly, made(1, (1, "passed", 4)), made(2, (2, "passed", 4)), made(3))
    assert news(row, made(3), "passed") == (False, False), "the older one's failure is its own"


def test_a_glance_calls_no_alarm_off() -> None:
    failed = made(0, (0, "failed", 3))
    assert news(of(failed), failed, "passed", 1) == (True, False)
    glanced = made(0, (0, "failed", 3), (1, "passed", 1))
    assert news(of(glanced), glanced, "failed", 3) == (False, False)
    assert news(of(glanced), glanced, "passed", 4) == (True, True)


def test_a_proof_after_an_alarm_is_a_recovery() -> None:
    alarmed = made(0, (4, "failed", 0), kind="overdue")
    assert news(of(alarmed), alarmed, "passed") == (True, True)
    assert news(of(alarmed), alarmed, "unverifiable", 0) == (True, False)


def test_the_alert_names_the_level_the_phase_and_the_first_difference() -> None:
    report = Report(
        "shop", made(0).id, MONDAY, "failed", 2, 4, failed_level=3, error="3 differences", phase="compare",
        mismatches=(Mismatch("public.a", "rows", "42", "41", 4), Mismatch("INDEX b\n", "schema", "9f", "absent", 3),
                    Mismatch("c", "rows", "1", "2", 4)),
    )  # fmt: skip
    assert report.at == "level 3 (compare)"
    assert report.first_error == r"INDEX b\x0a: schema is absent, not 9f, and 2 more"
    assert replace(report, failed_level=None, mismatches=(), phase="start").at == "start"
    assert replace(report, mismatches=()).first_error == "3 differences"


@pytest.mark.parametrize("result", ["passed", "failed", "unverifiable"])
def test_the_first_one_ever_is_news(result: str) -> None:
    assert news(of(made(0)), made(0), result, 4) == (True, False)
