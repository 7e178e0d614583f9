"""The move is closed: its dump goes from both servers, the mark on old says where the project is now, and what is still
to be looked at is said."""

from __future__ import annotations

import json

from deploy.frozen import mark
from deploy.move.handover import Handover
from deploy.move.step import Move
from deploy.move.volumes import image
from killick.errors import KillickError
from killick.watch import Watch


class Soak:
    name = "soak"

    def says(self, move: Move) -> str:
        return (
            f"the dump goes from both servers, the mark on {move.old.host.name} stays; the first scheduled backup on "
            f"{move.new.host.name} is awaited"
        )

    def probe(self, move: Move) -> bool:
        return bool(move.journal.kept(self.name, "said"))

    def act(self, move: Move, watch: Watch) -> None:
        for site in (move.old, move.new):
            Handover(site, move.id).remove(image(site))
        now = f"{move.id}\n{move.new.server.address}, {move.new.server.directory}\n"
        move.old.host.write(f"{move.old.home}/{mark(move.old.server.project)}", now.encode(), 0o600)
        found = _backups(move)
        first = f"the newest backups that the new server lists: {', '.join(found)}" if found else "it lists none yet"
        told = [
            f"Verify the first scheduled backup on {move.new.host.name}: killick verify latest, there ({first}).",
            f"The volumes on {move.old.host.name} are kept; ~/{mark(move.old.server.project)} keeps deploys away.",
        ]
        move.person.tell(told)
        move.journal.keep(self.name, "said", told)

    def verify(self, move: Move) -> str:
        if move.traffic.parts and move.traffic.serves() != "new":
            raise KillickError(f"{move.traffic.serves()} serves, and not new alone", "look at the proxy")
        return " ".join(move.journal.kept(self.name, "said") or [])

    def undo(self, move: Move) -> None:
        """It comes after the point of no return."""


def _backups(move: Move) -> list[str]:
    """Ids of the newest of each source; empty where the sidecar runs nowhere or cannot say."""
    if move.new.sidecar not in move.new.running():
        return []
    try:
        listed = json.loads(move.new.compose("exec", "-T", move.new.sidecar, "killick", "list", "--json"))
        newest = {each["source"]: each["id"] for each in sorted(listed, key=lambda each: str(each["id"]))}
    except (KillickError, TimeoutError, ValueError, KeyError, TypeError):
        return []
    return [str(newest[source]) for source, _ in move.spec.sources if source in newest]


STEP = Soak()
