"""What was dumped is on new, the same by every count and checksum."""

from __future__ import annotations

import time

from deploy.move import carry, databases, volumes
from deploy.move.beside import beside
from deploy.move.sources import Held, folders
from deploy.move.sources import databases as of
from deploy.move.step import Move
from deploy.move.steps.final import dumped
from killick.watch import Watch


class Land:
    name = "land"

    def says(self, move: Move) -> str:
        return f"copy, restore and compare on {move.new.host.name}; carry what changed in folders"

    def probe(self, move: Move) -> bool:
        """The rows are not compared again: the app may have migrated them since."""
        if not move.journal.kept(self.name, "done"):
            return False
        full = {held.source for held in databases.full(move)}
        return all(held.source in full for held in of(move))

    def act(self, move: Move, watch: Watch) -> None:
        began = time.monotonic()
        if not move.journal.kept(self.name, "copied"):
            carry.copy(move)
            move.journal.keep(self.name, "copied", carry.timed(began))
        with beside(1) as other:
            carried = other.submit(_folders, move)
            if any(move.journal.kept(self.name, f"{held.source}.began") for held in of(move)):
                databases.empty(move)  # an attempt that was interrupted: nothing but ours can be there
                databases.come_up(move)
            for held in of(move):
                _land(move, held)
            carried.result()
        move.journal.keep(self.name, "done", True)

    def verify(self, move: Move) -> str:
        """`act` compared every row, and would have failed: that is not done twice while writes are refused."""
        told = []
        for held in of(move):
            now = move.journal.kept(self.name, f"{held.source}.after")
            told.append(f"{held.source}: {now['rows']:,} rows in {now['tables']} tables")
        told += [f"{held.source}: the same by every hash" for held in folders(move)]
        return f"{'; '.join(told)}: the same on both"

    def undo(self, move: Move) -> None:
        """Emptied, so that another move finds what this one found. Folders stay: nothing reads them there."""
        if any(move.journal.kept(self.name, f"{held.source}.began") for held in of(move)):
            databases.empty(move)


def _land(move: Move, held: Held) -> None:
    source = held.source
    move.journal.keep("land", f"{source}.began", True)
    began = time.monotonic()
    restored = carry.restore(move, held, dumped(move, source))
    move.journal.keep("land", f"{source}.restore", round(carry.timed(began) - restored.compared, 3))
    move.journal.keep("land", f"{source}.compare", restored.compared)
    move.journal.keep("land", f"{source}.before", restored.before.to_json())
    move.journal.keep("land", f"{source}.after", restored.after.to_json())


def _folders(move: Move) -> None:
    for held in folders(move):
        move.journal.keep("land", f"{held.source}.figures", volumes.bring(move, held).to_json())


STEP = Land()
