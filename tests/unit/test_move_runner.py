"""A move's walk over toy steps, whose servers are one file: killed after every event, failing everywhere."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.move import journal as journals
from deploy.move import state as states
from deploy.move.journal import Journal
from deploy.move.runner import STOPPED, Ending, Runner
from deploy.move.state import DONE, OPEN, REHEARSED, ROLLED_BACK, clock
from killick.errors import KillickError, Refused, Stopped
from killick.watch import Watch
from tests.kit import wait_for

NAMES = ("freeze", "read-only", "final", "switch", "names")
STANDING = {"freeze": "names", "read-only": "switch"}


class Servers:
    """What is so, and every act that was done, in a file: it outlives the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            self.save({"so": [], "did": []})

    def look(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.path.read_text())
        return found

    def save(self, state: dict[str, Any]) -> None:
        self.path.with_suffix(".part").write_text(json.dumps(state))
        self.path.with_suffix(".part").replace(self.path)

    def is_read_only(self) -> bool:
        return "writes" not in self.look()["so"]


@dataclass
class Toy:
    name: str
    servers: Servers
    fails: dict[str, BaseException | type[BaseException]] = field(default_factory=dict)
    opens: bool = False

    def says(self, move: Any) -> str:
        return self.name

    def probe(self, move: Any) -> bool:
        self._may("probe")
        return self.name in self.servers.look()["so"]

    def act(self, move: Any, watch: Watch) -> None:
        state = self.servers.look()
        state["did"].append(self.name)
        self.servers.save(state)
        move.journal.keep(self.name, "before", "it was not so")
        self._may("half")
        state["so"] = sorted({*state["so"], self.name})
        self.servers.save(state)
        self._may("act")

    def verify(self, move: Any) -> str:
        self._may("verify")
        if self.name not in self.servers.look()["so"]:
            raise KillickError(f"{self.name} is not so", "see why")
        return f"{self.name} is so"

    def undo(self, move: Any) -> None:
        self._may("undo")
        state = self.servers.look()
        assert move.journal.kept(self.name, "before") or self.name not in state["did"]
        state["so"] = [name for name in state["so"] if name != self.name]
        state["did"].append(f"un-{self.name}")
        self.servers.save(state)

    def _may(self, where: str) -> None:
        if where in self.fails:
            raise self.fails[where]


@dataclass
class World:
    folder: Path
    journal: Journal
    servers: Servers
    steps: list[Toy]
    wrong: Sequence[str] = ()

    def runner(self) -> Runner:
        spec = SimpleNamespace(site="shop")
        move = SimpleNamespace(id="1", spec=spec, journal=self.journal, traffic=self.servers)
        return Runner(move, self.steps, serving=lambda: self.wrong, standing=STANDING)  # type: ignore[arg-type]

    def forward(self) -> Ending:
        return self.runner().forward()

    def again(self) -> "World":
        assert self.journal.path
        journal = journals.take_up(self.journal.path)
        journal.write("resumed")
        return World(self.folder, journal, self.servers, self.steps)

    def step(self, name: str) -> Toy:
        return next(step for step in self.steps if step.name == name)

    @property
    def so(self) -> list[str]:
        found: list[str] = self.servers.look()["so"]
        return found

    @property
    def did(self) -> list[str]:
        found: list[str] = self.servers.look()["did"]
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return made(tmp_path)


def made(folder: Path, *, rehearsal: bool = False) -> World:
    servers = Servers(folder / "servers.json")
    journal = journals.create("shop", "1", digest="d", rehearsal=rehearsal)
    return World(folder, journal, servers, [Toy(name, servers) for name in NAMES])


def test_in_order_and_then_done(world: World) -> None:
    assert world.forward() == Ending(DONE)
    assert world.did == list(NAMES)
    state = world.journal.state
    assert state.outcome == DONE and state.no_return and not state.left
    assert [step.says for step in state.steps.values()] == [f"{name} is so" for name in NAMES]
    order = [(e["event"], e["step"]) for e in world.journal.events if e["event"] in ("begun", "acted", "verified")]
    assert order == [(event, name) for name in NAMES for event in ("begun", "acted", "verified")]


