"""Level 6, "it works": a command of the project's against the copy. What it reaches: contract/test_apps.py."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from killick.engines import Source
from tests.blocks import blocks
from tests.end_to_end.backups import PROJECT, Backups
from tests.kit import Project, basics, wait_for
from tests.lab import docker
from tests.lab.nginx import Nginx
from tests.lab.postgres import Postgres

CANARY = "a row that nobody may read"


class Verifier:
    """A store with a backup, and a project that reaches the store alone."""

    def __init__(self, folder: Path, programs: str, scratch: str) -> None:
        self.backups = Backups(folder / "store")
        self.folder = Path(scratch)  # where others may come too: a command is not run as root
        environment = {**basics(folder, programs), "SCRATCH_DIR": f"{scratch}/s", "VERIFY_IN": "process"}
        self.project = Project(environment, PROJECT)

    def program(self, script: str) -> Path:
        (self.folder / "bin").mkdir(exist_ok=True)
        path = self.folder / "bin/check"
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)
        return path

    def verify(self, expect: int = 0, **more: str) -> dict[str, Any]:
        """The record of it, which holds the document, and nothing of a row."""
        ran = self.project.run("verify", "--json", expect=expect, **more)
        (record,) = (self.backups.folder / PROJECT / f"{ran.json['id']}.evidence").glob("*.json")
        assert CANARY not in ran.out + ran.err + record.read_text()
        assert self.project.at_rest()
        found: dict[str, Any] = json.loads(record.read_text())
        assert ran.json.items() <= found.items()
        return found


@pytest.fixture
def place(tmp_path: Path, programs_path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Verifier]:
    monkeypatch.setenv("PROGRAMS", programs_path)
    tmp_path.chmod(0o755)
    with TemporaryDirectory(prefix="killick-") as scratch:
        Path(scratch).chmod(0o755)
        found = Verifier(tmp_path, programs_path, scratch)
        yield found
        for name in containers(found.project, "--all"):  # what a test that failed has left
            docker.docker("rm", "--force", "--volumes", name, check=False)


@pytest.fixture
def verifier(place: Verifier, postgres16: Postgres, database: str) -> Verifier:
    postgres16.execute(f"INSERT INTO customers (name) VALUES ('{CANARY}')", database)
    place.backups.make(Source("db", postgres16.url(database)))
    return place


def containers(project: Project, *options: str) -> list[str]:
    """Names of those that its verifications left, or are in."""
    owner = project.scratch / "owner"
    if not owner.exists() or not list(project.scratch.glob("container")):
        return []
    label = f"--filter=label=killick.owner={owner.read_text()}"
    return docker.docker("ps", "--format={{.Names}}", label, *options).stdout.split()


def test_a_command_that_works(verifier: Verifier) -> None:
    """It is asked for by being set. Here it gets the copy's address, and its arguments without a shell."""
    path = verifier.program('test "$1" = "two  words" && test -S "$PGHOST/.s.PGSQL.$PGPORT" && test -n "$PGPASSWORD"')
    found = verifier.verify(VERIFY_COMMAND=f"{path} 'two  words'")
    assert (found["result"], found["level"], found["wanted"]) == ("passed", 6, 6), found
    assert found["command"]["status"] == 0
    assert set(found["command"]) == {"status", "where", "network", "files"}
    assert list(found["seconds"])[-1] == "command"


def test_one_that_does_not(verifier: Verifier) -> None:
    path = verifier.program(f"echo '{CANARY}' | tee /dev/stderr; exit 3")
    found = verifier.verify(expect=1, VERIFY_COMMAND=str(path))
    assert (found["result"], found["level"], found["failed_level"], found["reason"]) == ("failed", 5, 6, "command")
    assert found["error"] == "VERIFY_COMMAND ended with 3 against the copy"
    assert f"killick restore {found['id']}" in found["hint"]
    assert found["command"]["status"] == 3
    backup = verifier.backups.find(found["id"])
    assert (backup.failed, backup.broken) == (True, False), "its data is good: retention keeps it"


