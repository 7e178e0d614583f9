"""The end of a stream means success; a child sees only what its command names, and dies with the block."""

import os
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from threading import Event

import pytest

from deploy.move.beside import beside
from killick.errors import CommandFailed, NoSpace, Stopped
from killick.process import Command, read_from, run, start, write_to
from tests.kit import wait_for


def sh(script: str, **more: object) -> Command:
    return Command(("sh", "-c", script), **more)  # type: ignore[arg-type]


def test_a_pipeline_gives_its_bytes() -> None:
    with read_from(sh("printf 'b\\na\\n'"), Command(("sort",))) as data:
        assert b"".join(data) == b"a\nb\n"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_failure_anywhere_in_a_pipeline_fails_its_end(place: int) -> None:
    commands = [Command(("cat",)) for _ in range(3)]
    commands[place] = sh("cat; echo broken >&2; exit 3")
    with pytest.raises(CommandFailed, match="sh ended with status 3: broken"), read_from(*commands) as data:
        assert b"".join(data) == b""


def test_every_command_that_failed_is_named() -> None:
    both = sh("echo first >&2; exit 3"), sh("cat; echo second >&2; exit 4")
    with pytest.raises(CommandFailed, match=r"status 3: first.*status 4: second"), read_from(*both) as data:
        list(data)


def test_its_last_words_are_told_in_one_line() -> None:
    with pytest.raises(CommandFailed) as failed:
        run(sh("printf 'Reading\\n\\n  cut off \\nFatal\\n' >&2; exit 3"))
    assert failed.value.message == "sh ended with status 3: Reading; cut off; Fatal"
    assert failed.value.stderr == "Reading\n\n  cut off \nFatal"


def test_writing_into_a_command_that_dies_raises_its_error() -> None:
    with pytest.raises(CommandFailed, match="no thanks"), write_to(sh("echo no thanks >&2; exit 1")) as sink:
        for _ in range(1000):
            sink.write(b"x" * 100_000)


def test_writing_waits_for_the_end(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out, write_to(sh("sleep 0.1; cat"), sh("tr a b"), stdout=out) as sink:
        sink.write(b"aaa")
    assert (tmp_path / "out").read_bytes() == b"bbb"


def test_an_exception_inside_the_block_kills_the_command(tmp_path: Path) -> None:
    mark = tmp_path / "still-here"
    with pytest.raises(ZeroDivisionError), start(sh(f"sleep 0.3; touch {mark}")):
        raise ZeroDivisionError
    time.sleep(0.5)
    assert not mark.exists()


def test_a_child_sees_only_what_its_command_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert "hush" not in run(Command(("env",))).text
    assert "PGPASSWORD=x" in run(Command(("env",), env={"PGPASSWORD": "x"})).text
    assert "hush" in run(Command(("env",), inherit=True)).text


def test_secrets_are_blotted_out_of_what_it_says() -> None:
    with pytest.raises(CommandFailed) as caught:
        run(sh("echo cannot log in with s3cr3t >&2; exit 1", secrets=("s3cr3t",)))
    assert "s3cr3t" not in str(caught.value) + caught.value.stderr
    assert "cannot log in with ***" in str(caught.value)


def test_a_command_never_shows_its_environment() -> None:
    assert "hush" not in repr(Command(("true",), env={"PGPASSWORD": "hush"}, secrets=("hush",)))


def test_a_full_disk_is_told_apart() -> None:
    with pytest.raises(NoSpace) as caught:
        run(sh('for i in 1 2 3; do echo "tar: $i.dat: Cannot write: No space left on device" >&2; done; exit 2'))
    assert caught.value.kind == "no-space"
    assert caught.value.message == "sh ended with status 2: No space left on device"  # and not a line for each file


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(CommandFailed, match="no-such-program is not there"):
        run(Command(("no-such-program",)))


def test_a_noisy_program_does_not_block() -> None:
    assert run(sh("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo done")).text == "done\n"


def test_too_slow() -> None:
    with pytest.raises(TimeoutError, match=r"sh still ran after 0\.1 s"):
        run(sh("sleep 5"), timeout=0.1)


def test_a_child_dies_with_us() -> None:
    code = (
        "import os, signal, time\nfrom killick.process import Command, start\n"
        "with start(Command(('sleep', '60'))) as p:\n"
        " print(p.popen.pid, flush=True)\n time.sleep(0.3)\n os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    child = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _alive(child):
        time.sleep(0.05)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"


def at_work(word: str) -> bool:
    return subprocess.run(["pgrep", "-f", f"^sleep {word}$"], capture_output=True, check=False).returncode == 0


def test_what_ends_us_ends_what_our_threads_wait_for() -> None:
    """A signal reaches the main thread alone: theirs, and those that they made, would go on to their end."""

    def deep() -> None:
        with beside(1) as other:
            other.submit(run, Command(("sleep", "500.25"))).result()

    failed: list[Future[object]] = []
    with pytest.raises(Stopped), beside(2) as both:
        failed += [both.submit(run, Command(("sleep", "500.5"))), both.submit(deep)]
        wait_for(lambda: at_work("500.25") and at_work("500.5"))
        raise Stopped("stopped by SIGINT")
    assert all(isinstance(each.exception(), CommandFailed) for each in failed)
    assert not at_work("500.25") and not at_work("500.5")


def test_what_was_stopped_starts_no_more() -> None:
    started = Event()

    def two() -> None:
        started.set()
        with pytest.raises(CommandFailed):
            run(Command(("sleep", "500.75")))
        run(Command(("sleep", "500.75")))

    with pytest.raises(KeyError), beside(1) as other:
        done = other.submit(two)
        wait_for(lambda: started.is_set() and at_work("500.75"))
        raise KeyError
    assert isinstance(done.exception(), Stopped)
    assert not at_work("500.75")


def test_work_beside_ours_that_ends_well() -> None:
    with beside(2) as both:
        assert [each.text for each in both.map(lambda word: run(sh(f"echo {word}")), ("a", "b"))] == ["a\n", "b\n"]
    assert run(sh("echo on")).text == "on\n"