def test_the_clock_runs_from_read_only_until_writes_are_open(world: World) -> None:
    assert clock(world.journal.state, "read-only", "switch") is None
    world.forward()
    at = {(e["event"], e.get("step")): e["at"] for e in world.journal.events}
    assert clock(world.journal.state, "read-only", "switch") == (at["begun", "read-only"], at["verified", "switch"])


def test_what_is_so_already_is_not_done_and_not_undone(world: World) -> None:
    world.servers.save({"so": ["freeze"], "did": []})
    world.step("final").fails["act"] = KillickError("no room", "make some")
    ending = world.forward()
    assert ending.outcome == ROLLED_BACK
    assert world.did == ["read-only", "final", "un-final", "un-read-only"]
    assert world.so == ["freeze"]


@pytest.mark.parametrize("where", ["probe", "half", "act", "verify"])
@pytest.mark.parametrize("name", NAMES[:3])
def test_a_failure_before_the_point_of_no_return_takes_all_back(world: World, name: str, where: str) -> None:
    world.step(name).fails[where] = KillickError("no", "do this")
    ending = world.forward()
    assert (ending.outcome, str(ending.error), ending.left) == (ROLLED_BACK, "no (do this)", ())
    assert world.so == []
    begun = NAMES[: NAMES.index(name) + (where != "probe")]
    assert world.did == [*begun, *(f"un-{each}" for each in reversed(begun))]
    state = world.journal.state
    assert (state.outcome, state.stopped) == (ROLLED_BACK, "no")


@pytest.mark.parametrize("where", ["probe", "half", "act", "verify"])
def test_a_failure_after_it_stops_and_resume_goes_on(world: World, where: str) -> None:
    world.step("names").fails[where] = TimeoutError("the API gave no answer")
    ending = world.forward()
    assert (ending.outcome, ending.error and ending.error.message) == (STOPPED, "the API gave no answer")
    assert not [did for did in world.did if did.startswith("un-")]
    assert world.journal.state.open
    with pytest.raises(Refused, match="may have taken writes"):
        world.again().runner().back()
    world.step("names").fails.clear()
    assert world.again().forward() == Ending(DONE)
    assert world.so == sorted(NAMES)


def test_in_the_switch_itself_the_servers_decide(world: World) -> None:
    """Nothing was opened: back. Something may have been: stop."""
    world.step("switch").fails["half"] = KillickError("the socket is gone")
    assert world.forward().outcome == ROLLED_BACK
    assert world.so == []


def test_a_switch_that_opened_a_part_is_not_taken_back(world: World) -> None:
    world.servers.save({"so": ["writes"], "did": []})
    world.step("switch").fails["half"] = KillickError("the forwarder is gone")
    assert world.forward().outcome == STOPPED
    assert "read-only" in world.so


def test_a_switch_whose_parts_cannot_be_asked_is_not_taken_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> bool:
        raise KillickError("not reached")

    monkeypatch.setattr(world.servers, "is_read_only", unknown)
    world.step("switch").fails["half"] = KillickError("not reached")
    assert world.forward().outcome == STOPPED


