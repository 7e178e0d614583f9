"""Memory and processors come from the control group, v1 or v2, inside a container or out of it."""

from pathlib import Path

import pytest

from killick.limits import limits

GIB = 1 << 30


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal:       8388608 kB\nMemFree: 1 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    return tmp_path / "proc"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_machine_where_nothing_limits(tmp_path: Path, proc: Path) -> None:
    assert limits(tmp_path / "none", proc).memory == 8 * GIB


def test_v2(tmp_path: Path, proc: Path) -> None:
    put(tmp_path / "cg/memory.max", "268435456\n")
    put(tmp_path / "cg/cpu.max", "50000 100000\n")
    found = limits(tmp_path / "cg", proc)
    assert (found.memory, found.cpus) == (256 << 20, 1)


def test_v2_without_a_limit(tmp_path: Path, proc: Path) -> None:
    put(tmp_path / "cg/memory.max", "max\n")
    put(tmp_path / "cg/cpu.max", "max 100000\n")
    assert limits(tmp_path / "cg", proc).memory == 8 * GIB


def test_v1(tmp_path: Path, proc: Path) -> None:
    put(tmp_path / "cg/memory/memory.limit_in_bytes", "268435456\n")
    put(tmp_path / "cg/cpu/cpu.cfs_quota_us", "100000\n")
    put(tmp_path / "cg/cpu/cpu.cfs_period_us", "100000\n")
    found = limits(tmp_path / "cg", proc)
    assert (found.memory, found.cpus) == (256 << 20, 1)


def test_v1_without_a_limit_is_an_enormous_number(tmp_path: Path, proc: Path) -> None:
    put(tmp_path / "cg/memory/memory.limit_in_bytes", "9223372036854771712\n")
    put(tmp_path / "cg/cpu/cpu.cfs_quota_us", "-1\n")
    put(tmp_path / "cg/cpu/cpu.cfs_period_us", "100000\n")
    assert limits(tmp_path / "cg", proc).memory == 8 * GIB


def test_the_tightest_group_on_the_way_down_counts(tmp_path: Path, proc: Path) -> None:
    (proc / "self/cgroup").write_text("0::/outer/inner\n")
    put(tmp_path / "cg/outer/memory.max", "100000000\n")
    put(tmp_path / "cg/outer/inner/memory.max", "200000000\n")
    assert limits(tmp_path / "cg", proc).memory == 100_000_000
