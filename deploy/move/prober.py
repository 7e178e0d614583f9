"""Asks a site from outside, by every way that leads to it, and keeps what it saw.

    with Prober({"public": ("10.0.0.10", "shop.example"), "old": ("10.0.0.11", "shop.example")}, spec.check) as prober:
        …
    windows(prober.samples())

For each way four threads ask: reads and writes, each with a connection per request and with one that is kept. The
servers differ in which of them they let go. A kept connection that ended before an answer is asked anew once for a
read, as browsers do; a write is never sent twice.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import uuid4

from deploy.move.spec import Check
from deploy.move.windows import REFUSED, UNKNOWN, Kind, Sample

__all__ = ["Prober", "Sample"]

_EACH = 0.1  # seconds between two requests of a thread: two threads give 20 a second
_TIMEOUT = 5.0
_NOWHERE = "/.well-known/killick-move/{id}"
"""Where the prober may not write: an app has nothing there and says so, and a proxy that refuses writes says that."""


class Prober:
    """`targets` maps a way to an address ("10.0.0.10", "10.0.0.10:8080") and the Host header to ask it with."""

    def __init__(self, targets: Mapping[str, tuple[str, str]], check: Check) -> None:
        self._samples: list[Sample] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._ask, args=(way, address, host, check, kind, kept), name=f"prober-{way}-{kind}", daemon=True
            )
            for way, (address, host) in targets.items()
            for kind in ("read", "write")
            for kept in (False, True)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * _TIMEOUT)

    def samples(self) -> Sequence[Sample]:
        """Those that ended so far, by their begin."""
        return sorted(self._samples.copy(), key=lambda sample: sample.at)

    def _ask(self, way: str, address: str, host: str, check: Check, kind: Kind, kept: bool) -> None:
        connection = http.client.HTTPConnection(address, timeout=_TIMEOUT)
        due = time.monotonic() + (_EACH / 2 if kept else 0.0)
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            at, begun = time.time(), time.monotonic()
            status, served_by = _one(connection, host, check, kind)
            self._samples.append(Sample(way, kind, at, time.monotonic() - begun, status, served_by))
            if not kept:
                connection.close()
            due = max(due + _EACH, time.monotonic())  # what a slow answer missed is not made up for
        connection.close()


def _one(connection: http.client.HTTPConnection, host: str, check: Check, kind: Kind) -> tuple[int, str]:
    """The status and the marker. A write has an id of its own, so that it can be looked for."""
    method, path = "GET", check.paths[0]
    if kind == "write":
        method, path = "POST", (check.write or _NOWHERE).replace("{id}", f"killick-{uuid4().hex}")
    reused = connection.sock is not None
    found = _exchange(connection, method, path, host, check.marker)
    if found[0] == UNKNOWN and reused and kind == "read":
        found = _exchange(connection, method, path, host, check.marker)
    return found


def _exchange(
    connection: http.client.HTTPConnection, method: str, path: str, host: str, marker: str
) -> tuple[int, str]:
    try:
        if connection.sock is None:
            connection.connect()
    except OSError:
        connection.close()
        return REFUSED, ""
    headers = {"Host": host, "User-Agent": "killick-move", "Cache-Control": "no-cache"}
    try:
        connection.request(method, path, headers=headers)
        with connection.getresponse() as answer:
            answer.read()
            return answer.status, (answer.getheader(marker) or "") if marker else ""
    except (OSError, http.client.HTTPException):
        with suppress(OSError):
            connection.close()
        return UNKNOWN, ""
