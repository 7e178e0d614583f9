"""kill -9 of the runner after every event of its journal, then `resume`: the same end, and nothing done twice."""

import json
from collections.abc import Callable

import pytest

from tests.end_to_end.moves.runner import Runner, moved
from tests.kit import wait_for
from tests.lab.two.load import Load

EVENTS = range(1, 90)  # a move of the lab's site has fewer


def killed_and_resumed(runner: Runner, when: Callable[[str], bool]) -> bool:
    """False where the move ended before that held of its journal."""
    with Load() as users:
        wait_for(lambda: len(users.ledger.promised) > 20)
        if not runner.killed(when):
            return False
        verified = _verified(runner)
        ran = runner.move("resume", "shop", "--yes", "shop")
        assert ran.code == 0 or "is over: done" in ran.err, ran.err
        again = {step for step in verified if _begun_after(runner, step)}
        assert not again, f"done before, and done again: {again}"
        after = len(users.ledger.promised)
        wait_for(lambda: len(users.ledger.promised) > after + 20)
    moved(runner, users.ledger)
    return True


def _journal(runner: Runner) -> list[dict[str, object]]:
    (path,) = runner.folder.rglob("journal.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def _verified(runner: Runner) -> set[str]:
    return {str(e["step"]) for e in _journal(runner) if e["event"] == "verified"}


def _begun_after(runner: Runner, step: str) -> bool:
    events = _journal(runner)
    verified = next(n for n, e in enumerate(events) if (e["event"], e.get("step")) == ("verified", step))
    return any((e["event"], e.get("step")) == ("begun", step) for e in events[verified:])


def test_behind_the_fence(runner: Runner) -> None:
    """One of them for every run of the tests: writes are refused, the dump is on its way."""
    assert killed_and_resumed(runner, lambda journal: '"event":"begun","step":"final"' in journal)


@pytest.mark.slow
@pytest.mark.parametrize("events", EVENTS)
def test_after_an_event(runner: Runner, events: int) -> None:
    if not killed_and_resumed(runner, lambda journal: journal.count("\n") >= events):
        pytest.skip(f"a move has fewer than {events} events")
