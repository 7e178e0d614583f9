"""DNS leads to the new server."""

from __future__ import annotations

from deploy.move import dns
from deploy.move.step import Move
from killick.watch import Watch


class Names:
    name = "names"

    def says(self, move: Move) -> str:
        who = move.spec.dns.provider
        by = f"records at {who} that lead to {move.spec.old.address}" if who != "hand" else "by hand: records of old"
        return f"{by} lead to {move.spec.new.address}; others stay"

    def probe(self, move: Move) -> bool:
        return dns.of(move).lead_to_new(move)

    def act(self, move: Move, watch: Watch) -> None:
        dns.of(move).change(move)

    def verify(self, move: Move) -> str:
        return dns.of(move).proven(move)

    def undo(self, move: Move) -> None:
        dns.of(move).put_back(move)


STEP = Names()
