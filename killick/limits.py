"""What this process may use: memory and processors, from its control group (v1 and v2) and the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """`memory` in bytes, `cpus` as whole processors, at least 1."""

    memory: int
    cpus: int


def limits(root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> Limits:
    """The tightest of the machine's own figures and of every control group from ours up to the root."""
    memory = _machine_memory(proc)
    cpus = float(len(os.sched_getaffinity(0)))
    for folder in _groups(root, proc, "memory"):
        memory = min([memory, *_numbers(folder / "memory.max"), *_numbers(folder / "memory.limit_in_bytes")])
    for folder in _groups(root, proc, "cpu"):
        for quota, period in (_pair(folder / "cpu.max"), _quota_v1(folder)):
            if quota > 0 and period > 0:
                cpus = min(cpus, quota / period)
    return Limits(memory, max(1, int(cpus)))


def _groups(root: Path, proc: Path, controller: str) -> list[Path]:
    """The folders that may limit us, ours last. Inside a container the mount's root is our own group."""
    folders = [root, root / controller]
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "" or controller in controllers.split(","):
            base = root if controllers == "" else root / controller
            parts = [p for p in path.split("/") if p]
            folders += [base.joinpath(*parts[: i + 1]) for i in range(len(parts))]
    return [folder for folder in folders if folder.is_dir()]


def _machine_memory(proc: Path) -> int:
    for line in (proc / "meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 512 * _MIB


def _numbers(file: Path) -> list[int]:
    """Nothing where the file is absent or says "max"."""
    try:
        return [int(file.read_text())]
    except (OSError, ValueError):
        return []


def _pair(file: Path) -> tuple[float, float]:
    try:
        quota, period = file.read_text().split()
        return float(quota), float(period)
    except (OSError, ValueError):
        return 0.0, 0.0


def _quota_v1(folder: Path) -> tuple[float, float]:
    quota, period = _numbers(folder / "cpu.cfs_quota_us"), _numbers(folder / "cpu.cfs_period_us")
    return (float(quota[0]), float(period[0])) if quota and period else (0.0, 0.0)
