"""`killick deploy` as Jenkins runs it: on a host with an engine, in a checkout with compose files."""

import fcntl
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.kit import Ran
from tests.lab import Missing, docker
from tests.web import listener

HERE = Path(__file__).parent / "deployed"


class Site:
    """A checkout, its project's name, and the port that it answers at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = f"killick-deploy-{uuid4().hex[:8]}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        shutil.copytree(HERE, folder, dirs_exist_ok=True)

    def environment(self, **settings: str) -> dict[str, str]:
        bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**bare, "NAME": self.name, "PORT": str(self.port), **settings}

    def killick(self, *argv: str, **settings: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "killick", "deploy", *argv],
            cwd=self.folder, env=self.environment(PYTHONPATH=str(docker.ROOT), **settings),
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert not done.stderr.startswith("Traceback") and "\nTraceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    def deploy(self, environment: str = "prod", *argv: str, **settings: str) -> Ran:
        quick = ("--no-pull", "--settle", "3s", "--timeout", "20s")
        return self.killick(environment, *quick, *argv, **settings)

    def compose(self, *argv: str) -> str:
        done = subprocess.run(
            ["docker", "compose", "-p", self.name, "-f", "docker-compose.yml", "-f", "dc.prod.yml", *argv],
            cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        return done.stdout

    def orders(self) -> int:
        return int(self.compose("exec", "-T", "db", "psql", "-U", "site", "-Atc", "SELECT count(*) FROM orders"))

    def restore(self, failed: Ran, **settings: str) -> str:
        """By the command that a deploy told as it failed, which is given."""
        (command,) = [line.strip() for line in failed.err.splitlines() if line.startswith("  docker compose")]
        ran = subprocess.run(
            shlex.split(command), cwd=self.folder, env=self.environment(**settings),
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return command

    def ids(self) -> dict[str, str]:
        return {one["Service"]: one["ID"] for one in map(json.loads, self.compose("ps", "--format=json").splitlines())}


@pytest.fixture(scope="module")
def images() -> None:
    docker.engine()
    if docker.docker("compose", "version", check=False).returncode:
        raise Missing("no docker compose here: script/docker-engine installs it")
    docker.image("sidecar")
    docker.docker("build", "--quiet", "--tag", "killick:example", "examples/app")


@pytest.fixture(scope="module")
def site(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Deployed once, well: the tests go on from what the one before left, and leave it well."""
    made = Site(tmp_path_factory.mktemp("site"))
    try:
        first = made.deploy("prod", "--url", made.url, "--json")
        assert first.code == 0, first.err
        assert first.json["backups"] == []
        assert "nothing to back up" in first.err
        yield made
    finally:
        made.compose("down", "--volumes", "--remove-orphans", "--timeout", "1")


def test_a_second_deploy_backs_up_before_it_changes_anything(site: Site) -> None:
    done = site.deploy("prod", "--url", site.url, "--json", "--override")
    assert done.code == 0, done.err
    (id,) = done.json["backups"]
    assert id in site.compose("exec", "-T", "sidecar", "killick", "list", "--json")
    assert list(done.json["seconds"]) == ["backup", "override", "up", "health", "answer"]
    assert done.json["error"] is None
    assert {s["service"]: s["health"] or s["status"] for s in done.json["services"]} == {
        "app": "healthy", "db": "healthy", "once": "exited", "sidecar": "healthy"
    }  # fmt: skip
    assert (site.folder / "docker-compose.override.yml").read_text() == (site.folder / "dc.prod.yml").read_text()
    (site.folder / "docker-compose.override.yml").unlink()


def test_check_explains_and_does_nothing(site: Site) -> None:
    before, backups = site.ids(), site.compose("exec", "-T", "sidecar", "killick", "list", "--json")
    done = site.deploy("prod", "--check", MODE="crashes")
    assert done.code == 0
    assert f"A deploy of {site.name} (docker-compose.yml and dc.prod.yml) would:" in done.out
    assert "back up every source of sidecar" in done.out
    assert "no address is asked for" in done.out
    steps = site.deploy("prod", "--check", "--json", "--url", site.url).json["steps"]
    assert [step["name"] for step in steps] == ["backup", "up", "health", "answer"]
    assert (site.ids(), site.compose("exec", "-T", "sidecar", "killick", "list", "--json")) == (before, backups)


@pytest.mark.parametrize("environment", ["prod", "bare"])
def test_new_code_that_crashes(site: Site, environment: str) -> None:
    """With a health check, and without one: `docker compose up --wait` ends well then."""
    done = site.deploy(environment, MODE="crashes")
    assert done.code == 1
    assert "app ended with 1" in done.err
    assert "ImportError: no module named site" in done.err
    assert "db: healthy (postgres:16)" in done.err
    assert "restore" in done.err
    assert site.deploy().code == 0


