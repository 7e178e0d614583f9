"""Takes a move forward, step by step, or back. What it announces is in the journal before it is done.

Forward: probe, act, verify. A failure before the point of no return takes back all that was begun, last first, and the
old server serves as before; one after it stops where it is, both sides safe. A runner that was killed leaves the
journal; `resume` is the same walk again: what was verified is past, but what has to hold on (`STANDING`) is probed and
mended. Everything else is probed before it is done, so what happened without being written down is
found, not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from deploy.move.journal import JSON
from deploy.move.state import (
    ACTED,
    BEGUN,
    DONE,
    FAILED,
    FOUND,
    LEFT,
    REHEARSED,
    ROLLED_BACK,
    UNDOING,
    UNDONE,
    VERIFIED,
)  # fmt: skip
from deploy.move.step import Move, Step
from deploy.move.steps import NO_RETURN, STANDING, called
from killick.errors import KillickError, Refused, Stopped, as_error
from killick.watch import Watch, unwatched

STOPPED = "stopped"
_SERVING = "serving"


class Look(Protocol):
    """Whoever looks on: a screen, a prober that measures from outside."""

    def told(self, event: str, step: str) -> None:
        """After it was written."""

    def watch(self, step: str) -> Watch: ...


class Unseen:
    def told(self, event: str, step: str) -> None:
        pass

    def watch(self, step: str) -> Watch:
        return unwatched


@dataclass(frozen=True)
class Ending:
    """`outcome` is done, rehearsed, rolled back or stopped; `error` what made it so; `left` what was not undone."""

    outcome: str
    error: KillickError | None = None
    left: Sequence[tuple[str, KillickError]] = ()


@dataclass
class Runner:
    """`serving` says what is wrong, a sentence each, with the old server serving after everything was undone."""

    move: Move
    steps: Sequence[Step]
    look: Look = field(default_factory=Unseen)
    serving: Callable[[], Sequence[str]] = tuple
    standing: Mapping[str, str] = field(default_factory=lambda: {called(a): called(b) for a, b in STANDING.items()})
    no_return: str = called(NO_RETURN)
    _at: str = ""

    def forward(self) -> Ending:
        """From where the journal and the servers are. Raises nothing that a step raised: it is the ending's."""
        if self.move.journal.state.back:
            return self.back()
        try:
            self._forward()
        except BaseException as error:  # a Ctrl-C as well: what was begun is taken back
            try:
                return self._failed(error)
            except Stopped:  # it came while we turned; no further signal disturbs
                return self._failed(error)
        if self.move.journal.state.rehearsal:
            self._write("green")
            return self.back()
        self._write("closed", outcome=DONE)
        return Ending(DONE)

    def back(self) -> Ending:
        """Undoes what was begun, last first. Raises Refused as `may_go_back`."""
        self.may_go_back()
        return self._turn()

    def may_go_back(self) -> None:
        """Raises Refused where writes may have reached the new server. Nothing is written."""
        if not self._returnable():
            raise Refused(
                f"the new server may have taken writes of {self.move.spec.site}: going back would lose them",
                "go on with `killick move resume`; the way back is another move, with old and new exchanged",
            )

    # Forward

    def _forward(self) -> None:
        for step in self.steps:
            if not self._past(step):
                self._do(step)

    def _past(self, step: Step) -> bool:
        state = self.move.journal.state
        if not state.step(step.name).done:
            return False
        until = self.standing.get(step.name)
        if until is None or state.step(until).began:
            return True
        self._at = step.name
        return step.probe(self.move)

    def _do(self, step: Step) -> None:
        self._at = step.name
        so = step.probe(self.move)
        if not so:
            self._write(BEGUN, step.name)
            step.act(self.move, self.look.watch(step.name))
        elif not self.move.journal.state.step(step.name).touched:
            self._write(FOUND, step.name)
        if step.name == self.no_return and not self.move.journal.state.no_return:
            self.move.journal.no_return(step.name)
        if not so:
            self._write(ACTED, step.name)
        self._write(VERIFIED, step.name, says=step.verify(self.move))

    def _failed(self, cause: BaseException) -> Ending:
        """One event tells what failed and that the way leads back: a runner killed after it is not resumed forward."""
        error, back = _said(cause), self._returnable()
        self._write_if_it_goes(FAILED, self._at, error=error.message, hint=error.hint, back=back)
        return replace(self._turn(), error=error) if back else Ending(STOPPED, error)

    def _returnable(self) -> bool:
        """Before the step that opens writes was begun; or it was, and every part says that they are still refused.
        On the way back already: then the old server may have taken writes, and only back is right."""
        state = self.move.journal.state
        if state.back:
            return True
        if state.no_return or not state.step(self.no_return).touched:
            return not state.no_return
        try:
            return bool(self.move.traffic.is_read_only())
        except Exception:  # who does not know does not go back; a Ctrl-C is no answer, and it is asked again
            return False

    # Back

    def _turn(self) -> Ending:
        try:
            return self._back()
        except Stopped:
            return self._back()

    def _back(self) -> Ending:
        self._write_if_it_goes("back")
        touched = [step for step in reversed(self.steps) if self.move.journal.state.step(step.name).touched]
        left = [told for step in touched for told in self._undo(step.name, partial(step.undo, self.move))]
        green = self.move.journal.state.green
        if not green:
            left += self._undo(_SERVING, self._serves)
        if left:
            return Ending(STOPPED, None, left)
        outcome = REHEARSED if green else ROLLED_BACK
        self._write_if_it_goes("closed", outcome=outcome)
        return Ending(outcome)

    def _undo(self, name: str, undo: Callable[[], None]) -> list[tuple[str, KillickError]]:
        """Empty, or what went wrong: the others have to be undone all the same."""
        self._write_if_it_goes(UNDOING, name)
        try:
            undo()
        except Exception as cause:
            error = _said(cause)
            self._write_if_it_goes(LEFT, name, error=error.message, hint=error.hint)
            return [(name, error)]
        self._write_if_it_goes(UNDONE, name)
        return []

    def _serves(self) -> None:
        if wrong := "; ".join(self.serving()):
            raise KillickError(wrong, "see to it by hand, then `killick move rollback` again")

    # The journal

    def _write(self, event: str, step: str = "", **told: JSON) -> None:
        self.move.journal.write(event, step, **told)
        with suppress(Exception):  # whoever looks on holds nothing up
            self.look.told(event, step)

    def _write_if_it_goes(self, event: str, step: str = "", **told: JSON) -> None:
        """A full disk does not keep the old server from serving again: undoing twice does no harm."""
        with suppress(KillickError):
            self._write(event, step, **told)


def _said(cause: BaseException) -> KillickError:
    if isinstance(cause, TimeoutError):
        return KillickError(str(cause), "is that server well, and the way to it?")
    return as_error(cause)
