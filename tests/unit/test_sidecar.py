"""The loop by a clock of the test's own, with children that write down what they were asked; the server for real."""

import http.client
import io
import json
import re
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schedule import Scheduler

from killick.doctor import check_throwaway
from killick.engines import Check
from killick.errors import CommandFailed, SettingsError, Stopped
from killick.observers.log import Log
from killick.process import Command
from killick.programs import Program
from killick.schedule import OFF
from killick.settings import Settings, load
from killick.state import SourceState, State, Verification
from sidecar import loop as loops
from sidecar.health import allowed, judge, span
from sidecar.loop import Loop
from sidecar.page import overview
from sidecar.server import Board, serve

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NIGHT = NOON.replace(hour=3)
DAY = 86400.0
ENVIRON = {
    "PROJECT": "shop",
    "DATABASE_URL": "postgres://u@db/app",
    "FILES_UPLOADS": "/srv",
    "SCHEDULE": "every day at 03:00",
}


class World:
    """A clock, and children that take no time unless `takes` says how long a verb takes."""

    def __init__(self, settings: Settings, *known: SourceState, start: datetime = NOON) -> None:
        self.now = start
        self.state: State | None = State("shop", 0.0, known)
        self.asked: list[tuple[str, ...]] = []
        self.takes: dict[str, timedelta] = {}
        self.status = 0
        self.out = io.StringIO()
        self.board = Board()
        self.loop = Loop(settings, self.board, Log("json", "info", self.out), self, lambda: self.now)

    def do(self, *argv: str) -> int:
        self.asked.append(argv)
        self.now += self.takes.get(argv[0], timedelta())
        return self.status

    def answer(self, *argv: str) -> bytes:
        assert argv == ("state", "--json")
        if self.state is None:
            raise CommandFailed("killick", 1, "no route to the store")
        return self.state.dumps().encode()

    def until(self, end: datetime) -> list[tuple[str, ...]]:
        """A look each minute; gives what was asked meanwhile."""
        self.asked.clear()
        while self.now < end:
            self.loop.look()
            self.now += timedelta(minutes=1)
        return self.asked


def known(name: str, last: datetime | None, attempt: datetime | None = None, **more: object) -> SourceState:
    success = last.timestamp() if last else None
    tried = (attempt or last).timestamp() if attempt or last else None  # type: ignore[union-attr]
    state = SourceState(name, last_success=success, last_attempt=tried, interval=DAY)
    return replace(state, **more)  # type: ignore[arg-type]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(loops, "verifies", lambda settings: not settings.verify.schedule.off)
    return load(ENVIRON | {"VERIFY_SCHEDULE": "off"})


@pytest.fixture
def verifying(settings: Settings) -> Settings:
    return load(ENVIRON)


def test_the_first_backup_is_taken_at_once(settings: Settings) -> None:
    world = World(settings, known("db", None), known("uploads", NIGHT))
    world.loop.refresh()
    world.loop.look()
    assert world.asked == [("backup", "db"), ("prune",)]


def test_a_first_backup_that_failed_is_tried_again_ever_less_often(settings: Settings) -> None:
    world = World(settings, known("db", None), known("uploads", NIGHT))
    world.loop.refresh()
    tried = [world.now for _ in range(1)]
    world.until(NOON + timedelta(minutes=1))
    for minutes in range(1, 300):
        if world.until(NOON + timedelta(minutes=minutes + 1)):
            assert world.asked == [("backup", "db"), ("prune",)]
            tried.append(world.now)
    gaps = [round((b - a).total_seconds() / 60) for a, b in pairwise(tried)]
    assert gaps[1:] == sorted(gaps[1:])
    assert gaps[-1] == 60
    assert len(tried) < 12
    world.state = State("shop", 0.0, (known("db", world.now), known("uploads", NIGHT)))
    world.until(world.now + timedelta(hours=1, minutes=1))
    assert world.until(NOON + timedelta(hours=14)) == [], "and left alone once it is there"


