"""Who answers the users: the edge and the old server's forwarder together. A part is either of them, and either may be
missing; without both, a person does it, and what is asked here is asked of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from deploy.move import ask, nginx
from deploy.move.haproxy import Edge
from deploy.move.hosts import connect
from killick.errors import KillickError, Unreachable

if TYPE_CHECKING:
    from deploy.move.site import Site
    from deploy.move.spec import Spec
    from deploy.move.step import Move

_TAKES = 20.0  # seconds until a reload shows
_STARTS = 120.0  # seconds until an app that ran before answers again


class Part(Protocol):
    @property
    def name(self) -> str: ...
    def read_only(self, on: bool) -> None: ...
    def is_read_only(self) -> bool: ...
    def is_open(self) -> bool: ...
    def switch(self, to: str) -> None: ...
    def serves(self) -> str: ...
    def in_the_way(self) -> Iterator[str]: ...


@dataclass(frozen=True)
class Traffic:
    """`parts` in the order in which they are told."""

    spec: Spec
    parts: Sequence[Part]

    @classmethod
    def of(cls, spec: Spec, old: Site, new: Site) -> Self:
        """Nothing is reached yet."""
        parts: list[Part] = []
        if spec.proxy:
            parts.append(Edge(connect(spec.proxy.host), spec.proxy))
        if spec.forwarder:
            parts.append(nginx.Forwarder(old.host, spec.forwarder, new.server.address))
        return cls(spec, parts)

    @property
    def by_hand(self) -> bool:
        return not self.parts

    def read_only(self, on: bool) -> None:
        """All of them; when it returns, it shows in the answers. Raises KillickError, TimeoutError."""
        failed: list[Exception] = []
        for part in self.parts:
            try:
                part.read_only(on)
            except Exception as error:  # what can be opened again is opened, whatever holds another part up
                if on:
                    raise
                failed.append(error)
        if failed:
            raise failed[0]
        if on and self.parts and not ask.holds(lambda: not self.open_ways(), _TAKES):
            raise KillickError(
                f"writes are not refused: {'; '.join(self.open_ways())}",
                "does every name reach a backend that reads the map, and does nginx include the two files?",
            )
        if not on and not ask.holds(lambda: not self.closed_ways(), _TAKES):
            raise KillickError(
                f"writes are still refused: {'; '.join(self.closed_ways())}",
                "who refuses them there? what a move sets was set: the map by the socket and its file, nginx's file",
            )

    def is_read_only(self) -> bool:
        """Asked of every part; without parts of the answers."""
        return all(part.is_read_only() for part in self.parts) if self.parts else not self.open_ways()

    def is_open(self) -> bool:
        """That nobody refuses writes: not the opposite of `is_read_only`, where parts or ways differ."""
        return not self.refusing()

    def refusing(self) -> list[str]:
        """The parts that refuse writes; without parts the names that do."""
        if self.parts:
            return [part.name for part in self.parts if not part.is_open()]
        return [name for _, name, got in self._asked("POST", ask.nowhere()) if got.status == ask.REFUSED]

    def switch(self, to: str) -> None:
        """`to` is "old" or "new". Raises KillickError."""
        for part in self.parts:
            part.switch(to)

    def serves(self) -> str:
        """ "old", "new", or "both" where the parts differ; by hand: by the marker, and "none" where it cannot tell."""
        found = {part.serves() for part in self.parts} if self.parts else self._by_marker()
        return found.pop() if len(found) == 1 else "both"

    def open_ways(self) -> list[str]:
        """Where nothing shows that a write is refused, a sentence each: every name, by every way. It writes nothing."""
        if not ask.ways(self.spec):
            return [f"none of {', '.join(self.spec.names)} is reached from here, and so nothing is proven"]
        return [
            f"{name} answers POST with {got} ({way})"
            for way, name, got in self._asked("POST", ask.nowhere())
            if got.status != ask.REFUSED
        ]

    def closed_ways(self) -> list[str]:
        """Where a reader gets an answer and a write is refused, a sentence each: an app that still starts refuses both.
        It writes nothing."""
        read = {(way, name) for way, name, got in self._asked("GET", self.spec.check.paths[0]) if 0 < got.status < 400}
        return [
            f"{name} answers POST with {got} ({way})"
            for way, name, got in self._asked("POST", ask.nowhere())
            if got.status == ask.REFUSED and (way, name) in read
        ]

    def unreadable(self) -> list[str]:
        """Where a reader gets an error, a sentence each."""
        return [
            f"{name}{path} answers {got} ({way})"
            for path in self.spec.check.paths
            for way, name, got in self._asked("GET", path)
            if not 0 < got.status < 400
        ]

    def strangers(self) -> list[str]:
        """Where another than the new server answers, a sentence each; empty where no marker tells them apart."""
        if not self.spec.check.marker:
            return []
        wanted = self.marker(self.spec.new.address)
        return [
            f"{name} is answered by {self._marked(got) or 'nobody who says so'}, not by {wanted} ({way})"
            for way, name, got in self._asked("GET", self.spec.check.paths[0])
            if self._marked(got) != wanted
        ]

    def settled(self) -> list[str]:
        """What is still wrong with the new server's answers after a while, a sentence each."""
        return _after(_TAKES, lambda: [*self.strangers(), *self.unreadable()])

    def as_before(self) -> list[str]:
        """What is still wrong with the old server's, and who refuses writes, a sentence each: its app was started again
        just now, and gets a while. Raises KillickError where a part does not say."""
        refusing = [f"{name} still refuses writes" for name in self.refusing()] if self.parts else []
        wrong = refusing or _after(_STARTS, lambda: [*self.unreadable(), *self.closed_ways()])
        untold = () if self.parts else ("none",)
        if (serves := self.serves()) not in ("old", *untold):
            wrong = [f"{serves} is served, not the old server alone", *wrong]
        return wrong

    def marker(self, address: str) -> str:
        """What the server at `address` says that it is. Raises KillickError where it says nothing."""
        found = self._marked(ask.ask(address, self.spec.names[0], "GET", self.spec.check.paths[0]))
        if not found:
            raise KillickError(
                f"{address} does not say who it is: no {self.spec.check.marker} in its answer", "correct check.marker"
            )
        return found

    def _marked(self, answer: ask.Answer) -> str:
        return answer.headers.get(self.spec.check.marker.lower(), "")

    def _asked(self, method: str, path: str) -> Iterator[tuple[str, str, ask.Answer]]:
        """Every way and name; one that gives no answer has the status 0."""
        for way, asked in ask.ways(self.spec).items():
            for name in self.spec.names:
                try:
                    yield way, name, asked(name, method, path)
                except Unreachable:
                    yield way, name, ask.Answer(0, {})

    def _by_marker(self) -> set[str]:
        if not self.spec.check.marker:
            return {"none"}
        known: dict[str, str] = {}
        for side, server in (("old", self.spec.old), ("new", self.spec.new)):
            with suppress(KillickError):  # one that is away is not told apart
                known.setdefault(self.marker(server.address), side)
        asked = self._asked("GET", self.spec.check.paths[0])
        return {known.get(self._marked(got), "none") for way, _, got in asked if way == ask.PUBLIC} or {"none"}


def _after(seconds: float, find: Callable[[], list[str]]) -> list[str]:
    """What is found once nothing is, or so many seconds later."""
    found: list[str] = []

    def none() -> bool:
        found[:] = find()
        return not found

    ask.until(none, seconds)
    return found


def in_the_way(move: Move) -> Iterator[str]:
    traffic = move.traffic
    for part in traffic.parts:
        try:
            yield from part.in_the_way()
        except (KillickError, TimeoutError) as error:
            yield f"{part.name}: {error}"
    if not ask.ways(move.spec):
        yield (
            f"{' or '.join(move.spec.names)} is not reached at port 80 from here, and so nothing can be proven "
            "(let HAProxy listen there too, and this machine find each name; or add [forwarder])"
        )
    yield from (f"{sentence} (mend it first: a move has to compare)" for sentence in traffic.unreadable())
