"""What a dump started and sent into the background: it outlives the server, and is ended with the throwaway.

Meanwhile such processes become our children (PR_SET_CHILD_SUBREAPER). They are told from our own by the seccomp filter
that they cannot take off.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SET_CHILD_SUBREAPER = 36


@contextmanager
def ended() -> Iterator[None]:
    """Ends them when the block is left, their children too. Without a filter it ends nobody."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        own = _filters("self")
        while left := [pid for pid in _children() if _filters(pid) > own]:
            for pid in left:
                with suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
                    os.waitpid(int(pid), 0)
        libc.prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _children() -> list[str]:
    """Nothing on a kernel that does not tell (CONFIG_PROC_CHILDREN)."""
    found = []
    for task in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += task.read_text().split()
    return found


def _filters(pid: str) -> int:
    try:
        match = re.search(r"^Seccomp_filters:\s*(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(match[1]) if match else 0
