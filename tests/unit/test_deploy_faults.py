"""What goes wrong around a deploy: its exit code, its words, and what was not touched.

`docker` is a program that answers from a file, and writes down what it was told; tests/end_to_end/test_deploy.py has a
real one.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy import compose, frozen, gate
from killick.errors import KillickError
from tests.kit import Ran, wait_for
from tests.lab import docker
from tests.web import listener

DOCKER = """#!PYTHON
import json, pathlib, sys, time

at = pathlib.Path(FOLDER)
words = sys.argv[1:]
verbs = "inspect logs backup restore pull build up ps config".split()
verb = next((each for each in verbs if each in words), " ".join(words[:2]))
with open(at / "told", "a") as file:
    file.write(verb + "\\n")
with open(at / "argv", "a") as file:
    file.write(" ".join(words) + "\\n")
answers = json.loads((at / "answers.json").read_text())
if "up" in (at / "told").read_text().split() and verb != "up":
    answers |= answers["after"]
if verb in answers["sleeps"]:
    time.sleep(answers["sleeps"][verb])
if verb in answers["fails"]:
    print(answers["fails"][verb][1], file=sys.stderr)
    sys.exit(answers["fails"][verb][0])
print(answers["says"].get(verb, ""))
"""
CONTAINER = {
    "Id": "1", "RestartCount": 0, "Config": {"Labels": {"com.docker.compose.service": "app"}, "Image": "shop:42"},
    "State": {"Status": "running", "ExitCode": 0, "StartedAt": "2026-11-24T03:00:00Z"},
}  # fmt: skip
CONFIG = {
    "name": "killick-faults",
    "services": {
        "app": {},
        "sidecar": {"deploy": {"replicas": 0}, "environment": {"DATABASE_URL": "postgres://u@db/s"}},
    },
}
READS = {
    "docker version",
    "version --format={{.Server.Version}}",
    "compose version",
    "config",
    "ps",
    "inspect",
    "volume ls",
}
SAID = json.dumps([{"source": "db", "id": "20261123T030000Z-db", "error": None}])
FORESEEN = json.dumps({"into": "postgres://u@db/s", "refused": "db is production"})
BACK = "run --rm --no-deps sidecar restore 20261123T030000Z-db --adopt --yes-overwrite-production db"
GONE = (1, "Cannot connect to the Docker daemon")


@dataclass
class Site:
    folder: Path
    home: Path

    def answers(self, **changes: Any) -> None:
        asked = {"config": json.dumps(CONFIG), "ps": "1", "inspect": json.dumps([CONTAINER])}
        says = {**asked, "backup": SAID, "restore": FORESEEN}
        document = {"says": says, "fails": {}, "sleeps": {}, "after": {}}
        changes["says"] = {**says, **changes.get("says", {})}
        (self.home / "answers.json").write_text(json.dumps(document | changes))

    def start(self, *argv: str, **settings: str) -> subprocess.Popen[str]:
        path = f"{self.home}/bin:{os.environ['PATH']}"
        given = {"PATH": path, "HOME": str(self.home), "TMPDIR": str(self.home), "PYTHONPATH": str(docker.ROOT)}
        words = [sys.executable, "-m", "killick", "deploy", "prod", "--timeout", "2s", "--settle", "0", *argv]
        return subprocess.Popen(
            words, cwd=self.folder, env={**given, **settings}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def deploy(self, *argv: str, code: int, **settings: str) -> Ran:
        started = self.start(*argv, **settings)
        out, err = started.communicate(timeout=120)
        assert (started.returncode, "Traceback" in err, "nobody foresaw" in err) == (code, False, False), err
        return Ran(started.returncode, out, err)

    @property
    def told(self) -> list[str]:
        path = self.home / "told"
        return path.read_text().splitlines() if path.exists() else []

    def argv(self, *verbs: str) -> list[str]:
        """What compose was told to do, without the words that are always the same."""
        always = "compose -p killick-faults -f docker-compose.yml -f dc.prod.yml "
        told = (line.removeprefix(always) for line in (self.home / "argv").read_text().splitlines())
        return [line for line in told if line.split()[0] in verbs]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path / "site", tmp_path / "home")
    made.folder.mkdir()
    program = made.home / "bin" / "docker"
    program.parent.mkdir(parents=True)
    program.write_text(DOCKER.replace("PYTHON", sys.executable).replace("FOLDER", repr(str(made.home))))
    program.chmod(0o755)
    (made.folder / "docker-compose.yml").write_text("name: killick-faults\nservices: {}\n")
    (made.folder / "dc.prod.yml").write_text("services: {}\n")
    made.answers()
    return made


def unchanged(site: Site, ran: Ran) -> None:
    assert "up" not in site.told
    assert "The deploy changed nothing that runs, and no data." in ran.err
    assert "comes back with" not in ran.err


def test_all_is_well(site: Site) -> None:
    site.deploy("--no-pull", code=0)
    assert [verb for verb in site.told if verb in ("pull", "backup", "up")] == ["backup", "up"]


def test_nothing_new_starts_before_the_backup(site: Site) -> None:
    """A sidecar that does not run starts nothing that it depends on; a database that stands still starts as it was."""
    sidecar = {**CONFIG["services"]["sidecar"], "depends_on": {"app": {"condition": "service_healthy"}}}
    config = json.dumps({**CONFIG, "services": {"app": {}, "db": {}, "sidecar": sidecar}})
    site.answers(says={"config": config})
    assert "  databases  start db as before, to back up" in site.deploy("--check", code=0).out
    site.deploy("--no-pull", code=1)
    assert site.argv("up", "run", "exec") == [
        "up --detach --no-build --no-deps --no-recreate --wait --wait-timeout=2 db",
        "run --rm --no-deps -T sidecar backup --json",
        "run --rm --no-deps -T sidecar restore 20261123T030000Z-db --dry-run --json",
        "up --detach --no-build",
    ]


@pytest.mark.parametrize(
    ("here", "backed_up"), [("other_db\nkillick-faults_db", True), ("other_db", False), ("", False)]
)
def test_a_project_that_was_taken_down_has_its_data_still(site: Site, here: str, backed_up: bool) -> None:
    own = {"db": {"name": "killick-faults_db"}, "shared": {"name": "other_db", "external": True}}
    config = json.dumps({**CONFIG, "services": {**CONFIG["services"], "db": {}}, "volumes": own})
    site.answers(says={"config": config, "ps": "", "volume ls": here})
    said = site.deploy("--check", code=0)
    assert ("nothing to back up" in said.err + said.out) is not backed_up
    site.deploy("--no-pull", code=1)
    assert (site.argv("run")[:1] == ["run --rm --no-deps -T sidecar backup --json"]) is backed_up
    assert bool(site.argv("up")[:-1]) is backed_up, "its database is up for it"


def test_a_database_that_does_not_come_up_for_the_backup(site: Site) -> None:
    services = {**CONFIG["services"], "db": {}}
    site.answers(says={"config": json.dumps({**CONFIG, "services": services})}, fails={"up": (1, "db is unhealthy")})
    ran = site.deploy(code=1)
    assert "db is unhealthy" in ran.err and "docker compose up ended with 1" in ran.err
    assert "The deploy changed nothing that runs, and no data." in ran.err
    assert "backup" not in site.told and len(site.argv("up")) == 1


@pytest.mark.parametrize(
    ("into", "named"),
    [
        ("postgres://u@db.internal:5433/s", " --yes-overwrite-production db.internal"),
        ("postgres:///s", " --yes-overwrite-production localhost"),
        ("file:///uploads", ""),
        (None, ""),
    ],
)
def test_the_way_back_names_the_target_that_the_sidecar_knows(site: Site, into: str | None, named: str) -> None:
    """Where it does not tell, the restore says itself what it wants to hear."""
    fails = {"up": (1, "")} | ({"restore": (5, "no")} if into is None else {})
    site.answers(says={"restore": json.dumps({"into": into})}, fails=fails)
    assert f"sidecar restore 20261123T030000Z-db --adopt{named}\n" in site.deploy(code=1).err


def test_check_asks_and_does_nothing(site: Site) -> None:
    said = site.deploy("--check", code=0).out
    assert [word for word in ("pull", "backup", "up", "health") if f"  {word} " in said] == [
        "pull", "backup", "up", "health"
    ]  # fmt: skip
    assert set(site.told) <= READS
    assert sorted(path.name for path in site.folder.iterdir()) == ["dc.prod.yml", "docker-compose.yml"]
    assert not list(site.home.glob("*.lock"))


@pytest.mark.parametrize(
    ("verb", "says"),
    [
        ("pull", "docker compose pull ended with 1"),
        ("backup", "the backup before the deploy failed (exit 1); nothing was changed"),
    ],
)
def test_what_fails_before_anything_is_started(site: Site, verb: str, says: str) -> None:
    site.answers(fails={verb: (1, "its own words")})
    ran = site.deploy(code=1)
    assert says in ran.err and "its own words" in ran.err
    unchanged(site, ran)


@pytest.mark.parametrize("said", ["", "{}", "[]", "no json", '[{"source": "db"}]', "null"])
def test_a_sidecar_that_is_not_killick(site: Site, said: str) -> None:
    site.answers(says={"backup": said})
    ran = site.deploy(code=1)
    assert "what sidecar says of its backup cannot be read" in ran.err and "exec -T sidecar killick" not in ran.err
    unchanged(site, ran)


def test_an_override_that_cannot_be_written(site: Site) -> None:
    (site.folder / "docker-compose.override.yml.part").mkdir()
    ran = site.deploy("--override", code=1)
    assert "docker-compose.override.yml cannot be written: Is a directory" in ran.err
    unchanged(site, ran)


def test_compose_cannot_start_it(site: Site) -> None:
    site.answers(fails={"up": (17, "port is already allocated")})
    ran = site.deploy(code=1)
    assert "port is already allocated" in ran.err and "docker compose up ended with 17" in ran.err
    assert BACK in ran.err


def test_docker_goes_down_in_the_middle(site: Site) -> None:
    """What failed is told all the same, and what brings the data back, to people and to programs."""
    site.answers(after={"fails": dict.fromkeys(["ps", "inspect", "logs"], GONE)})
    with listener() as told:
        ran = site.deploy("--json", code=1, NOTIFY_URLS=f"json://127.0.0.1:{told.port}/")
        assert BACK in json.loads(told.asked[-1].body)["message"]
    assert "Cannot connect to the Docker daemon" in ran.err
    assert "What runs now of killick-faults:\n  docker does not tell\n" in ran.err
    assert BACK in ran.err
    assert (ran.json["changed"], ran.json["services"], ran.json["backups"]) == (True, None, ["20261123T030000Z-db"])


def test_docker_that_does_not_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.answers(sleeps={"version --format={{.Server.Version}}": 60, "config": 60, "ps": 60})
    monkeypatch.setenv("PATH", f"{site.home}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(compose, "_SECONDS", 0.5)
    for asks in (
        lambda: compose.find(site.folder, "prod"),
        lambda: compose._answer(compose.Compose(site.folder, (), "x").command("ps"), 0.5),
    ):
        with pytest.raises(KillickError, match=r"still ran after 0\.5 s"):
            asks()


def test_no_docker_and_no_compose(site: Site, tmp_path: Path) -> None:
    site.answers(fails={"compose version": (1, "docker: 'compose' is not a docker command.")})
    ran = site.deploy(code=1)
    assert (
        "no answer to docker compose: docker ended with status 1: docker: 'compose' is not a docker command." in ran.err
    )
    assert "install Docker's plugin compose, version 2" in ran.err
    ran = site.deploy(code=1, PATH=str(tmp_path))
    assert "no answer to docker version: docker is not there, or may not be run" in ran.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", ["pull", "backup", "up"])
def test_a_signal_ends_it(site: Site, verb: str, number: int) -> None:
    site.answers(sleeps={verb: 600})
    started = site.start()
    wait_for(lambda: verb in site.told)
    started.send_signal(number)
    err = started.communicate(timeout=60)[1]
    assert started.returncode == 1
    assert f"stopped by {signal.Signals(number).name}" in err
    assert ("The deploy changed nothing that runs" in err, BACK in err) == (verb != "up", verb == "up")
    wait_for(lambda: str(site.home) not in _running())


def _running() -> str:
    return subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True, check=True).stdout


@contextmanager
def held(site: Site) -> Iterator[None]:
    with (site.home / "killick-deploy-killick-faults.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_another_deploy_goes_on(site: Site) -> None:
    with held(site):
        for wait in ((), ("--wait", "1s")):
            ran = site.deploy(*wait, code=7)
            assert "another deploy of killick-faults goes on, on this host" in ran.err
            assert "up" not in site.told and "backup" not in site.told
        started = site.start("--wait", "1m")
        wait_for(lambda: "flock" in Path(f"/proc/{started.pid}/wchan").read_text() or started.poll() is None)
    assert started.wait(60) == 0, started.stderr
    started.communicate()


def test_a_lock_that_somebody_laid_a_link_for(site: Site) -> None:
    (site.home / "killick-deploy-killick-faults.lock").symlink_to(site.home / "elsewhere")
    ran = site.deploy(code=1)
    assert "killick-deploy-killick-faults.lock: Too many levels of symbolic links" in ran.err
    assert not (site.home / "elsewhere").exists() and "backup" not in site.told


@pytest.mark.parametrize("argv", [(), ("--check",)])
@pytest.mark.parametrize(
    ("mark", "says"),
    [
        (b"20261123T030000Z\n", "is being moved to another server, move 20261123T030000Z"),
        (b"20261123T030000Z\n10.0.0.12, /srv/shop\n", "was moved to 10.0.0.12, /srv/shop"),
        (b"\xff", "is being moved to another server, move (its mark cannot be read)"),
        (b"", "is being moved to another server"),
    ],
)
def test_a_project_that_a_move_holds(site: Site, argv: tuple[str, ...], mark: bytes, says: str) -> None:
    path = site.home / frozen.mark("killick-faults")
    path.parent.mkdir(parents=True)
    path.write_bytes(mark)
    ran = site.deploy(*argv, code=5)
    assert says in ran.err and "rm " in ran.err
    assert set(site.told) <= READS


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--settle", "2s"), "--settle has to be shorter than --timeout"),
        (("--timeout", "0"), "--settle has to be shorter than --timeout"),
        (("--timeout", "-5m"), "--timeout"),
        (("--wait", "soon"), "--wait"),
        (("--url", "localhost:8000"), "is no address"),
        (("--url", "http://"), "is no address"),
        (("--url", "http://localhost:port/"), "is no address"),
        (("--url", "http://localhost:99999/"), "is no address"),
        (("--url", "http://local host/"), "is no address"),
        (("--url", "http://localhost/über"), "is no address"),
        (("--directory", "/nowhere"), "--directory"),
    ],
)
def test_usage(site: Site, argv: tuple[str, ...], says: str) -> None:
    assert says in site.deploy(*argv, code=2).err
    assert site.told == []


def test_what_pins_the_name(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose says what it is: quotes, comments and `export` are its own to read."""
    file, dotenv = site.folder / "docker-compose.yml", site.folder / ".env"
    file.write_text("services: {}\n")
    assert "nothing pins the project's name" in site.deploy("--check", code=5).err
    for line in ('export COMPOSE_PROJECT_NAME="killick-faults" # the shop', "COMPOSE_PROJECT_NAME = killick-faults"):
        dotenv.write_text(f"{line}\n")
        assert "A deploy of killick-faults" in site.deploy("--check", code=0).out
    for line in (
        "COMPOSE_PROJECT_NAME=",
        "# COMPOSE_PROJECT_NAME=x",
        "XCOMPOSE_PROJECT_NAME=x",
        "COMPOSE_PROJECT_NAME=#x",
    ):
        dotenv.write_text(f"{line}\n")
        site.deploy("--check", code=5)
    dotenv.write_bytes(b"X=\xfc\n")
    file.write_bytes(b"# \xfc\nname: killick-faults\n")
    site.answers(fails={"config": (15, "yaml: invalid leading UTF-8 octet")})
    assert "compose refuses docker-compose.yml with dc.prod.yml: yaml: invalid" in site.deploy("--check", code=2).err


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"garbage\r\n\r\n", "no answer: "),
        (b"", "no answer: "),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", "it answers 302"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", "it answers 302"),
        (b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", "it answers 503"),
    ],
)
def test_an_address_that_answers_badly(answer: bytes, says: str) -> None:
    with _answering(answer) as port, pytest.raises(KillickError, match=says):
        gate.answers(f"http://127.0.0.1:{port}/", 0.2)


@contextmanager
def _answering(answer: bytes) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1000)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
