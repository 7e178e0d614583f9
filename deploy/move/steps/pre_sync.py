"""Folders are carried while the app is in use, so that behind the fence only what changed since is left."""

from __future__ import annotations

from deploy.move import volumes
from deploy.move.sources import folders
from deploy.move.step import Move
from killick.watch import Watch


class PreSync:
    name = "pre-sync"

    def says(self, move: Move) -> str:
        return "carry folders while they are in use; may be repeated"

    def probe(self, move: Move) -> bool:
        return not folders(move)

    def act(self, move: Move, watch: Watch) -> None:
        for held in folders(move):
            entries = volumes.pre_sync(move, held)
            move.journal.note(self.name, f"{held.source}: {entries} entries were carried")

    def verify(self, move: Move) -> str:
        left = [
            f"{held.source}: {len(volumes.Difference.of(*volumes.differences(move, held)).send)} entries"
            for held in folders(move)
        ]
        return f"what is left to carry behind the fence: {', '.join(left)}" if left else "there are no folders"

    def undo(self, move: Move) -> None:
        """What was carried stays: the next pass is quick."""


STEP = PreSync()
