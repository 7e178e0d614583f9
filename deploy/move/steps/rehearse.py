"""The whole way of the data, timed, while old is in use: dump, copy, restore, compare, start; then new is empty again.

Nothing on old changes: it is dumped as every night. What it lasts is what the move is foretold to last.
"""

from __future__ import annotations

import time

from deploy.move import carry, databases
from deploy.move.handover import Handover
from deploy.move.sources import databases as of
from deploy.move.step import Move
from deploy.move.steps import freeze, start
from deploy.move.volumes import image
from killick.watch import Watch


class Rehearse:
    name = "rehearse"

    def says(self, move: Move) -> str:
        return f"dump, copy, restore, compare and start on {move.new.host.name}, timed; then it is empty again"

    def probe(self, move: Move) -> bool:
        return bool(move.journal.kept(self.name, "seconds"))

    def act(self, move: Move, watch: Watch) -> None:
        seconds: dict[str, float] = {}
        self._clear(move)
        databases.come_up(move)
        try:
            began = time.monotonic()
            ids = {held.source: carry.dump(move, held) for held in of(move)}
            seconds["dump"] = carry.timed(began)
            began = time.monotonic()
            carry.copy(move)
            seconds["copy"] = carry.timed(began)
            began, seconds["compare"] = time.monotonic(), 0.0
            databases.must_be_empty(move)  # from here on what is there is ours to remove
            move.journal.keep(self.name, "began", True)
            for held in of(move):
                restored = carry.restore(move, held, ids[held.source])
                move.journal.keep(self.name, f"{held.source}.figures", restored.before.to_json())
                seconds["compare"] += restored.compared
            seconds["restore"] = carry.timed(began) - seconds["compare"]
            began = time.monotonic()
            start.come_up(move)
            seconds["start"] = carry.timed(began)
        finally:
            self._clear(move)
        databases.come_up(move)
        move.journal.keep(self.name, "seconds", seconds)

    def verify(self, move: Move) -> str:
        databases.must_be_empty(move)
        told = move.journal.kept(self.name, "seconds")
        parts = [f"{name} {took:.1f} s" for name, took in told.items()] if isinstance(told, dict) else []
        return f"everything came over and works: {', '.join(parts)}"

    def undo(self, move: Move) -> None:
        self._clear(move)

    def _clear(self, move: Move) -> None:
        freeze.not_anothers(move)  # else what is on new may be what that one moved
        start.go_down(move)
        if move.journal.kept(self.name, "began"):
            databases.empty(move)
        for site in (move.old, move.new):
            Handover(site, move.id).remove(image(site))


STEP = Rehearse()
