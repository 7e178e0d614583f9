"""A move in memory, for tests of single steps: no server is behind it but those that a test puts there."""

from __future__ import annotations

from collections.abc import Iterable

from deploy.move.hosts import Local
from deploy.move.journal import Journal
from deploy.move.person import Person
from deploy.move.site import Site
from deploy.move.spec import Check, Forwarder, Jobs, Names, Proxy, Server, Spec
from deploy.move.step import Move
from deploy.move.traffic import Traffic

ID = "20261128T230000Z"


class Told(Person):
    """Does and types all that is asked, and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.asked: list[str] = []

    def tell(self, lines: Iterable[str]) -> None:
        self.lines += lines

    def types(self, question: str, word: str) -> None:
        self.asked.append(word)

    def done_by_hand(self, lines: Iterable[str], confirm: str) -> None:
        self.tell(lines)
        self.asked.append(confirm)


def spec(
    *,
    old: str = "192.0.2.1",
    new: str = "192.0.2.2",
    names: tuple[str, ...] = ("shop.example.com",),
    proxy: Proxy | None = None,
    forwarder: Forwarder | None = None,
    dns: Names | None = None,
    purge: str = "off",
    marker: str = "",
    jobs: Jobs | None = None,
) -> Spec:
    """`old` and `new` are addresses; everything is on this machine."""
    one, two = (Server("local", address, "/srv/shop", "shop", ("docker-compose.yml",)) for address in (old, new))
    return Spec(
        "shop", "prod", names, one, two, "sidecar", ("app",), (("db", "db"),), proxy, forwarder,
        dns or Names("hand"), purge, Check(("/",), marker), jobs or Jobs(), 300.0, "0" * 64,
    )  # fmt: skip


def move(given: Spec) -> Move:
    old, new = (Site(Local(), server, given.sidecar) for server in (given.old, given.new))
    return Move(ID, given, old, new, Traffic.of(given, old, new), Journal(None, []), Told())
