"""The last dump, through the fence: what it holds is what the new server will hold."""

from __future__ import annotations

import time

from deploy.move import carry, fences
from deploy.move.sources import databases
from deploy.move.step import Move
from killick.errors import KillickError
from killick.watch import Watch


class Final:
    name = "final"

    def says(self, move: Move) -> str:
        return f"dump {', '.join(name for name, service in move.spec.sources if service)} through the fence"

    def probe(self, move: Move) -> bool:
        return all(dumped(move, held.source) for held in databases(move)) and not _moved(move)

    def act(self, move: Move, watch: Watch) -> None:
        every = fences.of(move)
        for held in databases(move):
            if dumped(move, held.source):
                continue
            began = time.monotonic()
            move.journal.keep(self.name, f"{held.source}.quiet", every[held.source].quiet())
            id = carry.dump(move, held, carry.fenced(move, held))
            move.journal.keep(self.name, f"{held.source}.seconds", carry.timed(began))
            move.journal.keep(self.name, f"{held.source}.id", id)

    def verify(self, move: Move) -> str:
        if lacking := [held.source for held in databases(move) if not dumped(move, held.source)]:
            raise KillickError(f"{', '.join(lacking)} on {move.old.host.name} was not dumped", "killick move rollback")
        if moved := _moved(move):
            raise KillickError(
                f"{', '.join(moved)} on {move.old.host.name} is not what was dumped: somebody wrote behind the fence",
                "find out by whom: pg_stat_activity; then killick move rollback",
            )
        return "dumped, and nothing was written meanwhile"

    def undo(self, move: Move) -> None:
        """The dump goes with the move's folder."""


def dumped(move: Move, source: str) -> str:
    """The id of the final dump, "" for none yet."""
    return str(move.journal.kept("final", f"{source}.id") or "")


def _moved(move: Move) -> list[str]:
    return [held.source for held in databases(move) if not unmoved(move, held.source)]


def unmoved(move: Move, source: str) -> bool:
    """Whether old still holds just what was dumped; the rows are read only where the quick word does not tell."""
    held = next(each for each in databases(move) if each.source == source)
    fence = fences.one(move.old, held, move.id)
    if fence.quiet() == move.journal.kept("final", f"{source}.quiet"):
        return True
    return carry.still(move, held, dumped(move, source), carry.fenced(move, held))


STEP = Final()
