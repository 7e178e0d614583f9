"""Names that a person changes: shown what to change, and gone on with when a resolver agrees."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

from deploy.move.ask import until
from deploy.move.dns import where
from killick.errors import KillickError

if TYPE_CHECKING:
    from deploy.move.step import Move

_AGREES = 600.0  # seconds that a resolver may go on with what it remembers
CONFIRM = "names"


class Hand:
    def lead_to_new(self, move: Move) -> bool:
        """Behind a proxy no name leads to the old server, and nothing is to be done."""
        return not _leading_to(move, where(move.spec.old.address))

    def change(self, move: Move) -> None:
        stale = _leading_to(move, where(move.spec.old.address))
        move.journal.keep("names", "by-hand", stale)
        move.person.done_by_hand(_lines(stale, where(move.spec.old.address), where(move.spec.new.address)), CONFIRM)
        self._agreed(move, where(move.spec.old.address))

    def put_back(self, move: Move) -> None:
        changed = _leading_to(move, where(move.spec.new.address))
        if changed:
            old, new = where(move.spec.old.address), where(move.spec.new.address)
            move.person.done_by_hand(_lines(changed, new, old), CONFIRM)
            self._agreed(move, new)

    def proven(self, move: Move) -> str:
        if stale := _leading_to(move, where(move.spec.old.address)):
            raise KillickError(f"{', '.join(stale)} still leads to the old server", "killick move resume")
        return "the resolver here leads no name to the old server any more"

    def in_the_way(self, move: Move) -> Iterator[str]:
        for name in move.spec.names:
            if not resolved(name):
                yield f"{name} is not found by the resolver here (correct `names`, or /etc/hosts)"

    def _agreed(self, move: Move, gone: str) -> None:
        """Raises KillickError where the resolver does not come to agree."""
        if not until(lambda: not _leading_to(move, gone), _AGREES):
            raise KillickError(
                f"{', '.join(_leading_to(move, gone))} still leads to {gone} here", "wait, then killick move resume"
            )


def resolved(name: str) -> set[str]:
    """The addresses that this machine's resolver gives; empty where it knows none."""
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(name, None, proto=socket.IPPROTO_TCP)}
    except OSError:
        return set()


def _leading_to(move: Move, host: str) -> list[str]:
    try:
        addresses = {str(ipaddress.ip_address(host))}
    except ValueError:
        addresses = resolved(host)
    return [name for name in move.spec.names if resolved(name) & addresses]


def _lines(names: list[str], old: str, new: str) -> list[str]:
    return ["Change these records where the zone is kept, and nothing else:"] + [
        f"  {name}  A or AAAA  {old} -> {new}" for name in names
    ]
