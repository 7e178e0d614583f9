"""How long a site could not be written, could not be read, and was answered by two servers at once.

Everything here is pure: samples in, spans out. A site is used by every way but the one called NEW, which leads past the
edge to a server that nobody is sent to yet: what fails there is no downtime.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

NEW = "new"
REFUSED = 0
"""Instead of a status: the connection was not made, so nothing was sent."""
UNKNOWN = -1
"""Instead of a status: it was sent, and the connection ended without an answer. A write may have been done or not."""

_GROUP = 1.0  # seconds: servers that change more often than that answer at once

Kind = Literal["read", "write"]


@dataclass(frozen=True)
class Sample:
    """One request. `at` is when it was begun (Unix time), `took` how long until its end, both in seconds.

    `status` is the answer's, REFUSED or UNKNOWN. `served_by` is the marker's value, "" without one.
    """

    way: str
    kind: Kind
    at: float
    took: float
    status: int
    served_by: str = ""

    @property
    def good(self) -> bool:
        """A write is good when the app answered it, whatever it thought of it; a read when it was not refused."""
        return 0 < self.status < (500 if self.kind == "write" else 400)


@dataclass(frozen=True)
class Window:
    """`seconds` is the sum of `spans` (Unix times, in order, none overlaps another)."""

    spans: tuple[tuple[float, float], ...] = ()

    @property
    def seconds(self) -> float:
        return sum(end - start for start, end in self.spans)

    @property
    def start(self) -> float:
        """0.0 where there is no span."""
        return self.spans[0][0] if self.spans else 0.0

    @property
    def end(self) -> float:
        return self.spans[-1][1] if self.spans else 0.0


@dataclass(frozen=True)
class Windows:
    """`unknown` counts writes without an answer: they are no proof of loss, and none of the opposite."""

    write_unavailable: Window
    read_unavailable: Window
    mixed: Window
    unknown: int


def windows(samples: Iterable[Sample]) -> Windows:
    used = sorted((sample for sample in samples if sample.way != NEW), key=lambda sample: sample.at)
    return Windows(
        write_unavailable=_unavailable([s for s in used if s.kind == "write"]),
        read_unavailable=_unavailable([s for s in used if s.kind == "read"]),
        mixed=_mixed([s for s in used if s.kind == "read" and s.good and s.served_by]),
        unknown=sum(s.kind == "write" and s.status == UNKNOWN for s in used),
    )


def summary(found: Windows) -> list[str]:
    """Lines of the report."""
    lines = [
        f"{name}: {_told(window)}"
        for name, window in (
            ("writes unavailable", found.write_unavailable),
            ("reads unavailable", found.read_unavailable),
            ("both servers answered at once", found.mixed),
        )
    ]
    return [*lines, f"writes that got no answer, done or not: {found.unknown}"]


def _told(window: Window) -> str:
    if not window.spans:
        return "never"
    several = f" in {len(window.spans)} spans" if len(window.spans) > 1 else ""
    return f"{window.seconds:.2f} s{several}"


def _unavailable(samples: Sequence[Sample]) -> Window:
    """The site is unavailable while one of the ways is."""
    ways = {sample.way for sample in samples}
    return _union(span for way in ways for span in _failing([s for s in samples if s.way == way]))


def _failing(samples: Sequence[Sample]) -> Iterable[tuple[float, float]]:
    """From the begin of the first that failed to the end of the next good one: nobody knew earlier that it works.

    A way that still fails in the end is failing until its last sample.
    """
    since: float | None = None
    for sample in samples:
        if not sample.good:
            since = sample.at if since is None else since
        elif since is not None:
            yield since, sample.at + sample.took
            since = None
    if since is not None:
        yield since, max(sample.at + sample.took for sample in samples)


def _mixed(samples: Sequence[Sample]) -> Window:
    """From the first answer by another server to the last one by that before; a clean switch has no length."""
    changes = [b.at for a, b in pairwise(samples) if a.served_by != b.served_by]
    spans: list[tuple[float, float]] = []
    for at in changes:
        if spans and at - spans[-1][1] <= _GROUP:
            spans[-1] = (spans[-1][0], at)
        else:
            spans.append((at, at))
    return Window(tuple((start, end) for start, end in spans if end > start))


def _union(spans: Iterable[tuple[float, float]]) -> Window:
    whole: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if whole and start <= whole[-1][1]:
            whole[-1] = (whole[-1][0], max(end, whole[-1][1]))
        else:
            whole.append((start, end))
    return Window(tuple(whole))