def test_one_that_hangs(verifier: Verifier) -> None:
    found = verifier.verify(expect=6, VERIFY_COMMAND=str(verifier.program("sleep 31418")), VERIFY_TIMEOUT="8s")
    assert (found["result"], found["reason"]) == ("unverifiable", "timeout")
    assert subprocess.run(["pgrep", "-f", "sleep 31418"], capture_output=True, check=False).returncode == 1


def test_where_no_level_6_is(verifier: Verifier) -> None:
    """Nothing is claimed of a command that is not there, and a lower level leaves it out."""
    found = verifier.verify(VERIFY_LEVEL="6")
    assert (found["result"], found["level"], found["wanted"]) == ("passed", 5, 5)
    assert "command" not in found
    assert "level 6 was asked for, and there is no VERIFY_COMMAND: nothing above 5 was tried" in found["warnings"]
    document = verifier.project.run("verify", "--json", "--level", "4", VERIFY_COMMAND="false").json
    assert (document["result"], document["level"]) == ("passed", 4)


def test_by_the_name_of_the_source(place: Verifier, tmp_path: Path) -> None:
    """A folder's copy has no server: its command is left out, and that is said."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a").write_text("a")
    place.backups.make(Source("uploads", f"file://{folder}"))
    found = place.verify(VERIFY_COMMAND="false", VERIFY_COMMAND_UPLOADS="false", RTO="30m")
    assert (found["result"], found["level"]) == ("passed", 4)
    assert found["warnings"] == ["VERIFY_COMMAND_UPLOADS is not run: a copy of a folder has no server"]
    assert found["rto"] == {"target": 1800.0, "met": True}
    text = place.project.run("verify", RTO="30m").out
    assert re.search(r"a restore takes \d+\.\d s here, within the target of 30 min \(", text)


def test_killed_while_it_runs_in_the_apps_image(verifier: Verifier) -> None:
    """Through the proxy of the page. The app's container ends with the copy's, and the next run removes both."""
    docker.base_images()
    with Nginx(blocks("docs/security.md")["docker-proxy"]) as proxy:
        project = verifier.project
        project.environment |= {"VERIFY_IN": "auto", "VERIFY_APP_IMAGE": "postgres:16", **proxy.environment()}
        with project.running("verify", VERIFY_COMMAND="sleep 600") as child:
            wait_for(lambda: any(name.startswith("killick-app-") for name in containers(project)), 60)
            child.send_signal(signal.SIGKILL)
            child.wait()
        wait_for(lambda: containers(project) == [])
        assert len(containers(project, "--all")) == 2
        counted = """test "$(psql -XAtc "SELECT count(*) FROM customers")" = 2001"""
        found = verifier.verify(VERIFY_COMMAND=f"sh -c '{counted}'")
    assert (found["result"], found["level"], found["where"]["kind"]) == ("passed", 6, "container"), found
    assert found["command"]["where"] == "in a container of postgres:16"
    assert len(project.every[-1].events("swept")) == 2, "what was decoded, and the throwaway"
    assert containers(project, "--all") == []


def test_in_killicks_image_with_an_app_in_it(verifier: Verifier) -> None:
    """Not as root, on a root that cannot be written to: killick's own Python stands for the app's."""
    image = docker.image("verify")
    subprocess.run(["chmod", "-R", "a+rwX", str(verifier.backups.folder)], check=True)
    asked = "c = psycopg2.connect(os.environ['DATABASE_URL']).cursor(); c.execute('SELECT count(*) FROM customers')"
    program = f"import os, psycopg2; {asked}; exit(c.fetchone()[0] != 2001)"
    done = docker.docker(
        *("run", "--rm", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges"),
        *("--network=none", f"--volume={verifier.backups.folder}:/backups", f"--env=PROJECT={PROJECT}"),
        *(f'--env=VERIFY_COMMAND=/opt/killick/bin/python -c "{program}"', image, "verify", "--json"),
    )
    document = json.loads(done.stdout)
    assert (document["result"], document["level"]) == ("passed", 6), done.stderr


def test_an_apps_image_and_a_process(verifier: Verifier) -> None:
    given = {"VERIFY_COMMAND": "true", "VERIFY_APP_IMAGE": "postgres:16", "VERIFY_IN": "auto"}
    ran = verifier.project.run("verify", "--in", "process", expect=2, **given)
    assert "VERIFY_APP_IMAGE needs a throwaway in a container" in ran.err
