"""images/offline/build: what is there is left alone."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.lab import docker

NAMES = [
    "debian:bookworm-slim",
    "debian:trixie-slim",
    "python:3.13-slim-trixie",
    "postgres:15",
    "postgres:16",
    "postgres:17",
    "postgres:18",
    "postgis/postgis:15-3.3",
    "mongo:6",
    "chrislusf/seaweedfs:4.48",
    "prom/prometheus:v2.53.3",
    "prom/alertmanager:v0.28.1",
]


@pytest.fixture(scope="module", autouse=True)
def images() -> None:
    docker.base_images()


def build(*names: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [docker.ROOT / "images/offline/build", *names],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def identities() -> list[str]:
    return docker.docker("image", "inspect", "--format={{.Id}}", *NAMES).stdout.split()


def test_a_second_run_makes_nothing() -> None:
    before = identities()
    again = build()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert identities() == before


@pytest.mark.parametrize(
    ("inspect", "pull", "asked"),
    [("echo '|mongo:6 '", "exit 1", {"info", "image"}), ("exit 1", "exit 0", {"info", "image", "pull"})],
    ids=["there", "pulled"],
)
def test_the_official_image_is_left_alone(inspect: str, pull: str, asked: set[str], tmp_path: Path) -> None:
    """It is the better one. A stand-in for Docker, so that no real image is put at risk to see it."""
    fake = tmp_path / "docker"
    fake.write_text(f"""#!/bin/sh
        echo "$@" >> "$0.log"
        case $1 in info) ;; image) {inspect} ;; pull) {pull} ;; *) exit 1 ;; esac
    """)
    fake.chmod(0o755)
    done = build("mongo:6", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[0] for line in (tmp_path / "docker.log").read_text().splitlines()} == asked


def test_an_unknown_name_is_refused() -> None:
    done = build("postgres:9")
    assert done.returncode == 2
    assert "no recipe for postgres:9" in done.stderr