def test_a_verifier_that_names_no_source_verifies_all_that_have_a_backup(settings: Settings) -> None:
    given = load({"PROJECT": "shop", "SCHEDULE": "off", "VERIFY_SCHEDULE": "every day at 05:00"})
    world = World(given, known("db", NIGHT, set=False), known("new", None, set=False))
    world.loop.refresh()
    assert ("verify", "latest", "--source", "db") in world.until(NOON + timedelta(days=1))
    assert all("new" not in argv for argv in world.asked)


def test_nothing_is_due_when_nothing_was_missed(settings: Settings) -> None:
    world = World(settings, known("db", NIGHT), known("uploads", NIGHT))
    world.loop.refresh()
    assert world.until(NIGHT + timedelta(days=1)) == []
    assert world.until(NIGHT + timedelta(days=1, minutes=2)) == [("backup",), ("prune",)]


def test_a_missed_run_is_caught_up_and_a_failed_one_is_not(settings: Settings) -> None:
    yesterday = NIGHT - timedelta(days=1)
    world = World(settings, known("db", yesterday), known("uploads", yesterday, attempt=NIGHT))
    world.loop.refresh()
    world.loop.look()
    assert world.asked == [("backup", "db"), ("prune",)]


def test_an_attempt_that_a_restart_stopped_is_made_again(settings: Settings) -> None:
    stopped = known("db", NIGHT - timedelta(days=1), attempt=NIGHT, error={"kind": "aborted"})
    world = World(settings, stopped, known("uploads", NIGHT))
    world.loop.refresh()
    world.loop.look()
    assert world.asked == [("backup", "db"), ("prune",)]


def test_each_night_once_even_when_the_loop_comes_by_often(settings: Settings) -> None:
    world = World(settings, known("db", NIGHT), known("uploads", NIGHT))
    world.loop.refresh()
    asked = world.until(NOON + timedelta(days=3))
    assert asked.count(("backup",)) == 3


def test_a_store_that_cannot_be_read_stops_no_schedule(settings: Settings) -> None:
    world = World(settings, start=NOON)
    world.state = None
    world.loop.refresh()
    assert json.loads(world.out.getvalue())["event"] == "state-unknown"
    assert world.board.trouble
    assert world.board.trouble[0] == world.now.timestamp()
    assert "no route to the store" in world.board.trouble[1]
    assert world.until(NOON + timedelta(hours=14)) == []
    assert world.until(NOON + timedelta(hours=16)) == [("backup",), ("prune",)]


