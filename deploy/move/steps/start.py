"""The app runs on new, over the data that was moved, and answers by its real name. Writes are still refused outside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException

from deploy.containers import Container, wanted
from deploy.gate import healthy
from deploy.move import databases
from deploy.move.step import Move
from killick.errors import KillickError
from killick.watch import Watch

_WELL = 300.0
_SETTLE = 1.0
_CRASHES = 4  # restarts: an app may give up once or twice while its database comes up
_ANSWER = 10.0
_PAUSE = 0.2


class Start:
    name = "start"

    def says(self, move: Move) -> str:
        return f"start {', '.join(move.spec.apps)} on {move.new.host.name}: its migrations run now"

    def probe(self, move: Move) -> bool:
        return set(move.spec.apps) <= set(move.new.running()) and not list(_unwell(move))

    def act(self, move: Move, watch: Watch) -> None:
        began = time.monotonic()
        come_up(move)
        move.journal.keep(self.name, "seconds", round(time.monotonic() - began, 3))

    def verify(self, move: Move) -> str:
        for sentence in _unwell(move):
            raise KillickError(sentence, _cure(move))
        return f"{len(move.spec.check.paths)} paths answer at {move.new.server.address} as {', '.join(move.spec.names)}"

    def undo(self, move: Move) -> None:
        go_down(move)


def come_up(move: Move) -> None:
    """Waits until every service is well and answers. Raises KillickError."""
    config = move.new.config()
    services = [name for name in config["services"] if name != move.new.sidecar]
    move.new.compose("up", "--detach", *services, timeout=_WELL)
    asked, cure = [each for each in wanted(config) if each.name in services], _cure(move)
    healthy(asked, lambda: _steady(move), _WELL, _SETTLE, cure)
    end = time.monotonic() + _WELL
    while sentence := next(_unwell(move), ""):
        if time.monotonic() > end:
            raise KillickError(sentence, cure)
        time.sleep(_PAUSE)


def _steady(move: Move) -> list[Container]:
    """Its containers. Raises KillickError for one that crashes again and again, or whose health check has given up:
    writes are refused while we wait, and a rehearsal waits the same way."""
    found = move.new.containers()
    for each in found:
        if each.restarts >= _CRASHES:
            raise KillickError(f"{each} on {move.new.host.name} crashes again and again", _cure(move))
        if each.health == "unhealthy":
            raise KillickError(f"{each} on {move.new.host.name}: it never got well", _cure(move))
    return found


def go_down(move: Move) -> None:
    """What came up goes: the apps, and all that did not run there before but the databases. Their volumes stay."""
    there = {each.service for each in move.new.containers()} & set(move.new.config()["services"])
    before = move.journal.kept("prepare", "running")
    ours = there - {*before, *databases.services(move), move.new.sidecar} if isinstance(before, list) else set()
    if going := ours | (there & set(move.spec.apps)):
        move.new.compose("rm", "--stop", "--force", *sorted(going), timeout=_WELL)


def _cure(move: Move) -> str:
    return f"see its log on {move.new.host.name}; nothing was switched"


def _unwell(move: Move) -> Iterator[str]:
    for name in move.spec.names:
        for path in move.spec.check.paths:
            status, why = _asked(move.new.server.address, name, path)
            if status == 0 or status >= 400:
                yield f"{name}{path} at {move.new.server.address}: {why or f'it answers {status}'}"


def _asked(address: str, name: str, path: str) -> tuple[int, str]:
    """The status, and why there is none."""
    try:
        connection = HTTPConnection(address, timeout=_ANSWER)
        try:
            connection.request("GET", path, headers={"Host": name})
            return connection.getresponse().status, ""
        finally:
            connection.close()
    except (OSError, HTTPException) as error:
        return 0, f"no answer: {error or type(error).__name__}"


STEP = Start()
