"""The new server serves: first readers, seen by every way; then writes are let through. The clock stops.

What comes before the first write can be taken back. The journal says that nothing can before the first part opens.
"""

from __future__ import annotations

from deploy.move.step import Move
from deploy.move.steps.read_only import OPEN
from killick.errors import KillickError
from killick.watch import Watch

SWITCHED = "switched"


class Switch:
    name = "switch"

    def says(self, move: Move) -> str:
        who = " and ".join(part.name for part in move.traffic.parts) or "a person"
        return f"{who}: everything to {move.new.host.name}; then writes are let through"

    def probe(self, move: Move) -> bool:
        return move.traffic.serves() == "new" and move.traffic.is_open()

    def act(self, move: Move, watch: Watch) -> None:
        opened = move.journal.state.no_return
        if move.traffic.serves() != "new":
            if not opened and not move.traffic.is_read_only():
                raise KillickError("writes are not refused everywhere any more", "killick move rollback")
            self._to_new(move)
        if not opened:
            self._looked_at(move)
            move.journal.no_return(self.name)
        if move.traffic.by_hand:
            move.person.done_by_hand(["Let writes through again by hand, wherever they were refused."], OPEN)
        else:
            move.traffic.read_only(on=False)

    def verify(self, move: Move) -> str:
        if move.traffic.serves() != "new" and not move.traffic.by_hand:
            raise KillickError(f"{move.traffic.serves()} serves, and not new alone", "killick move resume")
        if refused := [*move.traffic.refusing(), *move.traffic.closed_ways()]:
            raise KillickError(f"writes are still refused: {'; '.join(refused)}", "killick move resume")
        self._looked_at(move)
        marker = move.spec.check.marker
        told = f"{marker} says so under every name, by every way" if marker else "every name answers (no marker)"
        return f"{move.new.host.name} serves: {told}; writes are let through"

    def undo(self, move: Move) -> None:
        """Only while writes are refused: the runner does not call it later."""
        if move.traffic.by_hand:
            if move.journal.kept(self.name, SWITCHED):
                move.person.done_by_hand([f"Send everything to {move.spec.old.address} again, by hand."], "back")
        elif move.traffic.serves() != "old":
            move.traffic.switch("old")

    def _to_new(self, move: Move) -> None:
        if not move.traffic.by_hand:
            move.traffic.switch("new")
        elif not move.journal.kept(self.name, SWITCHED):
            to = move.spec.new.address
            lines = [f"Send everything to {to} by hand, what comes to the old address too; writes stay refused."]
            move.person.done_by_hand(lines, SWITCHED)
            move.journal.keep(self.name, SWITCHED, to)

    def _looked_at(self, move: Move) -> None:
        wrong = move.traffic.settled()
        if wrong:
            raise KillickError("; ".join(wrong), "look at the proxy and the new server")


STEP = Switch()
