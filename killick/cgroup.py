"""What the container may use. A process sees the host's processors; its cgroup knows better."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def cpus(root: Path = ROOT) -> int:
    """Processors that may be kept busy, at least 1: those we may run on, cut by the quota of cgroup v2 or v1."""
    count = len(os.sched_getaffinity(0))
    quota, period = (
        _numbers(root / "cpu.max") or _numbers(root / "cpu/cpu.cfs_quota_us", root / "cpu/cpu.cfs_period_us")
    ) or (0, 0)
    if quota > 0 and period > 0:
        count = min(count, -(-quota // period))
    return max(1, count)


def _numbers(*files: Path) -> tuple[int, int] | None:
    try:
        quota, period = " ".join(file.read_text() for file in files).split()
        return int(quota), int(period)
    except (OSError, ValueError):  # no such file, or "max"
        return None