def test_a_signal_while_the_parts_are_asked_is_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They refuse writes, all of them: old shall serve again, and a Ctrl-C does not keep it from that."""
    asked = iter([Stopped("stopped by SIGINT"), None])

    def disturbed() -> bool:
        if error := next(asked):
            raise error
        return True

    monkeypatch.setattr(world.servers, "is_read_only", disturbed)
    world.step("switch").fails["half"] = KillickError("the socket is gone")
    ending = world.forward()
    assert (ending.outcome, ending.error and ending.error.message) == (ROLLED_BACK, "the socket is gone")
    assert world.so == []


def test_a_switch_that_said_so_is_not_taken_back_though_writes_are_refused_again(world: World) -> None:
    switch = world.step("switch")

    def act(move: Any, watch: Watch) -> None:
        move.journal.no_return("switch")
        raise KillickError("it was opened, failed, and was closed again")

    switch.act = act  # type: ignore[method-assign]
    assert world.forward().outcome == STOPPED


@pytest.mark.parametrize("error", [Stopped("stopped by SIGTERM"), ZeroDivisionError("S3CRET")])
def test_whatever_ends_it(world: World, error: Any) -> None:
    world.step("final").fails["act"] = error
    ending = world.forward()
    assert ending.outcome == ROLLED_BACK and world.so == []
    assert world.journal.path and "S3CRET" not in world.journal.path.read_text()


def test_an_undo_that_fails_leaves_the_others_undone(world: World) -> None:
    world.step("final").fails["act"] = KillickError("no room")
    world.step("read-only").fails["undo"] = KillickError("the proxy is gone", "open it by hand")
    ending = world.forward()
    assert ending.outcome == STOPPED
    assert [(name, str(error)) for name, error in ending.left] == [("read-only", "the proxy is gone (open it by hand)")]
    assert world.so == ["read-only"]
    state = world.journal.state
    assert state.open and [step.name for step in state.left] == ["read-only"]
    world.step("read-only").fails.clear()
    assert world.again().forward().outcome == ROLLED_BACK
    assert world.so == [] and world.did.count("un-final") == 1


def test_rolled_back_is_told_only_when_old_serves(world: World) -> None:
    world.step("final").fails["act"] = KillickError("no room")
    world.wrong = ["the edge refuses writes"]
    ending = world.forward()
    assert ending.outcome == STOPPED
    assert [(name, error.message) for name, error in ending.left] == [("serving", "the edge refuses writes")]
    assert world.again().forward().outcome == ROLLED_BACK


def test_a_signal_in_the_middle_of_the_way_back_does_not_end_it(world: World) -> None:
    world.step("final").fails["act"] = KillickError("no room")
    undo, seen = world.step("read-only").undo, []

    def disturbed(move: Any) -> None:
        seen.append(1)
        if len(seen) == 1:
            raise Stopped("stopped by SIGTERM")
        undo(move)

    world.step("read-only").undo = disturbed  # type: ignore[method-assign]
    assert world.forward().outcome == ROLLED_BACK
    assert world.so == []


def test_what_has_to_hold_on_is_mended_and_what_is_past_is_not_repeated(world: World) -> None:
    world.step("names").fails["act"] = KillickError("no")
    world.step("final").fails["verify"] = SystemExit("as if killed")
    runner = world.runner()
    with pytest.raises(SystemExit):
        runner._forward()
    world.step("final").fails.clear()
    world.servers.save({"so": [n for n in world.so if n not in ("read-only", "final")], "did": []})
    world.step("names").fails.clear()
    assert world.again().forward().outcome == DONE
    assert world.did == ["read-only", "final", "switch", "names"]


def test_a_full_disk_does_not_keep_the_old_server_from_serving(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    full = world.step("final")

    def act(move: Any, watch: Watch) -> None:
        monkeypatch.setattr(journals, "_append", _full)
        raise KillickError("no room")

    full.act = act  # type: ignore[method-assign]
    assert world.forward().outcome == ROLLED_BACK
    assert world.so == []


def _full(path: Path, data: bytes) -> None:
    raise OSError(28, "No space left on device")


def test_nothing_is_done_that_could_not_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "_append", _full)
    ending = world.forward()
    assert ending.error and "No space left" in ending.error.message
    assert world.did == []


def test_a_rehearsal_is_taken_back_and_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    world = made(tmp_path, rehearsal=True)
    world.steps = world.steps[:3]
    assert world.forward() == Ending(REHEARSED)
    assert world.so == [] and world.journal.state.green


def test_a_rehearsal_that_fails_is_not_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    world = made(tmp_path, rehearsal=True)
    world.steps = world.steps[:3]
    world.steps[2].fails["verify"] = KillickError("checksums differ")
    assert world.forward().outcome == ROLLED_BACK
    assert world.so == [] and not world.journal.state.green


# Killed after every event. Each walk is a process of its own, forked from one that has everything loaded.


_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


def child(folder: Path, kill: int, fails: str) -> int:
    """Begins a move, or resumes it, in a process that dies of SIGKILL after event number `kill`; its exit status."""
    process = _processes.Process(target=walk, args=(folder, kill, fails))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL)
    status = process.exitcode
    process.close()
    return status


def walk(folder: Path, kill: int, fails: str) -> None:
    os.environ["XDG_STATE_HOME"] = str(folder)
    append, count = journals._append, 0

    def counted(path: Path, data: bytes) -> None:
        nonlocal count
        append(path, data)
        count += 1
        if count == kill:
            os.kill(os.getpid(), signal.SIGKILL)

    journals._append = counted
    servers = Servers(folder / "servers.json")
    steps = [Toy(name, servers) for name in NAMES]
    if fails:
        next(step for step in steps if step.name == fails).fails["act"] = KillickError("no")
    found = journals.paths("shop")
    if found:
        journal = journals.take_up(found[-1])
        if not journal.state.open:
            return
        journal.write("resumed")
    else:
        journal = journals.create("shop", "1", digest="d")
    World(folder, journal, servers, steps).forward()


@pytest.mark.parametrize(
    ("fails", "outcome"), [("", DONE), ("final", ROLLED_BACK), ("switch", ROLLED_BACK), ("names", OPEN)]
)
def test_killed_after_every_event_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str, outcome: str
) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    child(whole, 0, fails)
    ends = _end(whole, monkeypatch)
    events = ends[1]
    assert ends[0][0] == outcome and len(events) > 12
    for kill in range(1, len(events) + 1):
        folder = tmp_path / str(kill)
        folder.mkdir()
        assert child(folder, kill, fails) == -signal.SIGKILL
        before = Servers(folder / "servers.json").look()["did"]
        state = _state(folder, monkeypatch)
        child(folder, 0, fails)
        if kill == len(events):  # nothing was cut off: it is resumed as the whole walk is
            child(whole, 0, fails)
            ends = _end(whole, monkeypatch)
        assert _end(folder, monkeypatch)[0] == ends[0], f"killed after event {kill}, {events[kill - 1]}"
        acts = Servers(folder / "servers.json").look()["did"][len(before) :]
        verified = {name for name, step in state.steps.items() if step.done}
        assert not verified & set(acts), f"done again after event {kill}, {events[kill - 1]}"
        assert len(acts) <= 2 * len(NAMES) - len(verified)


WAITS = """
import sys, time
from pathlib import Path
from deploy.move import journal as journals
from killick.cli import _signals
from tests.unit.test_move_runner import Servers, Toy, World, NAMES

