"""The CDN forgets what it remembers of old, once nothing leads there any more."""

from __future__ import annotations

from deploy.move import purge
from deploy.move.step import Move
from killick.watch import Watch


class Purge:
    name = "purge"

    def says(self, move: Move) -> str:
        what = {"off": "nothing is purged", "all": f"purge all of {move.spec.dns.zone}"}
        return what.get(move.spec.purge, f"purge {', '.join(move.spec.names)}, and look at the first answers")

    def probe(self, move: Move) -> bool:
        return move.spec.purge == "off" or bool(move.journal.kept(self.name, "seen"))

    def act(self, move: Move, watch: Watch) -> None:
        move.journal.keep(self.name, "seen", purge.purge(move))

    def verify(self, move: Move) -> str:
        return "; ".join(move.journal.kept(self.name, "seen") or ["nothing was purged"])

    def undo(self, move: Move) -> None:
        """A cache that forgot fills itself."""


STEP = Purge()
