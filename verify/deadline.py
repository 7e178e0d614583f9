"""VERIFY_TIMEOUT: an end to whatever is going on, also while somebody waits for the throwaway's answer."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from killick.errors import Stopped, Unverifiable


class _Late(Stopped):
    pass


class Deadline:
    """`seconds` from now; 0: never. `passed` tells whether an error was its doing."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        return bool(self.seconds) and time.monotonic() >= self._end

    @property
    def left(self) -> float | None:
        """Seconds; None: as long as it takes."""
        return max(0.0, self._end - time.monotonic()) if self.seconds else None

    def error(self) -> Unverifiable:
        return Unverifiable(
            f"it took longer than {self.seconds:g} s and was stopped",
            "raise VERIFY_TIMEOUT, or give the verifier more processors",
            reason="timeout",
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Ends what the main thread is at, wherever that is, and raises the error; in others only `ends` holds."""
        if not self.seconds or threading.current_thread() is not threading.main_thread():
            yield
            return

        def late(_number: int, _frame: FrameType | None) -> None:
            raise _Late

        before = signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        try:
            yield
        except _Late:
            raise self.error() from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    @contextmanager
    def ends(self, kill: Callable[[], None]) -> Iterator[None]:
        """Calls `kill` in time: a driver that waits for its server lets no signal through to Python."""
        if not self.seconds:
            yield
            return
        timer = threading.Timer(max(0.0, self._end - time.monotonic()), kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
