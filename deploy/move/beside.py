"""Work beside ours, in threads, that does not outlast ours: whatever ends ours ends what they wait for."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

from killick.process import Reins, held


@contextmanager
def beside(threads: int) -> Iterator[Executor]:
    reins = Reins()
    with held(reins), ThreadPoolExecutor(threads, initializer=reins.take) as pool:
        try:
            yield pool
        except BaseException:
            reins.stop()
            raise
