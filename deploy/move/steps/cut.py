"""The last word before the new server serves: a person says go, and then old is looked at: it is what was dumped."""

from __future__ import annotations

from deploy.move.sources import databases
from deploy.move.step import Move
from deploy.move.steps.final import unmoved
from killick.errors import KillickError
from killick.watch import Watch


class Cut:
    name = "cut"

    def says(self, move: Move) -> str:
        return f"a person types {move.spec.site}, and then there is no way back; old is still what was dumped"

    def probe(self, move: Move) -> bool:
        return bool(move.journal.kept(self.name, "said")) and not _moved(move)

    def act(self, move: Move, watch: Watch) -> None:
        if not move.journal.kept(self.name, "said"):
            move.person.types("From here on the new server takes writes, and nothing is taken back:", move.spec.site)
            move.journal.keep(self.name, "said", move.spec.site)

    def verify(self, move: Move) -> str:
        if moved := _moved(move):
            raise KillickError(
                f"{', '.join(moved)} on {move.old.host.name} is not what was dumped: somebody wrote there",
                "killick move rollback",
            )
        return f"{move.old.host.name} holds just what was dumped"

    def undo(self, move: Move) -> None:
        """Nothing was changed."""


def _moved(move: Move) -> list[str]:
    return [held.source for held in databases(move) if not unmoved(move, held.source)]


STEP = Cut()
