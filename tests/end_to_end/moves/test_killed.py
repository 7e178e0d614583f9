"""kill -9 of the runner, then `resume`: the same end, and nothing done twice."""

import json
from collections.abc import Callable
from signal import SIGKILL
from typing import Any

import pytest

from deploy.move import state
from tests.end_to_end.moves.runner import Runner, moved
from tests.kit import wait_for
from tests.lab.two import Lab
from tests.lab.two.load import Load

RUNS = "docker ps --quiet --filter name=shop-app"


def test_behind_the_fence(runner: Runner) -> None:
    """One of them for every run of the tests: writes are refused, the dump is on its way."""
    killed_and_resumed(runner, lambda journal: '"event":"begun","step":"final"' in journal)


MIDST: dict[str, tuple[str, Callable[[Lab], object]]] = {
    "the dump": ('"event":"begun","step":"final"', lambda lab: lab.on("old", "pgrep pg_dump", check=False)),
    "the restore": ('"key":"db.began"', lambda lab: lab.on("new", "pgrep pg_restore", check=False)),
    "the app's first start": ('"event":"begun","step":"start"', lambda lab: lab.on("new", RUNS)),
    "the opening": ('"event":"no-return"', lambda lab: True),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", MIDST)
def test_in_the_midst_of(runner: Runner, what: str) -> None:
    """While a server is at work for it: what it does there it does on."""
    event, at_work = MIDST[what]
    killed_and_resumed(runner, lambda journal: event in journal and bool(at_work(runner.lab)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_after_every_event(runner: Runner) -> None:
    """One move, whose runner dies after each event that it did not die after before: each resume gets further."""
    named = runner.folder / "died-after"
    named.touch()
    with Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 20)
        ran, verified = runner.dies(named, "run", "shop.toml", "--yes", "shop"), set[str]()
        while ran.code == -SIGKILL:
            before, verified = verified, _verified(runner)
            assert before <= verified, f"verified before, and not now: {before - verified}"
            ran = runner.dies(named, "resume", "shop", "--yes", "shop")
        after = len(users.ledger.promised)
        wait_for(lambda: len(users.ledger.promised) > after + 20)
    assert (ran.code, "is over: done" in ran.err) == (5, True), ran.out + ran.err
    died = named.read_text().splitlines()
    events = _journal(runner)
    print(f"died {len(died)} times; {len(events)} events")
    assert died[-1] == "closed"
    assert {f"{event} {step}" for event in ("begun", "verified") for step in _begun(events)} <= set(died)
    assert not (again := _twice(events)), f"done before, and done again: {again}"
    moved(runner, users.ledger)


def killed_and_resumed(runner: Runner, when: Callable[[str], bool]) -> None:
    with Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 20)
        assert runner.killed(when), "the move ended before"
        ran = runner.move("resume", "shop", "--yes", "shop")
        assert ran.code == 0, ran.out + ran.err
        after = len(users.ledger.promised)
        wait_for(lambda: len(users.ledger.promised) > after + 20)
    assert not (again := _twice(_journal(runner))), f"done before, and done again: {again}"
    moved(runner, users.ledger)


def _journal(runner: Runner) -> list[dict[str, Any]]:
    (path,) = runner.folder.rglob("journal.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def _verified(runner: Runner) -> set[str]:
    return {name for name, step in state.read(_journal(runner)).steps.items() if step.done}


def _begun(events: list[dict[str, Any]]) -> set[str]:
    return {event["step"] for event in events if event["event"] == "begun"}


def _twice(events: list[dict[str, Any]]) -> set[str]:
    """The steps that were begun after they had been verified."""
    verified, again = set[str](), set[str]()
    for event in events:
        if event["event"] == "verified":
            verified.add(event["step"])
        elif event["event"] == "begun" and event["step"] in verified:
            again.add(event["step"])
    return again
