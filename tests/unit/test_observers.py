"""Who is told what: real servers on this machine answer for Sentry, apprise and the ping."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from killick import observers, watch
from killick.errors import Refused
from killick.events import (
    BackupFailed,
    BackupFinished,
    BackupStarted,
    Emitter,
    Event,
    PhaseFinished,
    Progress,
    Pruned,
    Swept,
    VerifyFinished,
    VerifyOverdue,
    Warned,
)
from killick.manifest import Archive, Manifest
from killick.observers import log, notify, ping, sentry
from killick.session import Session
from killick.settings import Settings, Telling, load
from tests.web import Listener, listener

MANIFEST = Manifest(
    id="20261123T030000Z-db",
    project="shop",
    source="db",
    engine="postgres",
    started="2026-11-23T03:00:00Z",
    finished="2026-11-23T03:00:09Z",
    snapshot="2026-11-23T03:00:01Z",
    server_version="16.4",
    client_version="16.4",
    identity="1",
    database="app",
    contents=None,
    archive=Archive("shop/20261123T030000Z-db.tar.lrz", 2_000_000, "a", 9_000_000, "b", "lrzip"),
)
OK = BackupFinished("shop", "db", MANIFEST, 9.0)
BAD = BackupFailed("shop", "db", MANIFEST.id, "unreachable", "facts", "no route to db", "is it up?", 1.0)
EVENTS: list[Event] = [
    BackupStarted("shop", "db", MANIFEST.id),
    OK,
    BAD,
    PhaseFinished("shop", "db", "dump", 1.23456, {"bytes": 5}),
    Swept("shop", "db", "a scratch folder"),
    VerifyFinished(
        "shop",
        "db",
        MANIFEST.id,
        "failed",
        3,
        8.0,
        "two tables differ",
        "restore the one before",
        at="level 4 (compare)",
    ),
    VerifyFinished("shop", "db", MANIFEST.id, "unverifiable", 1, 8.0, "no room", "make some", at="start"),
    Pruned("shop", "db", ("a", "b")),
    Warned("shop", "db", 'said "so"\nand so'),
    Progress("shop", "db", "download", 999, 1000, "bytes"),
]
OVERDUE = VerifyOverdue("shop", "db", 300000, 259200.0, "db: no backup was proven for 3 days", "killick verify latest")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def web() -> Iterator[Listener]:
    with listener() as kept:
        yield kept


def test_every_event_is_one_line_of_logfmt() -> None:
    for event in EVENTS:
        out = io.StringIO()
        log.Log("logfmt", "info", out)(event)
        (line,) = out.getvalue().splitlines()
        pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line)
        assert " ".join(f"{k}={v}" for k, v in pairs) == line
        assert dict(pairs)["event"] == log.slug(event)
        assert dict(pairs)["source"] == "db"


def test_every_event_is_one_json_document_with_its_facts() -> None:
    for event in EVENTS:
        out = io.StringIO()
        log.Log("json", "info", out)(event)
        (line,) = out.getvalue().splitlines()
        told = json.loads(line)
        for each in fields(event):
            value = getattr(event, each.name)
            if isinstance(value, str):
                assert told[each.name] == value
    assert log.facts(OVERDUE)["age"] == 300000
    assert log.facts(OK)["bytes"] == 2_000_000
    assert log.facts(EVENTS[3]) == {"project": "shop", "source": "db", "phase": "dump", "seconds": 1.235, "bytes": 5}


def test_levels() -> None:
    out = io.StringIO()
    quiet = log.Log("json", "warning", out)
    for event in EVENTS:
        quiet(event)
    levels = [json.loads(line)["level"] for line in out.getvalue().splitlines()]
    assert levels == ["error", "warning", "error", "warning", "warning"]


def test_a_terminal_gets_sentences() -> None:
    out = Terminal()
    for event in EVENTS:
        log.Log("logfmt", "info", out)(event)
    text = out.getvalue()
    assert "✓ db: 20261123T030000Z-db, 2.0 MB, 9.0 s" in text
    assert "✗ db: no route to db (while: facts)\n  is it up?" in text
    assert "event=" not in text


def test_the_bar_shows_a_true_percentage() -> None:
    out = Terminal()
    with log.progress(out, "db") as phases, phases.phase("dump") as watch:
        watch(25, 100)
        watch(50, 100)
    assert "50%" in out.getvalue()
    assert "db dump" in out.getvalue()
    assert phases.seconds.keys() == {"dump"}
    unknown = Terminal()
    with log.progress(unknown, "db") as phases, phases.phase("dump") as watch:
        watch(5_000_000)
    assert "%" not in unknown.getvalue()
    assert "5.0 MB" in unknown.getvalue()


def test_no_bar_in_a_log() -> None:
    out = io.StringIO()
    with log.progress(out, "db") as phases, phases.phase("dump") as watch:
        watch(50, 100)
    assert out.getvalue() == ""


def test_a_log_hears_of_a_phase_that_lasts_every_ten_seconds() -> None:
    now, told = 1000.0, []
    with log.progress(io.StringIO(), "db", lambda *how_far: told.append(how_far), lambda: now) as phases:
        with phases.phase("dump") as watch:
            for second in range(36):
                now = 1000.0 + second
                watch(second, 60, "rows")
        with phases.phase("compress") as watch:
            now += 9.9
            watch(1)
            now += 0.1
            watch(2)
    assert told == [
        ("dump", 10, 60, "rows"),
        ("dump", 20, 60, "rows"),
        ("dump", 30, 60, "rows"),
        ("compress", 2, 0, "bytes"),
    ]


def test_progress_is_a_line_with_a_true_percentage() -> None:
    known = {"project": "shop", "source": "db", "phase": "download"}
    assert log.facts(EVENTS[-1]) == {**known, "done": 999, "total": 1000, "unit": "bytes", "percent": 99}
    assert log.facts(Progress("shop", "db", "download", 7, 0, "rows")) == {**known, "done": 7, "unit": "rows"}
    assert log.facts(Progress("shop", "db", "download", 0, 9, "rows"))["done"] == 0


@pytest.mark.parametrize("format", ["logfmt", "json"])
def test_a_session_tells_of_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setattr(watch, "EVERY", 0)
    session = Session(load({"PROJECT": "shop", "LOG_FORMAT": format}))
    with session.phases("db") as phases, phases.phase("store") as told:
        told(5, 10)
    lines = capsys.readouterr().err.splitlines()
    assert [re.search(r'event"?[=:] ?"?([a-z-]+)', line)[1] for line in lines] == ["progress", "phase-finished"]  # type: ignore[index]
    assert re.search(r'phase"?[=:] ?"?store.*done"?[=:] ?5.*total"?[=:] ?10.*percent"?[=:] ?50', lines[0])


def test_a_ping_after_success_and_fail_after_failure(web: Listener) -> None:
    ear = ping.Ping(f"http://127.0.0.1:{web.port}/abc?rid=1")
    for event in EVENTS[:1]:
        ear(event)
    assert web.paths == []
    ear(OK)
    ear(BAD)
    ear(OK)
    assert web.paths == ["/abc?rid=1", "/abc/fail?rid=1"], "a success after a failure in one run calls no alarm off"
    assert web.asked[1].body == b"unreachable"


def test_people_are_told_what_matters_and_nothing_else(web: Listener) -> None:
    ear = notify.Notify((f"json://127.0.0.1:{web.port}/hook",))
    again = [replace(event, first=False) for event in EVENTS[5:7] if isinstance(event, VerifyFinished)]
    passed = VerifyFinished("shop", "db", MANIFEST.id, "passed", 4, 8.0)
    silent: list[Event] = [OK, replace(BAD, first=False), *EVENTS[:1], *EVENTS[3:5], *EVENTS[7:], *again, passed]
    for event in silent:
        ear(event)
    assert web.asked == []
    good = (replace(OK, recovered=True), replace(OK, first=True))
    for event in (BAD, *good, EVENTS[5], EVENTS[6], replace(passed, recovered=True), OVERDUE):
        ear(event)
    told = [json.loads(one.body) for one in web.asked]
    assert [one["type"] for one in told] == [
        "failure",
        "success",
        "success",
        "failure",
        "warning",
        "success",
        "failure",
    ]
    assert "no route to db" in told[0]["message"]
    assert "is it up?" in told[0]["message"]
    assert "shop/db" in told[0]["title"]
    assert told[2]["message"] == "20261123T030000Z-db, 2.0 MB"
    assert told[3]["message"] == (
        "shop/20261123T030000Z-db failed at level 4 (compare): two tables differ\nrestore the one before"
    )
    assert told[4]["message"].startswith("shop/20261123T030000Z-db could not be verified at start: no room")
    assert told[5]["title"] == "shop/db: backups can be restored again"
    assert told[6]["message"] == "db: no backup was proven for 3 days\nkillick verify latest"


def test_a_notification_that_did_not_go_out_is_an_error(
    web: Listener, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    web.status = 500
    ear = notify.Notify((f"json://user:S3CRET@127.0.0.1:{web.port}/hook",))
    with pytest.raises(OSError, match="did not go out"):
        ear(BAD)
    with pytest.raises(OSError, match="did not go out"):
        notify.Notify(("nosuchservice://S3CRET",))(BAD)
    assert "S3CRET" not in "".join(capfd.readouterr()) + caplog.text


def settings_for(web: Listener, **more: str) -> Settings:
    environ = {
        "PROJECT": "shop",
        "SENTRY_DSN": f"http://publickey@127.0.0.1:{web.port}/1",
        "SCHEDULE": "every day at 03:00",
    }
    return load({**environ, "TZ": "Europe/Brussels", **more})


def items(web: Listener) -> list[dict[str, Any]]:
    """The payloads of all envelopes: header, then pairs of item header and payload."""
    found = []
    for one in web.asked:
        lines = one.body.splitlines()
        found += [json.loads(payload) for payload in lines[2::2]]
    return found


def test_sentry_gets_check_ins_and_errors(web: Listener) -> None:
    ear = sentry.Sentry(settings_for(web))
    for event in (EVENTS[0], OK, EVENTS[0], BAD):
        ear(event)
    got = items(web)
    check_ins = [one for one in got if "monitor_slug" in one]
    assert [one["status"] for one in check_ins] == ["in_progress", "ok", "in_progress", "error"]
    assert check_ins[0]["check_in_id"] == check_ins[1]["check_in_id"] != check_ins[2]["check_in_id"]
    assert {one["monitor_slug"] for one in check_ins} == {"shop-db"}
    assert check_ins[0]["monitor_config"]["schedule"] == {"type": "crontab", "value": "0 3 * * *"}
    assert check_ins[0]["monitor_config"]["timezone"] == "Europe/Brussels"
    (error,) = [one for one in got if "message" in one]
    assert error["message"] == "no route to db"
    assert error["tags"] == {"project": "shop", "source": "db", "kind": "unreachable"}
    assert error["extra"]["hint"] == "is it up?"


def test_check_ins_are_those_of_the_sdk_itself(web: Listener) -> None:
    """Sentry takes what its own SDK sends: the same item, the same fields, and nothing else."""
    from sentry_sdk.crons import capture_checkin

    ear = sentry.Sentry(settings_for(web))
    ear(EVENTS[0])
    (ours,) = items(web)
    capture_checkin(ours["monitor_slug"], ours["check_in_id"], "in_progress", None, ours["monitor_config"])
    sentry.flush()
    theirs = items(web)[1]
    assert {**theirs, "event_id": 0, "timestamp": 0} == {**ours, "event_id": 0, "timestamp": 0}
    assert [json.loads(one.body.splitlines()[1])["type"] for one in web.asked] == ["check_in", "check_in"]


@pytest.mark.parametrize("schedule", ["every 6 hours", "every monday and thursday at 04:30", "0 3 1 * *", "@yearly"])
def test_sentry_is_told_of_every_schedule_as_cron(web: Listener, schedule: str) -> None:
    """Five fields, as Sentry's crontab has them: by them it knows that a night is missed."""
    sentry.Sentry(settings_for(web, SCHEDULE=schedule))(EVENTS[0])
    (check_in,) = items(web)
    assert re.fullmatch(r"([\d*/,-]+ ){4}[\d*/,-]+", check_in["monitor_config"]["schedule"]["value"])


