"""`killick move` between two servers, while the site is used: to the end, taken back, killed, and only looked at."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.move.prober import Prober
from deploy.move.spec import load
from deploy.move.windows import windows
from tests.kit import Ran, wait_for
from tests.lab import docker
from tests.lab.two import ADDRESS, NAME, PASSWORD, SITE, Lab, scripted
from tests.lab.two.load import Compared, Ledger, Load, compare

SPEC = docker.ROOT / "tests/lab/two/shop.toml"
AGREE = 0.25  # seconds that two probers may differ
STAYS = ("old: access", "old: roles", "edge: map", "edge: servers")
"""What a rollback puts back by the letter; containers were stopped and started meanwhile."""


@dataclass(frozen=True)
class Runner:
    """Where a move is run from: a folder for its spec and journals, the lab's ssh and names."""

    lab: Lab
    folder: Path

    def move(self, *argv: str) -> Ran:
        done = subprocess.run(self._argv(*argv), **self._how(), timeout=400)  # type: ignore[call-overload]
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        assert PASSWORD not in done.stdout + done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def run(self, *argv: str) -> Ran:
        return self.move("run", "shop.toml", "--yes", "shop", *argv)

    def killed_after(self, events: int) -> bool:
        """Whether a move was killed, once its journal had so many lines; False where it ended before."""
        with self._running() as process:
            killed = self._seen(process, lambda journal: journal.count("\n") >= events)
            if killed:
                process.kill()
        return killed

    def interrupted_in(self, step: str) -> None:
        """Ctrl-C once that step was begun, and its end awaited."""
        with self._running() as process:
            assert self._seen(process, lambda journal: f'"begun","step":"{step}"' in journal), process.stderr
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=300)

    def meanwhile(self, step: str, do: Callable[[], object]) -> Ran:
        """A move, with something that happens once that step was begun."""
        with self._running() as process:
            assert self._seen(process, lambda journal: f'"begun","step":"{step}"' in journal)
            do()
            out, err = process.communicate(timeout=300)
        return Ran(process.returncode, out, err)

    def _running(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(self._argv("run", "shop.toml", "--yes", "shop"), **self._how())  # type: ignore[call-overload, no-any-return]

    def _seen(self, process: "subprocess.Popen[str]", true: Callable[[str], bool]) -> bool:
        """Waits for something to stand in the journal; False where the move ended before."""
        while process.poll() is None:
            if true("".join(path.read_text() for path in self.folder.rglob("journal.jsonl"))):
                return True
            time.sleep(0.01)
        return False

    def report(self) -> dict[str, object]:
        found: dict[str, object] = self.move("report", "shop", "--json").json
        return found

    def kept(self) -> str:
        """All that a runner left on its machine."""
        return "".join(path.read_text() for path in self.folder.rglob("*") if path.is_file())

    def _argv(self, *argv: str) -> list[str | Path]:
        return self.lab.words(sys.executable, "-m", "killick", "move", *argv)

    def _how(self) -> dict[str, object]:
        bare = {"HOME": os.environ["HOME"], "XDG_STATE_HOME": str(self.folder), "PYTHONPATH": str(docker.ROOT)}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return {"env": {**bare, **self.lab.environment()}, "cwd": self.folder, "start_new_session": True, **pipes}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as made:
        yield made


@pytest.fixture
def runner(lab: Lab, tmp_path: Path) -> Runner:
    """A stage's spec: it may move without a rehearsal."""
    lab.fresh()
    (tmp_path / "shop.toml").write_text(SPEC.read_text().replace('environment = "prod"', 'environment = "stage"'))
    return Runner(lab, tmp_path)


def moved(runner: Runner, ledger: Ledger) -> None:
    """The end of a move: nothing lost, doubled or late, no secret in the open, and old stays down."""
    lab = runner.lab
    assert lab.ask("edge") == lab.ask("old") == (200, "new")
    assert lab.on("old", "docker ps --quiet") == ""
    lab.compose("old", "start db")
    wait_for(lambda: "accepting" in lab.compose("old", "exec -T db pg_isready -h 127.0.0.1", check=False))
    compared = compare(ledger, scripted.canaries(lab, "old"), scripted.canaries(lab, "new"))
    assert compared == Compared([], [], []), ledger.answers
    assert lab.compose("new", "exec -T app cat /uploads/first.txt") == "made by the app's first start\n"
    assert PASSWORD not in runner.kept()


def on_old(runner: Runner, ledger: Ledger) -> None:
    """The end of a rollback: old serves, takes writes, and has all that it promised."""
    lab = runner.lab
    assert lab.ask("edge") == lab.ask("old") == (200, "old")
    assert lab.status("edge", method="POST", path="/canary?id=after") == 201
    assert lab.status("old", method="POST", path="/canary?id=after-too") == 201
    assert set(ledger.promised) <= set(scripted.canaries(lab, "old"))


def test_a_move_under_load(runner: Runner) -> None:
    """As production has to: rehearsed first. The report agrees with whoever looked on from outside."""
    (runner.folder / "shop.toml").write_text(SPEC.read_text())
    unrehearsed = runner.run()
    assert unrehearsed.code == 5, unrehearsed.err
    rehearsed = runner.move("rehearse", "shop.toml")
    assert rehearsed.code == 0, rehearsed.err
    outside = Prober({"public": (ADDRESS["edge"], NAME), "old": (ADDRESS["old"], NAME)}, load(SPEC).check)
    with outside, Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 50)
        ran = runner.run()
        after = len(users.ledger.promised)
        assert ran.code == 0, ran.err
        wait_for(lambda: len(users.ledger.promised) > after + 50)
    moved(runner, users.ledger)
    assert users.ledger.answers["POST 503"] > 0
    seen, told = windows(outside.samples()), runner.move("report", "shop", "--json").json["windows"]
    for name, window in (("write_unavailable", seen.write_unavailable), ("read_unavailable", seen.read_unavailable)):
        assert abs(told[name]["seconds"] - window.seconds) < AGREE, (name, told, window)
    assert seen.write_unavailable.seconds > 0
    assert seen.mixed.seconds < 1
    assert told["mixed"]["seconds"] < 1


