"""Steps that are shown before they are done: what `--dry-run` prints is what a run executes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from killick.watch import Phases, Watch

Act = Callable[[Phases], None]


@dataclass(frozen=True)
class Step:
    """`name` is the phase that its seconds are told under, `says` what it does, to a person.

    `act` is given the phases to time itself by: a step may be several of them (download, check).
    """

    name: str
    says: str
    act: Act


def timed(name: str, says: str, act: Callable[[Watch], object]) -> Step:
    """A step that is one phase."""

    def within(phases: Phases) -> None:
        with phases.phase(name) as watch:
            act(watch)

    return Step(name, says, within)


@dataclass(frozen=True)
class Plan:
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, steps: Iterable[Step]) -> Plan:
        return cls(tuple(steps))

    def lines(self) -> list[str]:
        """A numbered line for each."""
        width = max((len(step.name) for step in self.steps), default=0)
        return [f"{number:>2}  {step.name.ljust(width)}  {step.says}" for number, step in enumerate(self.steps, 1)]

    def execute(self, phases: Phases) -> None:
        """In order; the first error ends it."""
        for step in self.steps:
            step.act(phases)