def test_no_two_monitors_of_sentry_become_one() -> None:
    long = "a" * 60
    pairs = [("shop", "db"), ("x-y", "z"), ("x", "y_z"), (long, "db"), (long, "uploads"), (f"{long}b", "db")]
    slugs = [sentry.slug(*pair) for pair in pairs]
    assert len(set(slugs)) == len(pairs)
    assert all(len(one) <= 50 and re.fullmatch(r"[a-z0-9_-]+", one) for one in slugs)
    assert slugs[0] == "shop-db"


def test_sentry_gets_verifications_that_went_wrong(web: Listener) -> None:
    ear = sentry.Sentry(settings_for(web))
    for event in (EVENTS[5], OVERDUE):
        ear(event)
    failed, overdue = items(web)
    assert failed["message"] == "shop/20261123T030000Z-db failed at level 4 (compare): two tables differ"
    assert (overdue["message"], overdue["tags"]["kind"]) == (OVERDUE.message, "verify-overdue")


def test_sentry_gets_no_secret_no_local_no_host(web: Listener) -> None:
    settings = settings_for(web, MASK_KEY="S3CRET", PAGE_PASSWORD="0THER")
    ear = sentry.Sentry(settings)
    ear(replace(BAD, message="the key S3CRET is bad", hint="0THER"))

    def crash() -> None:
        hidden = "LOCAL" + "VALUE"
        raise RuntimeError(f"row {hidden} of S3CRET")

    try:
        crash()
    except RuntimeError as error:
        sentry.crashed(settings, error)
    text = "".join(json.dumps(one) for one in items(web))
    assert "the key *** is bad" in text
    assert "RuntimeError" in text
    assert "crash" in text
    for hidden in ("S3CRET", "0THER", "LOCALVALUE", '"vars"', '"modules"', '"argv"', '"server_name"'):
        assert hidden not in text


def test_what_is_not_asked_for_is_not_built() -> None:
    assert [type(each).__name__ for each in observers.build(Settings())] == ["Log"]
    telling = Telling(notify_urls=("json://h",), ping_url="http://h/x")
    assert [type(each).__name__ for each in observers.build(Settings(telling=telling))] == ["Log", "Notify", "Ping"]


def test_an_observer_that_fails_is_told_of_and_no_more(web: Listener) -> None:
    web.status = 500
    out = io.StringIO()
    telling = Telling(log_format="json", ping_url=f"http://127.0.0.1:{web.port}/S3CRET")
    observers.emitter(Settings(telling=telling), out)(OK)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["backup-finished", "observer-failed"]
    assert "Ping" in lines[1]["message"]
    assert "S3CRET" not in out.getvalue()


def test_refusals_are_told_too() -> None:
    said: list[str] = []

    def broken(event: Event) -> None:
        raise Refused("no")

    Emitter([broken], said.append)(OK)
    assert said == ["broken could not report BackupFinished: Refused"]
