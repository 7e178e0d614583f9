"""A dump is code. One that runs programs while it is restored gets neither the network nor anybody's secrets.

The same probes run unconfined first, in the source: there each must succeed, or the test would prove nothing.
"""

import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from urllib.parse import parse_qs, urlsplit

import pytest

from killick import throwaway
from killick.engines import Source, connect
from killick.manifest import Manifest
from killick.throwaway import confine
from killick.watch import unwatched
from tests.lab import docker
from tests.lab.ordinary import Ordinary, ordinary
from tests.lab.postgres import Postgres
from tests.lab.server import NOBODY

SECRET = "the-secret-of-a-store"

pytestmark = pytest.mark.skipif(
    not (confine.guards().seccomp and confine.guards().landlock),
    reason="this kernel has no seccomp filter or no Landlock",
)


@dataclass
class Prey:
    """What an attacker would like: a listening port, a Unix socket, a readable file, processes with a secret."""

    port: int
    unix: Path
    secret: Path
    victims: list[int]
    reached: list[str] = field(default_factory=list)

    def probes(self) -> dict[str, str]:
        """What is tried, by name: a shell line that prints the name and what it got."""
        connect_unix = f'socket(S,AF_UNIX,SOCK_STREAM,0) && connect(S,sockaddr_un("{self.unix}")) && print "unix\\n"'
        return {
            "ran": "echo ran",
            "network": f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{self.port} && echo network'",
            "unix": f"perl -MSocket -e '{connect_unix}'",
            "file": f"grep -q {SECRET} {self.secret} && echo file",
            **{
                f"environ{pid}": f"tr '\\0' '\\n' </proc/{pid}/environ | grep -q {SECRET} && echo environ{pid}"
                for pid in self.victims
            },
            "processes": "grep -qs '[3]1415' /proc/*/cmdline && echo processes",
        }


@contextmanager
def prey(*users: int) -> Iterator[Prey]:
    """One victim for each user that we can be."""
    base = Path(tempfile.mkdtemp(prefix="killick-lab-prey-"))
    base.chmod(0o755)
    secret = base / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o644)
    tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    unix.bind(str(base / "socket"))
    (base / "socket").chmod(0o777)
    unix.listen()
    victims = []
    for user in users:
        become = (
            ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwuid(user).pw_gid}", "--clear-groups"]
            if os.geteuid() == 0
            else []
        )
        victims.append(subprocess.Popen([*become, "/usr/bin/env", f"KEY={SECRET}", "sleep", "31415"]))
    found = Prey(tcp.getsockname()[1], base / "socket", secret, [victim.pid for victim in victims])
    for name, listener in (("network", tcp), ("unix", unix)):
        threading.Thread(target=_accept, args=(name, listener, found.reached), daemon=True).start()
    try:
        wait_for_names(found.victims)
        yield found
    finally:
        for victim in victims:
            victim.kill()
            victim.wait()
        for listener in (tcp, unix):
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        shutil.rmtree(base)


def _accept(name: str, listener: socket.socket, reached: list[str]) -> None:
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            return
        reached.append(name)


def wait_for_names(pids: list[int]) -> None:
    """Until each is `sleep`: what setpriv starts takes a moment."""
    end = time.monotonic() + 10
    while {Path(f"/proc/{pid}/comm").read_text().strip() for pid in pids} != {"sleep"}:
        assert time.monotonic() < end
        time.sleep(0.01)


@dataclass
class Attack:
    dump: Path
    manifest: Manifest
    control: set[str]


def attack(server: Postgres, target: Prey, folder: Path) -> Attack:
    """A dump whose load runs the probes, and what they got when they ran unconfined, in the source."""
    name = f"attack{time.monotonic_ns()}"
    url = server.create(name)
    lines = "\n".join(
        f"BEGIN COPY public.loot FROM PROGRAM {quoted(f'( {line} ) 2>/dev/null; true')};"
        f" EXCEPTION WHEN OTHERS THEN INSERT INTO public.loot VALUES ({quoted('no program: ' + probe)}); END;"
        for probe, line in target.probes().items()
    )
    server.execute("CREATE TABLE loot (said text)", name)
    server.execute(
        f"CREATE FUNCTION attack() RETURNS boolean LANGUAGE plpgsql AS $a$ BEGIN {lines} RETURN true; END $a$", name
    )
    server.execute("CREATE TABLE bait (x int CHECK (public.attack()))", name)
    server.execute("INSERT INTO bait VALUES (1)", name)
    control = {row[0] for row in server.execute("SELECT said FROM loot", name)}
    server.execute("TRUNCATE loot", name)
    target.reached.clear()
    engine = connect(Source("x", url))
    facts = engine.facts()
    contents = engine.dump(folder, 1, unwatched)
    record = Manifest(
        "20260101T000000Z-x", "p", "x", "postgres", "", "", "", facts.server_version, "", "", name, contents
    )
    return Attack(folder, record, control)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


# Loads the dump into a throwaway, says as JSON what was found there.
_LOAD = dedent(
    """
    import json, sys
    from pathlib import Path
    from urllib.parse import parse_qs, unquote, urlsplit
    import psycopg2
    from killick import manifest as manifests, throwaway
    from killick.engines import connect
    from killick.watch import unwatched

    def loaded(manifest, dump, scratch, kind):
        with throwaway.throwaway(manifest, scratch, kind) as copy:
            connect(copy.source).load(dump, 1, manifest.contents, unwatched)
            host = parse_qs(urlsplit(copy.source.url).query)["host"][0]
            at = psycopg2.connect(host=host, user="postgres", password=copy.source.password, dbname=manifest.database)
            with at.cursor() as cursor:
                cursor.execute("SELECT said FROM loot")
                loot = [row[0] for row in cursor.fetchall()]
            at.close()
            return {"loot": loot, "network": copy.network, "files": copy.files, "user": copy.user}

    if __name__ == "__main__":
        manifest = manifests.loads(Path(sys.argv[1]).read_text(), "here")
        print(json.dumps(loaded(manifest, Path(sys.argv[2]), Path(sys.argv[3]), "process")))
    """
)


