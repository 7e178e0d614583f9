"""The names: how they come to lead to the new server."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from deploy.move.step import Move


class Provider(Protocol):
    """Each raises KillickError. Values that an undo needs go into the journal, as the step `names` keeps them."""

    def lead_to_new(self, move: Move) -> bool: ...

    def change(self, move: Move) -> None: ...

    def put_back(self, move: Move) -> None: ...

    def proven(self, move: Move) -> str:
        """A sentence for the report."""

    def in_the_way(self, move: Move) -> Iterator[str]: ...


def of(move: Move) -> Provider:
    """The module of the provider's name holds it; raises SettingsError where its token is not to be had."""
    if move.spec.dns.provider == "cloudflare":
        from deploy.move.dns.records import Records

        return Records.of(move.spec)
    from deploy.move.dns.hand import Hand

    return Hand()


def in_the_way(move: Move) -> Iterator[str]:
    from killick.errors import KillickError

    try:
        yield from of(move).in_the_way(move)
    except (KillickError, TimeoutError) as error:
        yield str(error)


def where(address: str) -> str:
    """The host of a server's address, without its port and the brackets of an IPv6 one."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def same(one: str, other: str) -> bool:
    """Of two hosts: an IPv6 address may be written in several ways, and a name with or without its last dot."""
    if is_ip(one) and is_ip(other):
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    return one.lower().rstrip(".") == other.lower().rstrip(".")
