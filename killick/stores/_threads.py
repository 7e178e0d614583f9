"""A few threads that send or fetch the pieces of one object."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

THREADS = 3


class Cancelled(BaseException):  # no Exception: boto3 would take it for a cut connection, and retry
    """The upload or download was given up while this piece was on its way."""


@contextmanager
def running(work: Callable[[], None], count: int, stop: Callable[[], None]) -> Iterator[None]:
    """Threads that do `work`. When the block is left, `stop` has to make them end; nobody waits for them for long.

    They are daemons: one that waits for a dead server never keeps the process from ending.
    """
    workers = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    try:
        for worker in workers:
            worker.start()
        yield
    finally:
        stop()
        for worker in workers:
            if worker.ident is not None:
                worker.join(timeout=0.5)
