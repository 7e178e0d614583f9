"""Scratch: each run has its folder, the dead ones' are swept, the living ones' never. What passes is hashed."""

import hashlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from killick.errors import NoSpace
from killick.stream import Measure, Scratch, measure, measured, write_whole


def test_a_folder_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with Scratch(tmp_path / "s").folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "closed").mkdir(mode=0o000)
    assert list((tmp_path / "s").iterdir()) == []


def test_what_a_dead_run_left_is_swept_and_what_a_living_one_holds_is_not(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom killick.stream import Scratch\n"
        "with Scratch(Path(sys.argv[1])).folder() as f:\n"
        " (f / 'x').write_text('x')\n os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    (dead,) = tmp_path.iterdir()
    with Scratch(tmp_path).folder() as alive:
        assert Scratch(tmp_path).sweep() == [dead.name]
        assert alive.exists()


def test_a_root_that_the_system_does_not_let_us_look_at(tmp_path: Path) -> None:
    """By a name that is too long: root, who may run this, may look everywhere else."""
    scratch = Scratch(tmp_path / ("x" * 300))
    assert abs(scratch.free() - Scratch(tmp_path).free()) < 1 << 30  # others write there too
    assert scratch.sweep() == []
    with pytest.raises(NoSpace, match="File name too long"), scratch.folder():
        pass


def test_a_sweep_never_takes_a_folder_that_is_being_made(tmp_path: Path) -> None:
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            Scratch(tmp_path).sweep()

    sweepers = [threading.Thread(target=sweep) for _ in range(2)]
    for each in sweepers:
        each.start()
    try:
        for _ in range(300):
            with Scratch(tmp_path).folder() as folder:
                assert folder.exists()
    finally:
        done.set()
        for each in sweepers:
            each.join()


def test_a_place_that_cannot_be_written() -> None:
    with pytest.raises(NoSpace, match="SCRATCH_DIR"), Scratch(Path("/proc/nowhere")).folder():
        pass


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"abc")
    assert (measure(tmp_path / "a").size, [p.name for p in tmp_path.iterdir()]) == (3, ["a"])
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none/a", b"abc")


@pytest.mark.parametrize("sizes", [(), (0, 1), (1 << 20,) * 3, (1 << 20, 1, 1 << 16, (1 << 16) - 1, 1 << 18, 7)])
def test_what_passes_is_hashed_in_its_order(sizes: tuple[int, ...]) -> None:
    chunks = [bytes([number]) * size for number, size in enumerate(sizes)]
    seen = Measure()
    assert list(measured(iter(chunks), seen)) == chunks
    assert (seen.size, seen.sha256) == (sum(sizes), hashlib.sha256(b"".join(chunks)).hexdigest())


def test_whoever_stops_taking_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    for _ in measured(iter([b"x" * (1 << 20)] * 3), Measure()):
        break
    assert threading.active_count() == before