@pytest.fixture(autouse=True)
def programs(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)


@pytest.fixture(scope="module")
def user() -> Iterator[Ordinary]:
    with ordinary() as found:
        yield found


@pytest.mark.parametrize("kind", ["process", "container"])
def test_as_we_are(postgres16: Postgres, tmp_path: Path, kind: str) -> None:
    """As root a process' server is another user; else it is ours, and only the confinement keeps it from us."""
    from killick.throwaway._place import user as server_user

    if kind == "container":
        docker.base_images()
    scope: dict[str, object] = {"__name__": "loading"}
    exec(_LOAD, scope)
    (tmp_path / "dump").mkdir()
    # the source's server is nobody: the first victim is its own
    users = dict.fromkeys([NOBODY, server_user().uid]) if os.geteuid() == 0 else [os.geteuid()]
    with prey(*users) as target:
        made = attack(postgres16, target, tmp_path / "dump")
        assert set(target.probes()) - made.control <= {f"environ{victim}" for victim in target.victims[1:]}
        found = scope["loaded"](made.manifest, made.dump, tmp_path / "scratch", kind)  # type: ignore[operator]
        assert found["loot"] == ["ran"]
        assert target.reached == []
        guard = {"process": "seccomp", "container": "Docker"}[kind]
        assert found["network"] == f"none ({guard})"
        assert found["files"].startswith("its own only (")
        assert found["user"] == {"process": server_user().name, "container": "postgres"}[kind] != "root"


def test_as_an_ordinary_user(postgres16: Postgres, programs_path: str, tmp_path: Path, user: Ordinary) -> None:
    (tmp_path / "dump").mkdir()
    with prey(NOBODY if os.geteuid() == 0 else os.geteuid()) as target:
        made = attack(postgres16, target, tmp_path / "dump")
        assert made.control == set(target.probes())
        given = user.packages.parent / "given"
        shutil.copytree(made.dump, given)
        (given / "manifest").write_text(made.manifest.dumps())
        subprocess.run(["chmod", "-R", "a+rX", str(given)], check=True)
        done = user.python(
            "-c",
            _LOAD,
            str(given / "manifest"),
            str(given),
            str(user.home / "scratch"),
            env={"PROGRAMS": programs_path},
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["loot"] == ["ran"]
        assert target.reached == []
        assert found["user"] == pwd.getpwuid(NOBODY if os.geteuid() == 0 else os.geteuid()).pw_name


def test_what_a_dump_leaves_running_ends_with_the_throwaway(tmp_path: Path) -> None:
    import psycopg2

    record = Manifest("20260101T000000Z-x", "p", "x", "postgres", "", "", "", "16.1", "", "", "postgres", None)
    ours = subprocess.Popen(["sleep", "300"])
    try:
        with throwaway.throwaway(record, tmp_path, "process") as copy:
            host = parse_qs(urlsplit(copy.source.url).query)["host"][0]
            at = psycopg2.connect(host=host, user="postgres", password=copy.source.password, dbname="postgres")
            with at.cursor() as cursor:
                cursor.execute("CREATE TABLE t (pid text)")
                daemon = "setsid sh -c 'sleep 300 & echo $$; echo $!; wait' >pids & sleep 1; cat pids"
                cursor.execute("COPY t FROM PROGRAM %s", (f"cd ../tmp; {daemon}",))
                cursor.execute("SELECT pid FROM t")
                left = [int(pid) for (pid,) in cursor.fetchall()]
            at.close()
            assert [Path(f"/proc/{pid}").exists() for pid in left] == [True, True]
        assert [Path(f"/proc/{pid}").exists() for pid in left] == [False, False]
        assert ours.poll() is None, "our own children are let be"
    finally:
        ours.kill()
        ours.wait()


def test_killick_itself_is_hidden(tmp_path: Path, user: Ordinary) -> None:
    """Without Landlock, too: another process of the same user cannot read killick's environment meanwhile."""
    holder = dedent(
        """
        import os, subprocess, sys
        from killick.throwaway import confine
        def reads():
            at = f"/proc/{os.getpid()}/environ"
            return subprocess.run(["cat", at], capture_output=True).stdout.count(b"KEY=") > 0
        print(reads())
        with confine.hidden():
            print(reads())
        print(reads())
        """
    )
    done = user.python("-c", holder, env={"KEY": SECRET})
    assert done.stdout.split() == ["True", "False", "True"], done.stderr


def test_what_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a kernel without the guards the throwaway starts all the same, and says that it is open."""
    monkeypatch.setattr(confine, "guards", lambda: confine.Guards(seccomp=False, landlock=0))
    record = Manifest("20260101T000000Z-x", "p", "x", "postgres", "", "", "", "16.1", "", "", "postgres", None)
    with throwaway.throwaway(record, tmp_path, "process") as copy:
        assert copy.network.startswith("open: ")
        assert copy.files.startswith("open: ")


def test_a_guard_that_is_refused_ends_the_start(tmp_path: Path) -> None:
    """It is never left out silently: a folder that is not there cannot be fenced in."""
    policy = confine.Policy(parent=os.getpid() + 1, read=("/usr",), write=(str(tmp_path),))
    done = subprocess.run(confine.argv(policy, ("/bin/true",)), capture_output=True, text=True)
    assert done.returncode == confine.REFUSED
    assert "its parent is gone" in done.stderr
