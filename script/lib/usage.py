"""What a command takes: seconds, processor time, memory. Whole processes, with all that they start and wait for."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO

MB = 1_000_000


class Failed(Exception):
    """A command that was to be measured ended badly."""


@dataclass(frozen=True)
class Usage:
    """`seconds` by the clock, `cpu` of all processes. `peaks`: the largest of each program's processes, in bytes.

    The peaks are looked for, not taken from wait4: that counts the memory of whoever started the process as well.
    """

    seconds: float
    cpu: float
    peaks: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.seconds + other.seconds, self.cpu + other.cpu)

    def peak(self, program: str) -> float:
        """In megabytes."""
        return self.peaks.get(program, 0) / MB


def typical(several: Sequence[Usage]) -> Usage:
    """The median of each."""
    return Usage(median(u.seconds for u in several), median(u.cpu for u in several))


def use(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    stdout: IO[bytes] | None = None,
    sampled: bool = False,
) -> Usage:
    """Runs a command to its end. Raises Failed with the end of what it said.

    With `sampled`, `peaks` holds the peak memory of each program by name; that disturbs it a little.
    """
    log = cwd / "said"
    with log.open("wb") as said:
        start = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in argv],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout or said,
            stderr=said,
        )
        peaks = _Peaks(process.pid) if sampled else None
        _, status, took = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    seen = peaks.stop() if peaks else {}
    if process.returncode != 0:
        raise Failed(f"{' '.join(map(str, argv))[:200]} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    return Usage(seconds, took.ru_utime + took.ru_stime, seen)


class _Peaks(threading.Thread):
    """Looks at a process and its descendants ten times a second: the kernel keeps each one's peak itself."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._done = threading.Event()
        self._seen: dict[str, int] = {}
        self.start()

    def run(self) -> None:
        while not self._done.wait(0.1):
            self._look(self._pid)

    def stop(self) -> dict[str, int]:
        self._done.set()
        self.join()
        return self._seen

    def _look(self, pid: int) -> None:
        with suppress(OSError, KeyError, ValueError):
            folder = Path(f"/proc/{pid}")
            lines = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
            program = (folder / "exe").readlink().name
            name = "python" if program.startswith("python") else program
            self._seen[name] = max(self._seen.get(name, 0), int(lines["VmHWM"].split()[0]) * 1024)
        with suppress(OSError):
            for children in (Path(f"/proc/{pid}/task")).glob("*/children"):
                for child in children.read_text().split():
                    self._look(int(child))


def resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Failed(f"process {pid} is gone")
