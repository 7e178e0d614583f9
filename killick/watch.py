"""Progress: what a long piece of work tells whoever looks on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

EVERY = 10.0  # seconds between two lines about a phase that lasts


class Watch(Protocol):
    """Told how far a phase is. `total` is 0 where nobody knows it; `unit` is "bytes" or "rows"."""

    def __call__(self, done: int, total: int = 0, unit: str = "bytes") -> None: ...


def unwatched(done: int, total: int = 0, unit: str = "bytes") -> None:
    """A watch that nobody looks at."""


def now_and_then(watch: Watch, clock: Callable[[], float] = time.monotonic) -> Watch:
    """A watch that tells `watch` every 10 seconds at most, for the first time 10 seconds from now.

    `clock` gives seconds. Nothing is told while nobody tells it anything: whoever works calls it, no thread does.
    """
    last = clock()

    def told(done: int, total: int = 0, unit: str = "bytes") -> None:
        nonlocal last
        if clock() - last >= EVERY:
            last = clock()
            watch(done, total, unit)

    return told


@dataclass
class Phases:
    """The seconds of each phase of one run, and what is shown of them while they last.

    `began` is called with a phase's name when it starts, and gives the watch for it.
    """

    began: Callable[[str], Watch] = lambda _phase: unwatched
    ended: Callable[[str, float], None] = lambda _phase, _seconds: None
    seconds: dict[str, float] = field(default_factory=dict)
    current: str = ""
    _began: float = 0.0

    def so_far(self) -> dict[str, float]:
        """Asked inside a phase: the seconds of those that ended, and of this one until now."""
        took = time.monotonic() - self._began
        return {**self.seconds, self.current: round(self.seconds.get(self.current, 0.0) + took, 3)}

    @contextmanager
    def phase(self, name: str) -> Iterator[Watch]:
        """Times what happens inside. A phase entered twice adds up; `current` stays after a failure, for the report."""
        self.current = name
        start = self._began = time.monotonic()
        try:
            yield self.began(name)
        finally:
            took = time.monotonic() - start
            self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)
            self.ended(name, took)