def test_a_health_check_that_lies(site: Site) -> None:
    done = site.deploy("prod", "--url", site.url, "--timeout", "8s", MODE="lies")
    assert done.code == 1
    assert f"{site.url}: it answers 500" in done.err
    assert "app: healthy" in done.err
    assert site.deploy().code == 0


def test_a_migration_that_spoils_the_data(site: Site) -> None:
    """The command that is told brings it back; the notification has it too."""
    assert site.orders() == 1000
    with listener() as told:
        done = site.deploy("prod", MODE="migrates", NOTIFY_URLS=f"json://127.0.0.1:{told.port}/")
    assert done.code == 1
    assert site.orders() == 0
    assert site.restore(done) in json.loads(told.asked[-1].body)["message"]
    assert site.orders() == 1000
    assert site.deploy("prod", "--url", site.url).code == 0  # it is production still: backed up without --adopt
    assert urllib.request.urlopen(site.url).read() == b"good"


def test_a_backup_that_fails_stops_it(site: Site) -> None:
    before = site.ids()
    site.compose("stop", "--timeout", "1", "db")
    try:
        done = site.deploy("prod", MODE="crashes")
    finally:
        site.compose("start", "db")
    assert done.code == 1
    assert "the backup before the deploy failed" in done.err
    assert "changed nothing that runs" in done.err
    assert site.ids()["app"] == before["app"]
    assert site.deploy().code == 0


def test_a_project_that_stands_still_is_backed_up_before_its_app_is_new(site: Site) -> None:
    """The sidecar does not run, and waits for an app that migrates and crashes: neither the backup nor the way back
    starts that; the database is started for them as it was."""
    before = site.ids()
    site.compose("stop", "--timeout", "1")
    assert site.ids() == {}
    failed = site.deploy("waits", "--json", MODE="migrates", PASSWORD="wrong")
    assert failed.code == 1
    assert "the backup before the deploy failed" in failed.err and "changed nothing that runs" in failed.err
    assert site.ids() == {"db": before["db"]}
    assert site.orders() == 1000

    site.compose("stop", "--timeout", "1")
    crashed = site.deploy("waits", "--json", MODE="migrates")
    assert (crashed.code, len(crashed.json["backups"]), list(crashed.json["seconds"])[:2]) == (
        1, 1, ["databases", "backup"]
    )  # fmt: skip
    assert site.orders() == 0
    assert site.ids()["db"] != before["db"]  # by `up`, which is after the backup
    site.restore(crashed, MODE="migrates")
    assert site.orders() == 1000
    assert site.deploy("prod", "--url", site.url).code == 0


def test_a_project_that_was_taken_down_is_backed_up_before_its_app_is_new(site: Site) -> None:
    site.compose("down", "--timeout", "1")
    again = site.deploy("prod", "--url", site.url, "--json")
    assert again.code == 0, again.err
    assert len(again.json["backups"]) == 1
    assert site.orders() == 1000


def test_one_at_a_time(site: Site) -> None:
    path = Path(tempfile.gettempdir()) / f"killick-deploy-{site.name}.lock"
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = site.deploy()
    assert done.code == 7
    assert "another deploy of" in done.err
    path.unlink()


def test_refused_before_anything(images: None, tmp_path: Path) -> None:
    bare = Site(tmp_path / "site")
    missing = bare.killick("staging")
    assert missing.code == 2
    assert "the environments here are bare, prod, waits" in missing.err
    file = bare.folder / "docker-compose.yml"
    whole = file.read_text()
    file.write_text(whole.replace("name: ${NAME}\n", ""))
    unpinned = bare.killick("prod")
    assert unpinned.code == 5
    assert "write `name: site`" in unpinned.err
    pinned = bare.killick("prod", "--check", COMPOSE_PROJECT_NAME="other")
    assert "A deploy of other" in pinned.out
    file.write_text(whole.replace("  sidecar:\n", "  anchor:\n"))
    alone = bare.killick("prod")
    assert alone.code == 5
    assert "no service 'sidecar'" in alone.err
    file.write_text(whole.replace("services:", "services: ["))
    broken = bare.killick("prod")
    assert broken.code == 2
    assert "compose refuses docker-compose.yml with dc.prod.yml" in broken.err
    assert bare.killick("prod", "--url", "file:///etc/passwd").code == 2
    assert bare.compose("ps", "--all", "--quiet") == ""


def test_no_engine(tmp_path: Path) -> None:
    done = Site(tmp_path / "site").killick("prod", DOCKER_HOST="unix:///nowhere.sock")
    assert done.code == 1
    assert "no answer to docker version" in done.err
