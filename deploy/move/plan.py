"""What a move would do, how long it would last, and what stands in its way. Changes nothing anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from deploy.move import journal as journals
from deploy.move.spec import Spec
from deploy.move.state import REHEARSED, State
from deploy.move.step import Move, Step
from deploy.move.steps import (
    CLOCK,
    CUT,
    DECIDE,
    FENCE,
    FINAL,
    FREEZE,
    LAND,
    NAMES,
    ORDER,
    PRE_SYNC,
    PREPARE,
    PURGE,
    READ_ONLY,
    REHEARSE,
    RETIRE,
    START,
    SWITCH,
    called,
)  # fmt: skip
from deploy.move.steps import (
    step as of_name,
)
from killick.errors import KillickError, Refused

ASKED = ("site", "steps.freeze", "fences", "carry", "volumes", "traffic", "dns", "purge")
"""The modules that know of things in the way, each by its `in_the_way`."""

_USUAL = {
    FREEZE: 1.0, DECIDE: 0.0, READ_ONLY: 1.5, FENCE: 2.5, CUT: 0.5, SWITCH: 1.0, NAMES: 2.0, RETIRE: 2.0, PURGE: 1.0,
}  # fmt: skip
"""Seconds of what is round trips and no data, and is not rehearsed: guesses, for servers that are near each other."""
_PHASES = {FINAL: ("dump",), LAND: ("copy", "restore", "compare"), START: ("start",)}
"""What a rehearsal measures of them."""


@dataclass(frozen=True)
class Prediction:
    """`seconds` of each step by its name, where they are known. `rehearsal` is the id of the one that told them."""

    rehearsal: str
    seconds: Mapping[str, float]

    @property
    def downtime(self) -> float:
        """How long writes are refused, while nobody hesitates."""
        first, last = (ORDER.index(name) for name in CLOCK)
        return round(sum(self.seconds.get(called(name), 0.0) for name in ORDER[first : last + 1]), 1)


@dataclass(frozen=True)
class Plan:
    site: str
    steps: tuple[tuple[str, str], ...]
    prediction: Prediction | None
    in_the_way: tuple[str, ...]

    def lines(self) -> list[str]:
        width = max(len(name) for name, _ in self.steps)
        seconds = self.prediction.seconds if self.prediction else {}
        told = [f"{seconds[name]:6.1f} s" if name in seconds else "       -" for name, _ in self.steps]
        lines = [
            f"{number:>2}  {name.ljust(width)}  {took}  {says}"
            for number, ((name, says), took) in enumerate(zip(self.steps, told, strict=True), 1)
        ]
        return [*lines, self.downtime(), *(f"in the way: {sentence}" for sentence in self.in_the_way)]

    def downtime(self) -> str:
        if self.prediction is None:
            return "How long writes would be refused is not known: killick move rehearse measures it."
        return (
            f"Writes would be refused for about {self.prediction.downtime:.0f} s, from {called(CLOCK[0])} until "
            f"{called(CLOCK[1])}, as rehearsed at {self.prediction.rehearsal}."
        )

    def to_json(self) -> dict[str, Any]:
        seconds = self.prediction.seconds if self.prediction else {}
        return {
            "site": self.site,
            "steps": [{"name": name, "says": says, "seconds": seconds.get(name)} for name, says in self.steps],
            "downtime": self.prediction.downtime if self.prediction else None,
            "rehearsal": self.prediction.rehearsal if self.prediction else None,
            "in_the_way": list(self.in_the_way),
        }


def make(move: Move, names: tuple[str, ...] = ORDER) -> Plan:
    """Asks both servers, the proxy and the names; raises nothing that they say, but tells it."""
    prediction = predicted(move.spec)
    steps = tuple((step.name, step.says(move)) for step in map(of_name, names))
    return Plan(
        move.spec.site,
        steps,
        prediction,
        tuple(dict.fromkeys([*_in_the_way(move), *_too_long(move.spec, prediction, names)])),
    )


def steps_of(names: tuple[str, ...]) -> list[Step]:
    return [of_name(name) for name in names]


def may_run(spec: Spec) -> None:
    """Raises Refused for production that was not rehearsed as the spec stands now."""
    if spec.environment == "prod" and predicted(spec) is None:
        raise Refused(
            f"{spec.site} is production, and no rehearsal of this very spec went through",
            "killick move rehearse SPEC: it changes nothing that serves",
        )


def predicted(spec: Spec) -> Prediction | None:
    """From the newest rehearsal of the same spec that went through; None without one."""
    states = [journals.look(path).state for path in journals.paths(spec.site)]
    green = [s for s in states if s.rehearsal and s.outcome == REHEARSED and s.digest == spec.digest]
    return Prediction(green[-1].id, _seconds(green[-1])) if green else None


def _seconds(rehearsal: State) -> dict[str, float]:
    kept = {(step, key): value for step, key, value in rehearsal.kept}
    phases = kept.get((called(REHEARSE), "seconds")) or {}
    seconds = dict(_USUAL)
    for name, parts in _PHASES.items():
        seconds[name] = sum(float(phases.get(part, 0.0)) for part in parts)
    for name in (PREPARE, PRE_SYNC):
        seconds[name] = rehearsal.step(called(name)).seconds
    return {called(name): round(took, 1) for name, took in seconds.items()}


def _in_the_way(move: Move) -> Iterator[str]:
    for name in ASKED:
        try:
            yield from import_module(f"deploy.move.{name}").in_the_way(move)
        except (KillickError, TimeoutError) as error:
            yield str(error)


def _too_long(spec: Spec, prediction: Prediction | None, names: tuple[str, ...]) -> Iterator[str]:
    """A rehearsal may be as long as it likes."""
    if prediction and set(CLOCK) <= set(names) and prediction.downtime > spec.limit:
        yield (
            f"writes would be refused for about {prediction.downtime:.0f} s, and `limit` is {spec.limit:g} s "
            "(move at an hour when that may be, and raise it; docs/move.md tells what makes it shorter)"
        )
