"""The container that waits for a move's work on a server: real, of the sidecar's image, on this machine's engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.move import carry
from deploy.move import hand as module
from deploy.move.carry import Fenced
from deploy.move.hand import Hand
from deploy.move.handover import PASSWORDS, Handover
from deploy.move.hosts import Local
from deploy.move.site import Site
from deploy.move.sources import Held
from deploy.move.spec import Server
from killick.errors import CommandFailed
from tests.kit import wait_for
from tests.lab import Missing, docker

SECRET = "hunter2-of-the-project"
COMPOSE = f"""
services:
  sidecar:
    image: ${{SIDECAR}}
    environment: {{PROJECT: shop, DATABASE_URL: "postgres://shop@db/shop", DATABASE_PASSWORD: {SECRET}}}
    network_mode: none
    depends_on: [db]
    healthcheck: {{test: "touch /tmp/asked", interval: 1s}}
  db:
    image: nobody-starts-this
"""
ON = 'echo on >"$1"; while [ ! -e "$2" ]; do sleep 0.1; done; echo "$3"'


@pytest.fixture(scope="module")
def image() -> str:
    docker.engine()
    if docker.docker("compose", "version", check=False).returncode:
        raise Missing("no docker compose here: script/docker-engine installs it")
    # by its id: the name belongs to whoever built last
    return docker.docker("image", "inspect", "--format={{.Id}}", docker.image("sidecar")).stdout.strip()


@pytest.fixture(scope="module")
def site(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hand")
    (folder / "docker-compose.yml").write_text(COMPOSE)
    (folder / ".env").write_text(f"SIDECAR={image}\n")
    server = Server("local", "127.0.0.1", str(folder), f"killick-hand-{uuid4().hex[:8]}", ("docker-compose.yml",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", os.environ.get("DOCKER_CONFIG") or str(Path.home() / ".docker"))  # its plugins
        patch.setenv("HOME", str(folder))
        yield Site(Local(), server, "sidecar")


@pytest.fixture
def handover(site: Site, image: str) -> Iterator[Handover]:
    found = Handover(site, f"20261129T{uuid4().int % 10**6:06d}Z")
    try:
        yield found
    finally:
        found.remove(image)


@pytest.fixture
def hand(handover: Handover) -> Hand:
    return Hand(handover.site, handover.id)


def ids(handover: Handover) -> list[str]:
    return docker.docker("ps", "--all", "--quiet", "--no-trunc", f"--filter=name={handover.hand}").stdout.split()


def at_work(hand: Hand, word: str) -> bool:
    """Whether a process in the container has `word` in its command line."""
    lines = docker.docker("top", Handover(hand.site, hand.id).hand, "-eo", "pid,args", check=False).stdout.splitlines()
    return any(word in line for line in lines[1:])


def store(handover: Handover, name: str) -> Path:
    return Path(handover.store, name)


def test_it_waits_and_does_one_piece_of_work_after_another(hand: Hand, handover: Handover) -> None:
    assert hand.run("sh", "-c", 'echo "$1"', "sh", "it's $HOME") == "it's $HOME\n"
    first = ids(handover)
    assert len(first) == 1
    assert hand.run("cat", "/proc/1/comm") == "tini\n"
    assert hand.run("printenv", "PROJECT", "GIVEN", given={"GIVEN": "a b"}) == "shop\na b\n"
    with pytest.raises(CommandFailed):
        hand.run("printenv", "GIVEN")
    assert ids(handover) == first
    assert hand.run("ls", "/tmp") == ""  # nobody asks after its health


def test_it_has_the_moves_folder_and_its_passwords(hand: Hand, handover: Handover) -> None:
    password = handover.password("db", make=True)
    assert hand.run("cat", f"{PASSWORDS}/db") == password
    hand.run("sh", "-c", "echo dump >/handover/one")
    assert store(handover, "one").read_text() == "dump\n"
    with pytest.raises(CommandFailed):
        hand.run("sh", "-c", f"echo no >{PASSWORDS}/other")


def test_what_failed_is_told_with_its_status_and_its_words(hand: Hand) -> None:
    with pytest.raises(CommandFailed) as error:
        hand.run("sh", "-c", "echo out; echo first >&2; echo last words >&2; exit 4")
    assert (error.value.status, error.value.stderr.splitlines()[-1]) == (4, "last words")
    with pytest.raises(CommandFailed) as error:
        hand.run("no-such-program")
    assert error.value.status in (126, 127)
    with pytest.raises(CommandFailed) as error:
        hand.run("killick", "show", "nothing-such", given={"STORE": "file:///handover"})
    assert error.value.status == 3
    assert "nothing-such" in error.value.stderr


def test_no_status_of_the_work_makes_it_run_twice(hand: Hand, handover: Handover) -> None:
    with pytest.raises(CommandFailed) as error:
        hand.run("sh", "-c", f"echo once >>/handover/times; exit {module._GONE[0]}")
    assert error.value.status == module._GONE[0]
    assert store(handover, "times").read_text() == "once\n"


def test_work_that_is_killed_is_one_error(hand: Hand, handover: Handover) -> None:
    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(hand.run, "sh", "-c", "echo on >/handover/on; exec sleep 600.25")
        wait_for(lambda: store(handover, "on").exists())
        wait_for(lambda: at_work(hand, "600.25"))
        docker.docker("exec", handover.hand, "sh", "-c", 'kill -9 $(pidof sleep | tr " " "\\n" | sort -n | tail -1)')
        with pytest.raises(CommandFailed) as error:
            done.result()
    assert error.value.status == 128 + signal.SIGKILL
    assert hand.run("echo", "on") == "on\n"


def test_a_container_that_goes_in_the_middle_of_its_work_is_one_error(hand: Hand, handover: Handover) -> None:
    """The work is not done again unasked: how much of it was done is not known."""
    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(hand.run, "sh", "-c", "echo on >>/handover/on; exec sleep 600.25")
        wait_for(lambda: store(handover, "on").exists())
        docker.docker("rm", "--force", handover.hand)
        with pytest.raises(CommandFailed) as error:
            done.result()
    assert error.value.status == 128 + signal.SIGKILL
    assert store(handover, "on").read_text() == "on\n"
    assert hand.run("echo", "on") == "on\n"


@pytest.mark.parametrize("how", [("rm", "--force"), ("stop", "--time=0")])
def test_one_that_is_gone_before_is_made_anew(hand: Hand, handover: Handover, how: tuple[str, ...]) -> None:
    hand.run("true")
    first = ids(handover)
    docker.docker(*how, handover.hand)
    assert hand.run("echo", "on") == "on\n"
    assert len(ids(handover)) == 1
    assert ids(handover) != first


def test_two_at_once_find_it_gone_and_neither_takes_the_others_away(hand: Hand, handover: Handover) -> None:
    hand.run("true")
    for _ in range(3):
        docker.docker("rm", "--force", handover.hand)
        with ThreadPoolExecutor(2) as both:
            told = both.map(lambda word: hand.run("sh", "-c", 'sleep 2; echo "$1"', "sh", word), ("one", "other"))
            assert list(told) == ["one\n", "other\n"]


def test_what_takes_too_long_is_given_up_and_ends_before_the_next(hand: Hand, handover: Handover) -> None:
    with pytest.raises(TimeoutError, match="gave no answer for 3 s"):
        hand.run("sh", "-c", "exec sleep 600.25", timeout=3)
    hand.run("true")
    assert not at_work(hand, "600.25")


RUNNER = """
import sys
from deploy.move.hand import Hand
from deploy.move.hosts import Local
from deploy.move.site import Site
from deploy.move.sources import Held
from deploy.move.spec import Server
from killick.cli import _signals, told

