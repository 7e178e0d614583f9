"""Nobody writes on old any more: the apps are stopped, and the databases let in the move's own user alone."""

from __future__ import annotations

from deploy.move import fences
from deploy.move.step import Move
from killick.errors import KillickError
from killick.watch import Watch

_STOP = 120.0  # seconds that the apps may take to end


class Fence:
    name = "fence"

    def says(self, move: Move) -> str:
        return f"stop {', '.join(_stopped(move))} on {move.old.host.name}; its databases let nobody in but this move"

    def probe(self, move: Move) -> bool:
        return not _lacks(move)

    def act(self, move: Move, watch: Watch) -> None:
        running = set(move.old.running())
        move.journal.keep(self.name, "running", sorted(running & set(_stopped(move))))
        if running & set(_stopped(move)):
            move.old.compose("stop", *_stopped(move), timeout=_STOP)
        for each in fences.of(move).values():
            each.up()

    def verify(self, move: Move) -> str:
        if said := _lacks(move):
            raise KillickError(f"the fence on {move.old.host.name} does not hold: {said}", "killick move rollback")
        return "the apps are stopped, a login of theirs is refused, no session and no prepared transaction is left"

    def undo(self, move: Move) -> None:
        for each in fences.of(move).values():
            each.lift()
        before = move.journal.kept(self.name, "running")
        if isinstance(before, list) and before:
            move.old.compose("start", *map(str, before), timeout=_STOP)


def _lacks(move: Move) -> str:
    """What is missing first; "" where it holds."""
    if running := sorted(set(_stopped(move)) & set(move.old.running())):
        return f"{', '.join(running)} runs"
    lacking = (f"{source}: {said}" for source, each in fences.of(move).items() if (said := each.lacks()))
    return next(lacking, "")


def _stopped(move: Move) -> list[str]:
    """The sidecar too: its backups would be refused all night."""
    return [*move.spec.apps, move.old.sidecar]


STEP = Fence()
