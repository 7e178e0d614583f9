"""What a journal's events say: how far each step is, and how the move stands. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Event = Mapping[str, Any]

FOUND, BEGUN, ACTED, VERIFIED, FAILED = "satisfied", "begun", "acted", "verified", "failed"
UNDOING, UNDONE, LEFT = "undoing", "undone", "left"
_STEPS = (FOUND, BEGUN, ACTED, VERIFIED, FAILED, UNDOING, UNDONE, LEFT)

OPEN, DONE, ROLLED_BACK, REHEARSED = "open", "done", "rolled back", "rehearsed"


@dataclass
class StepState:
    """`status` is the last event about it; `touched` whether it may have changed anything that is not undone.

    `began` and `ended` are Unix seconds, 0 before; `seconds` of its runs together, those that failed too.
    """

    name: str
    status: str = ""
    touched: bool = False
    began: float = 0.0
    ended: float = 0.0
    seconds: float = 0.0
    says: str = ""
    error: str = ""
    hint: str = ""

    @property
    def done(self) -> bool:
        return self.status == VERIFIED


@dataclass
class State:
    """`outcome` is open, done, rolled back or rehearsed. `back`: it is on its way back; `no_return`: writes
    may have reached the new server; `green`: a rehearsal went through. `stopped` is what made the last runner end,
    "" while none did. `windows` and `plan` are documents, as `outside` and `plan` wrote them."""

    id: str = ""
    site: str = ""
    digest: str = ""
    rehearsal: bool = False
    began: float = 0.0
    last: float = 0.0
    outcome: str = OPEN
    back: bool = False
    no_return: bool = False
    green: bool = False
    stopped: str = ""
    steps: dict[str, StepState] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    kept: list[tuple[str, str, Any]] = field(default_factory=list)
    windows: Mapping[str, Any] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)

    def step(self, name: str) -> StepState:
        return self.steps.get(name) or StepState(name)

    @property
    def open(self) -> bool:
        return self.outcome == OPEN

    @property
    def left(self) -> list[StepState]:
        """Steps whose undo failed: what remains by hand."""
        return [step for step in self.steps.values() if step.status == LEFT]


def read(events: Sequence[Event]) -> State:
    state = State()
    for event in events:
        take(state, event)
    return state


def clock(state: State, first: str, last: str) -> tuple[float, float | None] | None:
    """From the begin of step `first` until `last` was done (or `first` undone); the end is None while it runs, and the
    whole None before it. Unix seconds."""
    start, end = state.step(first), state.step(last)
    if not start.began:
        return None
    if start.status == UNDONE:
        return start.began, start.ended
    return start.began, end.ended if end.done else None


def take(state: State, event: Event) -> None:
    """Raises LookupError or TypeError for one that lacks what it has to tell."""
    name = str(event["event"])
    state.last = float(event["at"])
    if name in _STEPS:
        _step(state.steps.setdefault(event["step"], StepState(event["step"])), event)
        if name == FAILED:
            state.stopped = event["error"]
            state.back = state.back or bool(event.get("back"))
    elif name == "opened":
        state.id, state.site, state.digest = event["id"], event["site"], event.get("digest", "")
        state.rehearsal, state.began = bool(event.get("rehearsal")), event["at"]
        state.plan = event.get("plan") or {}
    elif name == "no-return":
        state.no_return = True
    elif name == "green":
        state.green = True
    elif name == "back":
        state.back = True
    elif name == "resumed":
        state.stopped = ""
    elif name == "closed":
        state.outcome = event["outcome"]
    elif name == "noted":
        state.notes.append((event["step"], event["what"]))
    elif name == "kept":
        state.kept.append((event["step"], event["key"], event["value"]))
    elif name == "windows":
        state.windows = event["windows"]


def _step(step: StepState, event: Event) -> None:
    name, at = event["event"], event["at"]
    step.status = name
    if name == BEGUN:
        step.touched = True
        step.began = step.began or at
        step.error = step.hint = ""
        step.ended = at
    elif name in (ACTED, VERIFIED, FAILED, LEFT, UNDONE):
        if step.ended and name in (ACTED, VERIFIED, FAILED):
            step.seconds += at - step.ended
        step.ended = at
    elif name == FOUND:
        step.began, step.ended = step.began or at, at
    if name == UNDONE:
        step.touched = False
    step.says = event.get("says", step.says)
    step.error, step.hint = event.get("error", step.error), event.get("hint", step.hint)
