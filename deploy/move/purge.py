"""What a CDN remembers of the old server is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from deploy.move import ask
from deploy.move.dns.cloudflare import Cloudflare
from killick.errors import KillickError

if TYPE_CHECKING:
    from deploy.move.step import Move

STATUS = "cf-cache-status"
_REMEMBERED = ("HIT", "STALE", "UPDATING", "REVALIDATED")
_SECONDS = 60.0  # until a purge is everywhere


def purge(move: Move) -> list[str]:
    """Sentences about what was seen. By names where the zone is shared with others. Raises KillickError."""
    api = Cloudflare.of(move.spec.dns)
    hosts = None if move.spec.purge == "all" else move.spec.names
    api.purge(api.zone(move.spec.dns.zone), hosts)
    return [*seen(move)]


def seen(move: Move) -> Iterator[str]:
    """Asks each path of each name once, until it is not remembered or was remembered anew from the new server."""
    for name in move.spec.names:
        for path in move.spec.check.paths:
            yield _one(move, name, path)


def _one(move: Move, name: str, path: str) -> str:
    last: dict[str, str] = {}

    def fresh() -> bool:
        found = ask.public(name, "GET", path).headers
        last["status"] = found.get(STATUS, "").upper()
        last["marker"] = found.get(move.spec.check.marker.lower(), "") if move.spec.check.marker else ""
        if last["status"] not in _REMEMBERED:
            return True
        # somebody else may have asked in between: then it is remembered, of the new server
        return bool(last["marker"]) and last["marker"] == move.traffic.marker(move.spec.new.address)

    if not ask.until(fresh, _SECONDS):
        raise KillickError(
            f"{name}{path} is still remembered from before: {STATUS} {last['status']}", "purge it by hand"
        )
    return f"{name}{path}: {last['status'] or f'no header {STATUS}, nothing is remembered there'}"


def in_the_way(move: Move) -> Iterator[str]:
    if move.spec.purge == "off":
        return
    if move.spec.dns.provider != "cloudflare":
        yield 'purge works with dns.provider cloudflare only (write purge = "off", and purge by hand)'
