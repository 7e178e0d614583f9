"""examples/swarm, deployed: this machine's engine becomes a swarm of one for as long as it lasts."""

import json
import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.kit import wait_for
from tests.lab import Missing, docker
from tests.lab.server import HOST, free_ports

STACK = "examples/swarm/stack.yml"
BESIDE = """\
services:
  db:
    image: postgres:16
    environment: {{POSTGRES_USER: shop, POSTGRES_PASSWORD_FILE: /run/secrets/db_password}}
    secrets: [db_password]
    networks: [inside]
    deploy: {{endpoint_mode: dnsrr}} # the other mode needs IPVS, which not every kernel has
  sidecar: {{environment: {{STORE: "file:///backups"}}, volumes: ["{folder}:/backups"]}}
  verifier: {{environment: {{STORE: "file:///backups"}}, volumes: ["{folder}:/backups"]}}
"""
NAMES = ("db_password", "aws_access_key_id", "aws_secret_access_key")

Exec = Callable[..., str]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exec]:
    """Runs a command in the container of a service. The store is a folder of this machine, in the place of S3."""
    for target in ("sidecar", "verify"):
        docker.image(target)
    if docker.docker("info", "--format={{.Swarm.LocalNodeState}}").stdout.strip() != "inactive":
        raise Missing("this engine is part of a swarm already, which is left alone")
    store = tmp_path_factory.mktemp("store")
    store.chmod(0o777)
    beside = tmp_path_factory.mktemp("stack") / "beside.yml"
    beside.write_text(BESIDE.format(folder=store))
    (port,) = free_ports(1)
    docker.docker("swarm", "init", f"--advertise-addr={HOST}", f"--listen-addr={HOST}:{port}")
    name = f"killick-test-{secrets.token_hex(4)}"
    try:
        for secret in NAMES:
            docker.docker("secret", "create", secret, "-", stdin=secrets.token_hex(12))
        docker.docker("stack", "deploy", "--resolve-image=never", "-c", STACK, "-c", str(beside), name)

        def run(service: str, *argv: str) -> str:
            (container,) = _containers(name, service)
            return docker.docker("exec", container, *argv).stdout

        yield run
    finally:
        docker.docker("stack", "rm", name, check=False)
        wait_for(lambda: not _containers(name, every=True), 60)
        docker.docker("swarm", "leave", "--force", check=False)
        labelled = f"--filter=label=com.docker.stack.namespace={name}"
        docker.docker("volume", "rm", *docker.docker("volume", "ls", "-q", labelled).stdout.split(), check=False)


def _containers(stack: str, service: str = "", *, every: bool = False) -> list[str]:
    """Those that run, or every one that is there."""
    label = f"com.docker.swarm.service.name={stack}_{service}" if service else f"com.docker.stack.namespace={stack}"
    return docker.docker("ps", "-aq" if every else "-q", f"--filter=label={label}").stdout.split()


def test_it_backs_up_and_verifies(stack: Exec) -> None:
    def done(service: str, *argv: str) -> bool:
        try:
            return stack(service, *argv) != ""
        except (AssertionError, ValueError):  # not up yet, or the sidecar is at it by itself
            return False

    table = "CREATE TABLE t AS SELECT generate_series(1, 100)"
    wait_for(lambda: done("db", "psql", "-h", "127.0.0.1", "-U", "shop", "-c", table), 120)
    wait_for(lambda: done("sidecar", "killick", "backup", "--json"), 120)
    report = json.loads(stack("verifier", "killick", "verify", "--json"))
    assert report["result"] == "passed"
    assert report["level"] >= 4, "which proves it"


def test_it_is_confined(stack: Exec) -> None:
    script = "id -u; touch /etc/x 2>/dev/null || echo read-only; stat -c %a:%u /run/secrets/db_password"
    assert stack("sidecar", "sh", "-c", script).split() == ["10001", "read-only", "400:10001"]
    assert "CapBnd:\t0000000000000000" in stack("sidecar", "cat", "/proc/1/status")
    assert "db_password" not in stack("verifier", "ls", "/run/secrets")