folder = Path(sys.argv[1])
servers = Servers(folder / "servers.json")
steps = [Toy(name, servers) for name in NAMES]
where = next(s for s in steps if s.name == sys.argv[2])
act = where.act
def waits(move, watch):
    act(move, watch)
    (folder / "waits").touch()
    while True:  # a signal that comes just before one long sleep would be seen after it
        time.sleep(0.1)
where.act = waits
with _signals():
    ending = World(folder, journals.create("shop", "1"), servers, steps).forward()
print(ending.outcome, ending.error, sep="\\n")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("name", "outcome"), [("final", ROLLED_BACK), ("names", STOPPED)])
def test_a_signal_is_a_failure_like_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, name: str, outcome: str
) -> None:
    root = Path(__file__).parents[2]
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, str(tmp_path), name], env=environ, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        wait_for((tmp_path / "waits").exists)
        process.send_signal(number)
        said, _ = process.communicate(timeout=240)  # a dozen events, each written through to a disk that may be busy
    assert said.splitlines() == [outcome, f"stopped by {number.name}"]
    assert Servers(tmp_path / "servers.json").look()["so"] == ([] if outcome == ROLLED_BACK else sorted(NAMES))
    assert _state(tmp_path, monkeypatch).open is (outcome == STOPPED)


def _state(folder: Path, monkeypatch: pytest.MonkeyPatch) -> states.State:
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return journals.look(journals.paths("shop")[-1]).state


def _end(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Any]]:
    """What has to be the same, and the events."""
    state = _state(folder, monkeypatch)
    events = journals.look(journals.paths("shop")[-1]).events
    statuses = {name: (step.status, step.touched) for name, step in state.steps.items()}
    return (state.outcome, state.no_return, statuses, Servers(folder / "servers.json").look()["so"]), events


def test_clocks_of_a_way_back(world: World) -> None:
    world.step("final").fails["act"] = KillickError("no")
    world.forward()
    at = {(e["event"], e.get("step")): e["at"] for e in world.journal.events}
    assert clock(world.journal.state, "read-only", "switch") == (at["begun", "read-only"], at["undone", "read-only"])
