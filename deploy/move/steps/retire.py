"""Nothing was written on old after the dump; it is archived as it was, stopped and stays so, its volumes kept.

The archive is made here, behind the fence and after the switch: nobody waits for a codec and an upload.
"""

from __future__ import annotations

import json

from deploy.frozen import mark
from deploy.move import carry
from deploy.move.site import LONG
from deploy.move.sources import databases
from deploy.move.step import Move
from deploy.move.steps.final import dumped, unmoved
from killick.errors import KillickError
from killick.watch import Watch

_STOP = 180.0


class Retire:
    name = "retire"

    def says(self, move: Move) -> str:
        return f"see that nothing was written late on {move.old.host.name}, archive and stop it, for good; back up new"

    def probe(self, move: Move) -> bool:
        return (
            bool(move.journal.kept(self.name, "late")) and not _awake(move) and move.new.sidecar in move.new.running()
        )

    def act(self, move: Move, watch: Watch) -> None:
        containers = {each["Name"].lstrip("/"): each for each in move.old.inspected()}
        policies = {name: each["HostConfig"]["RestartPolicy"]["Name"] for name, each in containers.items()}
        running = [name for name, each in containers.items() if each["State"]["Running"]]
        move.journal.keep(self.name, "policies", {**policies})
        move.journal.keep(self.name, "running", [*running])
        if not move.journal.kept(self.name, "late"):  # once it is stopped it cannot be asked any more
            late = [held.source for held in databases(move) if not unmoved(move, held.source)]
            if late:
                raise KillickError(
                    f"{', '.join(late)} on {move.old.host.name} is not what was dumped: somebody wrote there",
                    "the new server serves, and keeps all that it acknowledged; look at old before it is stopped",
                )
            move.journal.keep(self.name, "late", "none")
        _archive(move)
        if containers:
            move.old.host.run(["docker", "update", "--restart=no", *containers])
            move.old.compose("stop", timeout=_STOP)
            # compose knows the services of its files alone: not one that was renamed there, or of another profile
            move.old.host.run(["docker", "stop", *containers], timeout=_STOP)
        # a project that comes back to a server: from now on it is deployed there again
        move.new.host.shell('cd; rm -f -- "$1"', mark(move.new.server.project))
        # from now on the project's backups are of the new server: the first one says so
        move.new.compose(
            "run", "--rm", "--no-deps", "-T", move.new.sidecar, "backup", "--adopt", "--json", timeout=LONG
        )
        move.new.compose("up", "--detach", "--no-deps", move.new.sidecar)

    def verify(self, move: Move) -> str:
        if awake := _awake(move):
            raise KillickError(f"{', '.join(awake)} on {move.old.host.name} would come back", "killick move resume")
        return (
            "late writes: 0; what was is archived; everything is stopped, and no restart of the server brings it back; "
            "the volumes are kept"
        )

    def undo(self, move: Move) -> None:
        policies, running = (move.journal.kept(self.name, key) for key in ("policies", "running"))
        if isinstance(policies, dict):
            for name, policy in policies.items():
                move.old.host.run(["docker", "update", f"--restart={policy or 'no'}", name])
        if isinstance(running, list) and running:
            move.old.host.run(["docker", "start", *map(str, running)], timeout=_STOP)


def _archive(move: Move) -> None:
    """In the project's own store, the same as the final dump."""
    for held in databases(move):
        if not move.journal.kept("retire", f"{held.source}.archive"):
            id = carry.archive(move, held, carry.fenced(move, held))
            carry.archived(move, held, id, dumped(move, held.source))
            move.journal.keep("retire", f"{held.source}.archive", id)


def _awake(move: Move) -> list[str]:
    """Containers that run, or that would again."""
    return [
        json.dumps(each["Name"].lstrip("/"))
        for each in move.old.inspected()
        if each["State"]["Running"] or each["HostConfig"]["RestartPolicy"]["Name"] not in ("", "no")
    ]


STEP = Retire()
