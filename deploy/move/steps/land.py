"""What was dumped is on new, the same by every count and checksum, and archived in the project's store meanwhile."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from deploy.move import carry, databases, volumes
from deploy.move.carry import Figures
from deploy.move.sources import databases as of
from deploy.move.sources import folders
from deploy.move.step import Move
from deploy.move.steps.final import dumped
from killick.watch import Watch


class Land:
    name = "land"

    def says(self, move: Move) -> str:
        return f"copy, restore and compare on {move.new.host.name}; carry what changed in folders; archive meanwhile"

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
        with ThreadPoolExecutor(1) as beside:
            archiving = beside.submit(_archive, move)
            for held in of(move):
                _land(move, held.source)
            for held in folders(move):
                move.journal.keep(self.name, f"{held.source}.figures", volumes.bring(move, held).to_json())
            archiving.result()
        move.journal.keep(self.name, "done", True)

    def verify(self, move: Move) -> str:
        told = []
        for held in of(move):
            found = carry.look(move, move.new, held, dumped(move, held.source))
            _, now = carry.same(found, f"{held.source} on {move.new.host.name}")
            told.append(f"{held.source}: {now.rows:,} rows in {now.tables} tables")
        told += [f"{held.source}: the same by every hash" for held in folders(move)]
        return f"{'; '.join(told)}: the same on both, and archived"

    def undo(self, move: Move) -> None:
        """Emptied, so that another move finds what this one found. Folders stay: nothing reads them there."""
        if any(move.journal.kept(self.name, f"{held.source}.began") for held in of(move)):
            databases.empty(move)


def _land(move: Move, source: str) -> None:
    held = next(each for each in of(move) if each.source == source)
    again = bool(move.journal.kept("land", f"{source}.began"))
    move.journal.keep("land", f"{source}.began", True)
    began = time.monotonic()
    if again:  # a restore that was interrupted: nothing but ours can be there
        databases.empty(move)
        databases.come_up(move)
    carry.restore(move, held, dumped(move, source))
    move.journal.keep("land", f"{source}.restore", carry.timed(began))
    figures = compared(move, source)
    for name, each in zip(("before", "after"), figures, strict=True):
        move.journal.keep("land", f"{source}.{name}", each.to_json())


def compared(move: Move, source: str) -> tuple[Figures, Figures]:
    held = next(each for each in of(move) if each.source == source)
    began = time.monotonic()
    found = carry.look(move, move.new, held, dumped(move, source))
    figures = carry.same(found, f"{source} on {move.new.host.name}")
    move.journal.keep("land", f"{source}.compare", carry.timed(began))
    return figures


def _archive(move: Move) -> None:
    for held in of(move):
        if move.journal.kept("land", f"{held.source}.archive"):
            continue
        id = carry.archive(move, held, carry.fenced(move, held))
        carry.archived(move, held, id, dumped(move, held.source))
        move.journal.keep("land", f"{held.source}.archive", id)


STEP = Land()
