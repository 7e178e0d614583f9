"""People who use the site while it moves, and a ledger of what they were promised.

By the edge, by another name there, and by the old server's address: readers and writers, each with a connection per
request, with one that is kept, and with requests that take a second.
"""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from uuid import uuid4

from tests.lab.two import ADDRESS, NAME

_WAYS = (("edge", NAME), ("edge", f"www.{NAME}"), ("old", NAME))
_PAUSE = 0.2  # seconds: two processors serve all of this
_HOLD = 1.0
_TIMEOUT = 10.0


@dataclass
class Ledger:
    """Ids of writes: `promised` were answered with 201, `unknown` were sent and never answered. Statuses of all."""

    promised: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Compared:
    lost: list[str]
    duplicated: list[str]
    late: list[str]
    """On the old server only: written after the backup was taken."""


def compare(ledger: Ledger, old: Iterable[str], new: Iterable[str]) -> Compared:
    on_new = Counter(new)
    return Compared(
        lost=sorted(id for id in ledger.promised if id not in on_new),
        duplicated=sorted(id for id, times in on_new.items() if times > 1),
        late=sorted(set(old) - set(on_new)),
    )


class Load:
    """Runs inside `with`; the ledger is whole after it."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._use, args=(machine, host, method, kept, hold), daemon=True)
            for machine, host in _WAYS
            for method in ("GET", "POST")
            for kept, hold in ((False, 0.0), (True, 0.0), (True, _HOLD))
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
            thread.join(3 * _TIMEOUT)
            assert not thread.is_alive(), "a user of the site hangs"

    def _use(self, machine: str, host: str, method: str, kept: bool, hold: float) -> None:
        connection = http.client.HTTPConnection(ADDRESS[machine], timeout=_TIMEOUT)
        while not self._stop.wait(_PAUSE):
            id = uuid4().hex
            path = f"/canary?id={id}&hold={hold:g}" if method == "POST" else f"/?hold={hold:g}"
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError:
                self.ledger.answers[f"{method} refused"] += 1
                connection.close()
                continue
            try:
                connection.request(method, path, headers={"Host": host})
                with connection.getresponse() as answer:
                    answer.read()
                self.ledger.answers[f"{method} {answer.status}"] += 1
                if method == "POST" and answer.status == 201:
                    self.ledger.promised.append(id)
            except (OSError, http.client.HTTPException):
                self.ledger.answers[f"{method} unknown"] += 1
                if method == "POST":
                    self.ledger.unknown.append(id)
                connection.close()
            if not kept:
                connection.close()
        connection.close()
