"""The databases of the new server run, and nothing is in them."""

from __future__ import annotations

from deploy.move import databases
from deploy.move.handover import Handover
from deploy.move.step import Move
from deploy.move.volumes import image
from killick.errors import Refused
from killick.watch import Watch


class Prepare:
    name = "prepare"

    def says(self, move: Move) -> str:
        return f"start {', '.join(s for _, s in move.spec.sources if s)} on {move.new.host.name}, and see them empty"

    def probe(self, move: Move) -> bool:
        running = set(move.new.running())
        if running & set(move.spec.apps):
            raise Refused(
                f"{', '.join(sorted(running & set(move.spec.apps)))} runs on {move.new.host.name} already",
                "stop it there: what it writes into an empty database would be in the way of the restore",
            )
        if not move.journal.kept("prepare", "empty") or not set(databases.services(move)) <= running:
            return False
        return not databases.full(move)

    def act(self, move: Move, watch: Watch) -> None:
        move.journal.keep(self.name, "running", [*move.new.running()])
        databases.come_up(move)
        if not databases.full(move):
            move.journal.keep(self.name, "empty", True)

    def verify(self, move: Move) -> str:
        databases.must_be_empty(move)
        return f"{', '.join(databases.services(move)) or 'no database'} runs on {move.new.host.name}, and is empty"

    def undo(self, move: Move) -> None:
        """What ran there before runs on; the volumes stay."""
        before = move.journal.kept(self.name, "running")
        kept = before if isinstance(before, list) else []
        if before is not None and (mine := [each for each in databases.services(move) if each not in kept]):
            move.new.compose("stop", *mine, timeout=120)
        for site in (move.old, move.new):
            Handover(site, move.id).remove(image(site))


STEP = Prepare()
