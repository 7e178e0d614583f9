"""Steps, shown and done."""

import pytest

from killick.plan import Plan, Step, timed
from killick.watch import Phases


def test_what_is_shown_is_what_is_done() -> None:
    done: list[str] = []
    plan = Plan.of(
        [
            timed("restore", "beside it", lambda _watch: done.append("restore")),
            Step("download", "first", lambda phases: done.append(f"{sorted(phases.seconds)}")),
        ]
    )
    assert plan.lines() == [" 1  restore   beside it", " 2  download  first"]
    assert done == []
    phases = Phases()
    plan.execute(phases)
    assert done == ["restore", "['restore']"]
    assert list(phases.seconds) == ["restore"]


def test_the_first_error_ends_it() -> None:
    def fails(_watch: object) -> None:
        raise ValueError

    plan = Plan.of([timed("one", "", fails), timed("two", "", lambda _watch: pytest.fail("it went on"))])
    phases = Phases()
    with pytest.raises(ValueError):  # whatever a step raises goes through
        plan.execute(phases)
    assert phases.current == "one"