def test_a_signal_while_the_store_is_read_ends_the_loop(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(settings)

    def stopped(*_argv: str) -> bytes:
        raise Stopped("stopped by SIGTERM")

    monkeypatch.setattr(world, "answer", stopped)
    with pytest.raises(Stopped):
        world.loop.refresh()


def test_what_was_missed_is_caught_up_as_soon_as_the_store_answers(settings: Settings) -> None:
    world = World(settings, start=NOON)
    world.state = None
    world.loop.refresh()
    world.loop.look()
    assert world.asked == []
    world.state = State("shop", 0.0, (known("db", None),))
    world.loop.refresh()
    world.loop.look()
    assert world.asked == [("backup", "db"), ("prune",)]


def test_a_run_that_came_due_during_another_follows_it(verifying: Settings) -> None:
    tried = Verification(last_attempt=NOON.timestamp(), result="passed")
    sources = [known(name, NIGHT, verification=tried) for name in ("db", "uploads")]
    world = World(verifying, *sources)
    world.takes = {"verify": timedelta(hours=11)}
    world.loop.refresh()
    asked = world.until(NOON + timedelta(days=2))
    nights = [argv[0] for argv in asked]
    assert nights[:4] == ["backup", "prune", "verify", "verify"]
    assert nights[4:6] == ["backup", "prune"], "22 hours of verifying end after the next night's time"


def test_the_first_verification_follows_the_first_backup(verifying: Settings) -> None:
    world = World(verifying, known("db", None))
    world.loop.refresh()
    world.state = State("shop", 0.0, (known("db", NOON),))
    world.loop.look()
    assert [argv[0] for argv in world.asked] == ["backup", "prune", "verify", "verify"]
    assert world.asked[2] == ("verify", "latest", "--source", "db")
    world.loop.look()
    assert len(world.asked) == 4, "one that cannot be recorded is not tried again and again"


def nightly(verifying: Settings, night: int, **more: object) -> World:
    """A sidecar that was just started, after so many nights that all went well but for what is told of `db`."""
    start = NOON + timedelta(days=night)
    last, tried = NIGHT + timedelta(days=night), NIGHT + timedelta(days=night, hours=2)
    fine = Verification(last_attempt=tried.timestamp(), result="passed", max_age=3 * DAY)
    sources = known("db", last, verification=replace(fine, **more)), known("uploads", last, verification=fine)  # type: ignore[arg-type]
    world = World(verifying, *sources, start=start)
    world.loop.refresh()
    return world


def test_once_a_week_an_older_one_follows_the_newest(verifying: Settings) -> None:
    latest, older = ("verify", "latest", "--source", "db"), ("verify", "random", "--source", "db")
    world = nightly(verifying, 0, turns=True)
    asked = [argv for argv in world.until(NOON + timedelta(days=15)) if argv[0] == "verify"]
    assert asked.count(older) == 3, "the first night, and every seventh: also where nothing can be recorded"
    assert all(latest in asked[i - 2 : i] for i, argv in enumerate(asked) if argv == older), "of all sources first"
    assert ("verify", "random", "--source", "uploads") not in asked, "there is no older one"


@pytest.mark.parametrize(("nights", "due"), [(1, False), (5, False), (6, True), (30, True)])
def test_a_restart_forgets_no_week(verifying: Settings, nights: int, due: bool) -> None:
    """Tried at 05:10 of the first day; the next night is that of day `nights` + 1."""
    turned = NOON.replace(hour=5, minute=10).timestamp()
    world = nightly(verifying, nights, turns=True, turned=turned)
    asked = world.until(world.now + timedelta(days=1))
    assert (("verify", "random", "--source", "db") in asked) is due


def late(verifying: Settings, days: float, **more: object) -> World:
    since = (NOON - timedelta(days=days)).timestamp()
    return nightly(verifying, 0, **{"unproven_since": since, "proven": since, **more})


def test_nothing_proven_for_too_long_is_told_once(verifying: Settings) -> None:
    world = late(verifying, 2.9)
    alarm = ("overdue", "--source", "db")
    assert world.until(NOON + timedelta(hours=2)) == []
    asked = world.until(NOON + timedelta(days=5))
    assert asked.count(alarm) == 1, "also where that could not be recorded"
    assert ("overdue", "--source", "uploads") not in asked
    proven = replace(world.state.sources[0].verification, unproven_since=world.now.timestamp())  # type: ignore[union-attr]
    world.state = State("shop", 0.0, (known("db", world.now, verification=proven),))
    world.loop.refresh()
    world.until(world.now + timedelta(minutes=2))
    assert world.until(world.now + timedelta(days=4)).count(alarm) == 1, "and anew after a proof"


def test_an_alarm_that_was_raised_or_that_nobody_wants_is_not(
    verifying: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(**more: object) -> bool:
        return ("overdue", "--source", "db") in late(verifying, 9, **more).until(NOON + timedelta(minutes=2))

    assert told()
    assert told(proven=None)
    assert not told(alarmed=True), "before a restart, or by another's loop"
    assert not told(max_age=0.0), "off, or not here"
    assert not told(unproven_since=None), "no backup yet"
    monkeypatch.setattr(loops, "verifies", lambda _settings: False)
    assert not told(proven=None), "auto, and nowhere"
    assert told(), "Docker is gone"


def test_what_was_never_tried_is_tried_before_anybody_is_alarmed(verifying: Settings) -> None:
    """Archives of ten years, on the day that killick comes."""
    since = (NOON - timedelta(days=3650)).timestamp()
    never = Verification(unproven_since=since, max_age=3 * DAY)
    world = World(verifying, known("db", NIGHT, verification=never), known("uploads", NIGHT, verification=never))
    world.loop.refresh()
    world.loop.look()
    assert [argv[0] for argv in world.asked] == ["verify", "verify", "overdue", "overdue"]


def test_prune_off_and_schedule_off(settings: Settings) -> None:
    world = World(load(ENVIRON | {"PRUNE": "off", "VERIFY_SCHEDULE": "off"}), known("db", None))
    world.loop.refresh()
    world.loop.look()
    assert world.asked == [("backup", "db")]
    silent = World(replace(settings, schedule=OFF), known("db", None))
    silent.loop.refresh()
    assert silent.until(NOON + timedelta(days=2)) == []


def test_a_child_that_was_killed_is_told_of(settings: Settings) -> None:
    world = World(settings, known("db", None))
    world.status = -9
    world.loop.refresh()
    world.loop.look()
    line = json.loads(world.out.getvalue().splitlines()[0])
    assert (line["event"], line["level"], line["verb"], line["signal"]) == ("killed", "error", "backup", 9)


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    """The library's jobs stand in local time: an hour ahead, after the night that repeats one."""
    looked: list[int] = []
    chores = Scheduler()
    chores.every(loops.LOOK).seconds.do(looked.append, 1)
    loops.turn(chores)
    assert looked == []
    chores.jobs[0].next_run += timedelta(hours=1)
    loops.turn(chores)
    assert looked == [1]
    assert (chores.idle_seconds or 0) <= loops.LOOK


def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A signal comes while a real child runs `script`."""

    def beat() -> None:
        if (tmp_path / "begun").exists():
            raise Stopped("stopped by SIGTERM")

    command = Command(("sh", "-c", f"cd {tmp_path}; {script}; touch begun; sleep 60 & wait; sleep 60"))
    monkeypatch.setattr(loops, "_killick", lambda argv: command)
    with pytest.raises(Stopped):
        loops.Processes(beat).do("backup")


def test_a_child_is_given_time_to_put_things_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with capfd.disabled():
        stopped(tmp_path, monkeypatch, "trap 'sleep 0.3; touch tidied; exit 0' TERM")
    assert (tmp_path / "tidied").exists()


def test_a_child_that_does_not_listen_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loops, "GRACE", 0.3)
    with capfd.disabled():
        stopped(tmp_path, monkeypatch, "trap '' TERM; echo $$ > pid")
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


def test_who_verifies() -> None:
    base = load(ENVIRON | {"VERIFY_IN": "process"})
    assert loops.verifies(base)
    assert not loops.verifies(load(ENVIRON | {"VERIFY_IN": "off"}))
    assert not loops.verifies(load(ENVIRON | {"VERIFY_SCHEDULE": "off"}))
    assert not loops.verifies(replace(base, recipients=("age1x",)))
    assert loops.verifies(replace(base, recipients=("age1x",), identity="AGE-SECRET-KEY-1"))


def test_auto_is_a_process_then_a_container_then_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container where somebody listens at Docker's socket. It is looked at anew each time."""
    auto, cure = load(ENVIRON), "VERIFY_IN=off, where a verifier does it"
    with TemporaryDirectory() as folder, socket(AF_UNIX) as docker:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/docker.sock")
        monkeypatch.setattr("killick.throwaway.process.installed", lambda _program: [Program((16, 0), Path())])
        assert (loops.verifies(auto), check_throwaway("auto")) == (True, Check("verification: in a process", True))
        monkeypatch.setattr("killick.throwaway.process.installed", lambda _program: [])
        assert not loops.verifies(auto)
        assert not check_throwaway("auto").ok
        assert cure in check_throwaway("auto").cure
        docker.bind(f"{folder}/docker.sock")
        docker.listen()
        assert (loops.verifies(auto), check_throwaway("auto")) == (True, Check("verification: in a container", True))
        assert not check_throwaway("process").ok
        assert check_throwaway("container").ok


def test_a_verification_stands_back() -> None:
    assert loops._killick(("verify", "latest")).nice == 10
    assert loops._killick(("backup",)).nice == 0


# Freshness


def test_fresh_until_its_schedule_allows_no_more() -> None:
    state = State("shop", 0.0, (known("db", NIGHT),))
    at = NIGHT.timestamp()
    assert judge(state, at + 36 * 3600)[0].fresh
    late = judge(state, at + 36 * 3600 + 1)[0]
    assert not late.fresh
    assert late.sentence == "db: the newest backup is 36 h old, and should not be older than 36 h"


def test_never_is_not_fresh_off_is_and_strangers_are_not_judged() -> None:
    failed = known("db", None, error={"kind": "unreachable", "message": "no route"})
    never, off = judge(
        State("shop", 0.0, (failed, replace(failed, source="b", interval=0.0), replace(failed, set=False))), 0.0
    )
    assert not never.fresh
    assert never.sentence == "db: there is no backup yet; the last attempt failed: no route"
    assert off.fresh


@given(st.floats(60, 366 * DAY))
def test_allowance_is_more_than_the_interval_and_bounded(interval: float) -> None:
    assert interval + 3600 <= allowed(interval) <= interval + 12 * 3600


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (DAY, "24 h"),
        (2 * DAY, "2 days"),
        (51 * 3600, "2 days 3 h"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


# The server


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read().decode()
    finally:
        connection.close()


def test_the_loop_lives_as_long_as_it_comes_by() -> None:
    now = 0.0
    board = Board(lambda: now)
    with serve(board, 0) as port:
        assert ask(port, "/healthz")[0] == 200
        now = Board.LATEST + 1
        assert ask(port, "/healthz")[0] == 503
        board.beat()
        assert ask(port, "/healthz")[0] == 200


def test_ready_when_every_source_is_fresh() -> None:
    board = Board()
    with serve(board, 0) as port:
        assert ask(port, "/readyz")[0] == 503
        board.state = State("shop", 0.0, (known("db", datetime.now(UTC)),))
        assert ask(port, "/readyz")[::2] == (200, "db: the newest backup is 0 min old\n")
        board.state = State(
            "shop", 0.0, (known("db", datetime.now(UTC)), known("uploads", NIGHT - timedelta(days=999)))
        )
        assert ask(port, "/readyz")[0] == 503
        assert ask(port, "/metrics")[2].count("killick_backup_last_success_timestamp_seconds{") == 2


def test_the_page_and_its_password() -> None:
    board = Board()
    board.state = State("<shop>", 0.0, (known("db", NIGHT, error={"kind": "busy", "message": "<script>"}),))
    with serve(board, 0, password="pä:ss") as port:
        status, headers, _ = ask(port, "/")
        assert status == 401
        assert "Basic" in headers["WWW-Authenticate"]
        for wrong in (
            "Basic x",
            "Basic " + b64encode(b"u:wrong").decode(),
            "Bearer " + b64encode("u:pä:ss".encode()).decode(),
        ):
            assert ask(port, "/", Authorization=wrong)[0] == 401
        right = "Basic " + b64encode("anyone:pä:ss".encode()).decode()
        status, headers, html = ask(port, "/", Authorization=right)
        assert status == 200
        assert "&lt;script&gt;" in html
        assert "<script>" not in html
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert ask(port, "/metrics")[0] == 200, "Prometheus knows no password"
        assert ask(port, "/x")[0] == 404
        assert ask(port, "/healthz", "HEAD")[2] == ""
        assert ask(port, "/", "POST")[0] == 501


def test_every_element_of_the_page_is_closed() -> None:
    html = overview([State("shop", 0.0, (known("db", NIGHT),))], NOON.timestamp())
    for tag in ("article", "div", "dl", "dt", "dd", "ul", "li", "svg", "span", "h1", "style"):
        opened = len(re.findall(rf"<{tag}[ >]", html))
        assert opened
        assert opened == html.count(f"</{tag}>")
    assert "http" not in html, "nothing comes from elsewhere"


def test_a_port_in_use_is_a_settings_error() -> None:
    with serve(Board(), 0) as port, pytest.raises(SettingsError, match=str(port)), serve(Board(), port):
        pass
