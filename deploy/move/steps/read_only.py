"""Writes are refused with 503 by whatever stands before old; readers go on. The clock starts."""

from __future__ import annotations

from deploy.move.step import Move
from killick.errors import KillickError, Refused
from killick.watch import Watch

REFUSE, OPEN = "read-only", "open"
_LINES = (
    "Refuse writes by hand, wherever users reach the site, its old address too: every method but GET, HEAD and OPTIONS",
    "gets 503 with Retry-After: 30. This is looked at afterwards, for every name.",
)


class ReadOnly:
    name = "read-only"

    def says(self, move: Move) -> str:
        who = " and ".join(part.name for part in move.traffic.parts) or "a person sees to it that the web server"
        return f"{who}: writes get 503, reads go on, under {', '.join(move.spec.names)}"

    def probe(self, move: Move) -> bool:
        return move.traffic.is_read_only() and not move.traffic.open_ways()

    def act(self, move: Move, watch: Watch) -> None:
        if move.traffic.serves() == "new":
            raise Refused("the new server serves already", "look at the proxy; nothing was changed")
        if move.traffic.by_hand:
            move.person.done_by_hand(_LINES, REFUSE)
        else:
            move.traffic.read_only(on=True)

    def verify(self, move: Move) -> str:
        """Readers are looked at as well, while the app on old still runs."""
        served = not move.journal.state.step("fence").touched
        if wrong := [*move.traffic.open_ways(), *(move.traffic.unreadable() if served else [])]:
            raise KillickError("; ".join(wrong), "killick move rollback")
        return f"POST gets 503 and GET an answer, for {', '.join(move.spec.names)}, by every way that was reached"

    def undo(self, move: Move) -> None:
        if not move.traffic.by_hand:
            move.traffic.read_only(on=False)
        elif not move.traffic.is_open():
            move.person.done_by_hand(["Let writes through again by hand, wherever they were refused."], OPEN)


STEP = ReadOnly()