@pytest.mark.parametrize("argv", [("plan", "shop.toml"), ("run", "shop.toml", "--dry-run")])
def test_what_only_looks_changes_nothing(runner: Runner, argv: Sequence[str]) -> None:
    before = runner.lab.state()
    ran = runner.move(*argv)
    assert ran.code == 0, ran.out + ran.err
    assert runner.lab.state() == before


def test_a_step_that_fails_is_taken_back(runner: Runner) -> None:
    """The new code crashes on the new server, late: everything before it has to be undone."""
    before = runner.lab.state()
    runner.lab.on("new", f"echo 'raise SystemExit(3)' >{SITE}/app.py")
    with Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 20)
        ran = runner.run()
        assert ran.code == 1, ran.err
        after = len(users.ledger.promised)
        wait_for(lambda: len(users.ledger.promised) > after + 50)
    on_old(runner, users.ledger)
    now = runner.lab.state()
    assert {key: now[key] for key in STAYS} == {key: before[key] for key in STAYS}
    assert runner.report()["outcome"] == "rolled back"


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(20))
def test_move_after_move(runner: Runner, turn: int) -> None:
    with Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 20)
        ran = runner.run()
        assert ran.code == 0, ran.err
        after = len(users.ledger.promised)
        wait_for(lambda: len(users.ledger.promised) > after + 20)
    moved(runner, users.ledger)


@pytest.mark.slow
@pytest.mark.parametrize("events", range(1, 90))
def test_killed_after_an_event_and_resumed(runner: Runner, events: int) -> None:
    with Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 20)
        if not runner.killed_after(events):
            pytest.skip(f"a move has fewer than {events} events")
        ran = runner.move("resume", "shop", "--yes", "shop")
        assert ran.code == 0 or "is over: done" in ran.err, ran.err
        after = len(users.ledger.promised)
        wait_for(lambda: len(users.ledger.promised) > after + 20)
    moved(runner, users.ledger)


BEFORE = ("prepare", "pre-sync", "read-only", "fence", "final", "land", "start")


@pytest.mark.slow
@pytest.mark.parametrize("step", BEFORE)
def test_interrupted_in_a_step(runner: Runner, step: str) -> None:
    """Ctrl-C, wherever it stands: the old server serves, and has everything."""
    before = runner.lab.state()
    with Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 20)
        runner.interrupted_in(step)
        after = len(users.ledger.promised)
        wait_for(lambda: len(users.ledger.promised) > after + 20)
    on_old(runner, users.ledger)
    assert runner.report()["outcome"] == "rolled back"
    now = runner.lab.state()
    assert {key: now[key] for key in STAYS} == {key: before[key] for key in STAYS}


@pytest.mark.slow
def test_a_transaction_that_was_prepared_after_the_plan(runner: Runner) -> None:
    """It would be committed behind the fence: the fence is not taken for one, and old serves on."""
    lab = runner.lab
    lab.sql("old", "ALTER SYSTEM SET max_prepared_transactions = 4")
    lab.compose("old", "restart db")
    wait_for(lambda: lab.status("edge") == 200)
    prepare = "BEGIN; INSERT INTO canary (id, host) VALUES ('prepared', 'old'); PREPARE TRANSACTION 'late'"
    ran = runner.meanwhile("read-only", lambda: lab.sql("old", prepare))
    assert ran.code == 1, ran.err
    assert "prepared" in ran.err
    lab.sql("old", "ROLLBACK PREPARED 'late'")
    on_old(runner, Ledger())
