"""A program of the project's against a copy: what it is told, what it reaches, how it ends. An empty copy will do."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bson
import pytest

from killick.errors import Unverifiable
from killick.manifest import Manifest
from killick.owner import Owner
from killick.programs import installed
from killick.throwaway import App, Copy, Ended, Terms, _beside, _docker, _server, confine, throwaway
from killick.throwaway._place import User, user
from tests.faults.test_confinement import SECRET, prey
from tests.kit import wait_for
from tests.lab import docker

IMAGE = "postgres:16"  # it has a client
ASKED = 'test "$(psql -XAtc "SELECT current_database()")" = postgres'
BY_URL = 'test "$(psql "$DATABASE_URL" -XAtc "SELECT current_database()")" = "$PGDATABASE"'


def manifest(engine: str, version: str) -> Manifest:
    return Manifest("20260101T000000Z-x", "p", "x", engine, "", "", "", version, "", "", "postgres", None)


@pytest.fixture(scope="module", autouse=True)
def programs(programs_path: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        yield


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """Where others may come too: as root the programs are another user's."""
    with TemporaryDirectory(prefix="killick-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def copy(base: Path, programs: None) -> Iterator[Copy]:
    """Postgres, in a process."""
    with throwaway(manifest("postgres", "16.1"), base / "s", "process", Terms(cpus=1)) as found:
        yield found


@pytest.fixture(scope="module")
def contained(base: Path, programs: None) -> Iterator[Copy]:
    """Postgres, in a container."""
    docker.base_images()
    with throwaway(manifest("postgres", "16.1"), base / "c", "container") as found:
        yield found


@pytest.fixture(scope="module")
def tools(base: Path, programs: None) -> Path:
    """A folder with psql and all that it loads: a program may read the folder that it lies in."""
    folder = base / "tools"
    folder.mkdir()
    real = installed("psql")[0].path
    said = subprocess.run(["ldd", real], capture_output=True, text=True, check=True).stdout
    for file in (real, *re.findall(rf" => ({re.escape(str(real.parents[3]))}/\S+)", said)):
        shutil.copy(file, folder)
    (folder / "psql").rename(folder / "real")
    script(folder, "psql", f'LD_LIBRARY_PATH={folder} exec {folder}/real "$@"')
    return folder


def script(folder: Path, name: str, text: str, interpreter: str = "/bin/bash") -> str:
    path = folder / name
    path.write_text(f"#!{interpreter}\n{text}\n")
    path.chmod(0o755)
    return str(path)


def run(copy: Copy, *argv: str, image: str = "", seconds: float | None = 60) -> Ended:
    assert copy.run is not None
    return copy.run(App(argv, image), seconds)


# Beside killick


def test_beside_killick_it_is_told_where_the_copy_is(copy: Copy, tools: Path) -> None:
    path = script(tools, "check", f'PATH={tools}:$PATH; test "$*" = "two words" && {ASKED} && {BY_URL}')
    ended = run(copy, path, "two words")
    assert ended.status == 0
    assert ended.where == f"beside killick, as user {user().name}"
    assert ended.network == "none, Unix sockets only (seccomp)"
    assert ended.files == "the system's and the program's own (Landlock)"


def test_and_may_write_to_a_home_of_its_own(copy: Copy, tools: Path) -> None:
    path = script(tools, "home", 'cd && touch here && test "$(nproc)" = 1 && ! touch $(dirname $0)/there')
    assert run(copy, path).status == 0


@pytest.mark.parametrize(
    ("text", "interpreter", "status"),
    [("exit 3", "/bin/sh", 3), ("kill -9 $$", "/bin/sh", -9), ("", "/no/such/shell", confine.REFUSED)],
    ids=["status", "signal", "its first line names nothing"],
)
def test_how_it_ends(copy: Copy, tools: Path, text: str, interpreter: str, status: int) -> None:
    assert run(copy, script(tools, "ends", text, interpreter)).status == status


def test_nothing_of_what_it_says_is_seen(copy: Copy, tools: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(copy, script(tools, "says", f"echo {SECRET}; echo {SECRET} >&2; exit 1")).status == 1
    assert SECRET not in "".join(capfd.readouterr())


def test_one_that_hangs_is_ended_with_its_children(copy: Copy, tools: Path) -> None:
    path = script(tools, "hangs", "sleep 31417 & sleep 31417")
    with pytest.raises(TimeoutError):
        run(copy, path, seconds=1)
    wait_for(lambda: subprocess.run(["pgrep", "-f", "sleep 31417"], capture_output=True, check=False).returncode == 1)


def test_the_password_stands_in_no_command_line(copy: Copy, tools: Path) -> None:
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run, copy, script(tools, "long", "exec sleep 31420"), seconds=2)
        wait_for(lambda: "sleep\x0031420" in "".join(command_lines()))
        assert copy.source.password
        assert copy.source.password not in "".join(command_lines())
        with pytest.raises(TimeoutError):
            running.result()


def command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_text(errors="replace")


@pytest.mark.parametrize("name", ["no-such-program", "/usr", "/etc/passwd"])
def test_what_is_no_program(copy: Copy, name: str) -> None:
    with pytest.raises(Unverifiable, match=f"{name} is not here, or may not be run") as told:
        run(copy, name)
    assert told.value.reason == "environment"
    assert "VERIFY_APP_IMAGE" in told.value.hint


def test_a_folder_that_is_closed_to_its_user(copy: Copy, tools: Path) -> None:
    if user().other is None:
        pytest.skip("it runs as who we are")
    closed = tools / "closed"
    closed.mkdir(0o700)
    with pytest.raises(Unverifiable, match="cannot be run by user"):
        run(copy, script(closed, "x", "true"))


def test_an_image_needs_a_container(copy: Copy) -> None:
    with pytest.raises(Unverifiable, match="needs a throwaway in a container"):
        run(copy, "true", image=IMAGE)


@pytest.mark.parametrize("kind", ["copy", "contained"])
def test_it_reaches_the_copy_and_nothing_else(
    kind: str, tools: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each probe that works adds one to its status. Unconfined, as the same user, all of them do."""
    if not (confine.guards().seccomp and confine.guards().landlock):
        pytest.skip("this kernel has no seccomp filter or no Landlock")
    who = user()
    with prey(who.uid) as target:
        (victim,) = target.victims
        text = (
            "n=0; got() { n=$((n + 1)); }; exec 2>/dev/null\n"
            f"(exec 3<>/dev/tcp/127.0.0.1/{target.port}) && got\n"
            "(exec 3<>/dev/udp/127.0.0.1/9) && got\n"
            f"grep -q {SECRET} {target.secret} && got\n"
            f"grep -q {SECRET} /proc/{victim}/environ && got\n"
            "grep -q KILLICK_TEST /proc/*/environ && got\n"
            "env | grep -q '^AWS_\\|^KILLICK_TEST' && got\n"
            f"touch {tools}/mine && got\n"
            "exit $n"
        )
        path = script(tools, "probes", text)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("KILLICK_TEST", SECRET)
        tools.chmod(0o777)
        become = ["setpriv", f"--reuid={who.uid}", f"--regid={who.gid}", "--clear-groups"] if who.other else []
        assert subprocess.run([*become, path], check=False).returncode == 7, "or the test would prove nothing"
        (tools / "mine").unlink()
        target.reached.clear()
        copy: Copy = request.getfixturevalue(kind)
        assert run(copy, path).status == 0
        assert run(copy, "/bin/bash", "-c", text).status == 0, "the folder above /bin is all of the system"
        assert target.reached == []


def test_not_where_dockers_socket_is_within_its_reach(
    tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Unix socket is all that it may connect to, and that one is the host's root."""
    socket = tmp_path / "docker.sock"
    socket.touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    ourselves = User("us", os.geteuid(), os.getegid())
    cell = _server.Cell(tmp_path, ourselves, confine.guards(), Terms())
    with pytest.raises(Unverifiable, match="makes it root on this host") as told:
        _beside.run(cell, App(("true",)), {}, 60)
    assert "VERIFY_APP_IMAGE" in told.value.hint
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    assert _beside.run(cell, App(("true",)), {}, 60).status == 0


def test_mongodb_beside_killick(base: Path, tools: Path) -> None:
    """By its socket, in one message of its protocol: hello."""
    body = bson.encode({"hello": 1, "$db": "admin"})
    message = (len(body) + 21).to_bytes(4, "little") + bytes.fromhex("0100000000000000dd0700000000000000") + body
    path = script(
        tools, "hello",
        "use Socket; ($p) = $ENV{MONGO_URL} =~ m{//(.*?)/}; $p =~ s/%(..)/chr hex $1/ge;"
        "socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($p)) or exit 2;"
        f"syswrite S, pack('H*', '{message.hex()}'); sysread S, $a, 4096;"
        "exit(index($a, 'isWritablePrimary') < 0 || $ENV{DATABASE_URL} ne $ENV{MONGO_URL} ? 1 : 0)",
        "/usr/bin/perl",
    )  # fmt: skip
    with throwaway(manifest("mongodb", "6.0.1"), base / "m", "process") as copy:
        assert run(copy, path).status == 0


# In an image


def test_in_an_image_it_is_told_where_the_copy_is(contained: Copy) -> None:
    """Its network is the copy's, which is a loopback; it has no rights, and nowhere to write but /tmp."""
    lonely = "test $(tail -n +3 /proc/net/dev | wc -l) = 1"
    confined = "! touch /x && touch /tmp/x ~/y && grep -q 'CapEff:.0*$' /proc/self/status"
    ended = run(contained, "bash", "-c", f"{ASKED} && {BY_URL} && {lonely} && {confined}", image=IMAGE)
    assert ended == Ended(
        0, f"in a container of {IMAGE}", "the copy's own, which has no other (Docker)",
        f"its own only (Docker, the image {IMAGE})",
    )  # fmt: skip


def test_how_it_ends_there(contained: Copy, base: Path) -> None:
    assert run(contained, "sh", "-c", "exit 3", image=IMAGE).status == 3
    with pytest.raises(Unverifiable) as told:
        run(contained, "./manage.py", "migrate", "--check", image=IMAGE)
    assert told.value.message == f"./manage.py is not in the image {IMAGE}, or may not be run there"
    with pytest.raises(Unverifiable, match=r"registry\.invalid/shop:1 is not here") as told:
        run(contained, "true", image="registry.invalid/shop:1")
    assert told.value.reason == "no-image"
    with pytest.raises(TimeoutError):
        run(contained, "sleep", "600", image=IMAGE, seconds=1)
    assert names(base / "c", "--all") == [f"killick-throwaway-{_run(base)}"]


def test_what_docker_is_asked_for(contained: Copy, base: Path) -> None:
    with ThreadPoolExecutor() as pool:
        running = pool.submit(run, contained, "sleep", "600", image=IMAGE)
        app, own = f"{_docker.APP}{_run(base)}", f"{_docker.PREFIX}{_run(base)}"
        wait_for(lambda: app in names(base / "c"))
        found, server = (inspected(name) for name in (app, own))
        docker.docker("kill", app)
        assert running.result().status == 128 + 9
    host = found["HostConfig"]
    assert host["NetworkMode"] == host["PidMode"] == f"container:{server['Id']}"
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Memory"] == host["MemorySwap"] == 512 << 20
    assert host["PidsLimit"] == 256
    assert host["LogConfig"]["Type"] == "none", "what it says may hold rows"
    assert found["Mounts"] == [], "nothing of the host's disk"
    assert found["Config"]["Labels"]["killick.owner"] == Owner(base / "c").id
    assert found["Path"] == "sleep", "the entry point of the image is not used"
    secret = next(line for line in found["Config"]["Env"] if line.startswith("PGPASSWORD=")).partition("=")[2]
    assert secret not in json.dumps([found["Path"], found["Args"], found["Config"]["Labels"]])


def test_one_that_takes_too_much_memory(contained: Copy) -> None:
    with pytest.raises(Unverifiable, match="ran out of memory: its container has 536\\.9 MB") as told:
        run(contained, "perl", "-e", "$x = 'x' x (700 << 20)", image=IMAGE)
    assert told.value.reason == "memory"


def test_mongodb_in_an_image(base: Path) -> None:
    image = docker.image("sidecar")  # it has a driver
    once = "d.insert_one({}); exit(d.count_documents({}) != 1)"
    program = f"import os, pymongo as p; d = p.MongoClient(os.environ['DATABASE_URL']).get_default_database().t; {once}"
    with throwaway(manifest("mongodb", "6.0.1"), base / "m", "container") as copy:
        assert run(copy, "/opt/killick/bin/python", "-c", program, image=image).status == 0


def test_beside_killick_though_the_copy_is_in_a_container(contained: Copy, tools: Path, base: Path) -> None:
    ended = run(contained, script(tools, "check", f"PATH={tools}:$PATH; {ASKED} && {BY_URL}"))
    assert (ended.status, ended.network) == (0, "none, Unix sockets only (seccomp)")
    assert [run.name for run in (base / "c").glob("*/run-*")] == [f"run-{_run(base)}"], "its folder is gone"


def _run(base: Path) -> str:
    """Of the container throwaway."""
    (name,) = (name for name in names(base / "c") if name.startswith(_docker.PREFIX))
    return name.removeprefix(_docker.PREFIX)


def names(scratch: Path, *options: str) -> list[str]:
    label = f"--filter=label=killick.owner={Owner(scratch).id}"
    return docker.docker("ps", "--format={{.Names}}", label, *options).stdout.split()


def inspected(name: str) -> dict[str, Any]:
    (found,) = json.loads(docker.docker("inspect", name).stdout)
    return dict(found)