directory, project, id, script = sys.argv[1:]
server = Server("local", "127.0.0.1", directory, project, ("docker-compose.yml",))
hand = Hand(Site(Local(), server, "sidecar"), id)
try:
    with _signals():
        hand.run("sh", "-c", script, timeout=900)
except BaseException as error:
    code = told(error)
    try:
        hand.run("sh", "-c", "cat /proc/[0-9]*/cmdline >/handover/next")
    finally:
        sys.exit(code)
"""


def runner(handover: Handover, script: str) -> subprocess.Popen[str]:
    server = handover.site.server
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER, server.directory, server.project, handover.id, script],
        cwd=docker.ROOT, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_the_work_before_the_next(hand: Hand, handover: Handover, number: int) -> None:
    """The way back begins with nothing of the way there at work."""
    started = runner(handover, "echo on >/handover/on; exec sleep 600.25")
    wait_for(lambda: store(handover, "on").exists())
    started.send_signal(number)
    said = started.communicate(timeout=60)[1]
    assert (started.returncode, said) == (1, f"killick: stopped by {signal.Signals(number).name}\n")
    assert "infinity" in (found := store(handover, "next").read_text())
    assert "600.25" not in found
    assert not at_work(hand, "600.25")


def test_what_a_killed_runner_left_at_work_ends_before_the_next(hand: Hand, handover: Handover) -> None:
    started = runner(handover, "echo on >/handover/on; exec sleep 600.25")
    wait_for(lambda: store(handover, "on").exists())
    started.kill()
    started.communicate()
    assert at_work(hand, "600.25")
    hand.run("true")
    assert not at_work(hand, "600.25")


def test_nothing_stays(hand: Hand, handover: Handover, image: str) -> None:
    handover.password("db", make=True)
    hand.run("sh", "-c", "umask 077; mkdir /handover/deep; echo mine >/handover/deep/file")
    handover.remove(image)
    assert ids(handover) == []
    assert not Path(handover.path).exists()
    handover.remove(image)  # again, as after an interruption


def test_no_secret_is_in_a_command_line(hand: Hand, handover: Handover) -> None:
    """Of the project's nor of the move's, on either side, while it begins and while it works."""
    password = handover.password("db", make=True)
    seen: set[bytes] = set()
    held = Held("db", "db", "postgres", "DATABASE_URL", "postgres://shop@db/shop", "shop")
    given = {**carry._SETTINGS, **carry._through(held, Fenced("move_1", f"{PASSWORDS}/db"))}
    with ThreadPoolExecutor(1) as beside:
        done = beside.submit(hand.run, "sh", "-c", ON, "sh", "/handover/on", "/handover/off", "end", given=given)
        while not done.done():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    seen.add(path.read_bytes())
            if store(handover, "on").exists() and not store(handover, "off").exists():
                inside = docker.docker("exec", handover.hand, "sh", "-c", "cat /proc/[0-9]*/cmdline; true").stdout
                store(handover, "off").touch()
    assert done.result() == "end\n"
    every = b"\n".join(seen) + inside.encode()
    assert b"compose" in every and b"exec" in every and handover.hand.encode() in every
    assert SECRET.encode() not in every
    assert password.encode() not in every
    assert hand.run("printenv", "DATABASE_PASSWORD") == f"{SECRET}\n"
