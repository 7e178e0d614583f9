"""docker-compose.yml as a user runs it: up, healthy, backed up, tested from inside, down."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.lab import Missing, docker

FILES = ("docker-compose.yml", "dc.test.yml")
Compose = Callable[..., str]


def compose(project: str, *argv: str, files: tuple[str, ...] = FILES, check: bool = True) -> str:
    options = [option for file in files for option in ("--file", file)]
    return docker.docker("compose", "--project-name", project, *options, *argv, check=check).stdout


@pytest.fixture(scope="module")
def secrets() -> None:
    docker.engine()
    if docker.docker("compose", "version", check=False).returncode:
        raise Missing("no docker compose here: script/docker-engine installs it")
    subprocess.run([docker.ROOT / "script/secrets"], check=True)


@pytest.fixture(scope="module")
def project(secrets: None) -> Iterator[Compose]:
    docker.base_images()
    name = f"killick-test-{uuid4().hex[:8]}"

    def run(*argv: str, check: bool = True) -> str:
        return compose(name, *argv, check=check)

    try:
        run("--profile", "test", "build")
        run("up", "--detach", "--wait")
        yield run
    finally:
        if os.environ.get("KEEP") is None:
            run("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)


def services(project: Compose) -> dict[str, Any]:
    return {entry["Service"]: entry for entry in map(json.loads, project("ps", "--format=json").splitlines())}


def test_everything_is_healthy(project: Compose) -> None:
    found = services(project)
    assert {"app", "db", "mongo", "s3", "sidecar", "verifier"} == set(found)
    for name in ("app", "db", "mongo", "sidecar", "verifier"):
        assert found[name]["Health"] == "healthy", name


def test_from_inside(project: Compose) -> None:
    said = project("run", "--rm", "--no-deps", "tests")
    assert " passed" in said
    assert "failed" not in said
    assert "skipped" not in said


def test_the_sidecar_is_confined(project: Compose) -> None:
    script = 'id -u; touch /etc/x 2>/dev/null || echo read-only; grep -E "CapBnd|NoNewPrivs" /proc/1/status'
    said = project("exec", "-T", "sidecar", "bash", "-c", script).split()
    assert said == ["10001", "read-only", "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]


def test_the_verifier_reaches_the_store_only(project: Compose) -> None:
    def networks(service: str) -> set[str]:
        (found,) = json.loads(docker.docker("inspect", project("ps", "--quiet", service).strip()).stdout)
        return set(found["NetworkSettings"]["Networks"])

    assert networks("verifier") & networks("s3")
    for other in ("db", "mongo", "app", "sidecar"):
        assert not networks("verifier") & networks(other), other


def test_no_secret_in_what_inspect_shows(project: Compose) -> None:
    secrets = [path.read_text().strip() for path in (docker.ROOT / "secrets").iterdir()]
    shown = docker.docker("inspect", *project("ps", "--all", "--quiet").split()).stdout
    assert len(secrets) >= 6
    assert [secret for secret in secrets if secret in shown] == []


def test_a_second_up_changes_nothing(project: Compose) -> None:
    before = {name: entry["ID"] for name, entry in services(project).items()}
    project("up", "--detach", "--wait")
    assert {name: entry["ID"] for name, entry in services(project).items()} == before


def test_stops_when_told(project: Compose) -> None:
    project("stop", "sidecar")
    (state,) = json.loads(docker.docker("inspect", project("ps", "--all", "--quiet", "sidecar").strip()).stdout)
    assert state["State"]["ExitCode"] == 0  # 137: it had to be killed
    assert "stopped by SIGTERM" in project("logs", "sidecar")


def test_a_fresh_checkout_gets_its_data_before_the_app_starts(
    project: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SEED=latest docker compose up, where databases and uploads are new and empty."""

    def told() -> str:
        ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000').read().decode())"
        return project("exec", "-T", "app", "python3", "-c", ask)

    def marked() -> str:
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'shop'"
        return project("exec", "-T", "db", "psql", "-U", "shop", "-Atc", query).strip()

    before = told()
    assert marked() == ""
    name = docker.docker("inspect", "--format={{.Name}}", project("ps", "--quiet", "db").strip()).stdout.strip("/\n")
    project("rm", "--stop", "--force", "app", "db", "mongo", "sidecar", "verifier", "seed", "replica")
    docker.docker("volume", "rm", *(name.replace("-db-1", f"_{volume}") for volume in ("db", "mongo", "uploads")))
    monkeypatch.setenv("SEED", "latest")
    project("up", "--detach", "--wait")
    assert told() == before
    assert marked().startswith("killick: copy")
    assert "killick: copy" not in project("logs", "seed")
    assert "events" in project("logs", "seed")
    refused = project("exec", "-T", "sidecar", "sh", "-c", "killick backup db 2>&1; echo status $?")
    assert "status 5" in refused


@pytest.mark.parametrize("override", ["dc.dev.yml", "dc.prod.yml"])
def test_environments_differ_in_ports_restart_policy_and_secrets_only(secrets: None, override: str) -> None:
    def config(*files: str) -> Any:
        document = json.loads(compose("killick-example", "config", "--format=json", files=files))
        del document["secrets"]
        for service in document["services"].values():
            service.pop("ports", None)
            service.pop("restart", None)
        return document

    assert config("docker-compose.yml", override) == config("docker-compose.yml")
