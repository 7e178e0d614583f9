"""The new server's databases before anything is in them, and emptied again after a rehearsal or a way back."""

from __future__ import annotations

import time

from deploy.move import carry
from deploy.move.sources import Held, databases
from deploy.move.step import Move
from deploy.move.volumes import image
from killick.errors import KillickError, Refused

_WELL = 300  # seconds that a database may take to come up
_FIRST_START = 60.0  # seconds
_DATA = ("/var/lib/postgresql/data", "/var/lib/postgresql", "/data/db", "/data/configdb")


def services(move: Move) -> list[str]:
    return sorted({held.service for held in databases(move)})


def come_up(move: Move) -> None:
    names = services(move)
    if names:
        move.new.compose("up", "--detach", "--no-deps", "--wait", f"--wait-timeout={_WELL}", *names, timeout=_WELL + 60)
        for held in databases(move):
            _answers(move, held)


def _answers(move: Move, held: Held) -> None:
    """One without a health check may be still at its first start. Raises what its last refusal was."""
    end = time.monotonic() + _FIRST_START
    while True:
        try:
            carry.facts(move, move.new, held)
        except KillickError:
            if time.monotonic() > end:
                raise
            time.sleep(1)
        else:
            return


def full(move: Move) -> list[Held]:
    """Those on new that hold something."""
    found = []
    for held in databases(move):
        facts = carry.facts(move, move.new, held)
        if facts is not None and not facts["empty"]:
            found.append(held)
    return found


def empty(move: Move) -> None:
    """All that their servers on new hold goes. Raises Refused unless the journal says that they were found empty."""
    if not move.journal.kept("prepare", "empty"):
        raise Refused(
            f"nobody knows whether {move.new.host.name} was empty before the move: nothing is removed",
            "look yourself; docker compose down -v there, if it is nobody's",
        )
    found = services(move)
    mounts = {
        (mount["Destination"], mount.get("Name") or mount["Source"])
        for document in move.new.inspected()
        if document["Config"]["Labels"]["com.docker.compose.service"] in found
        for mount in document["Mounts"]
        if mount["Destination"] in _DATA
    }
    move.new.compose("rm", "--stop", "--force", *found, timeout=_WELL)
    for _, source in sorted(mounts):
        move.new.empty(source, image(move.new))


def must_be_empty(move: Move) -> None:
    for held in full(move):
        raise KillickError(
            f"{held.source}: {held.database} on {move.new.host.name} is not empty",
            "move what is there away; docker compose down -v there, if it is nobody's",
        )
