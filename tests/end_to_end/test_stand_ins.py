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


def test_an_image_without_our_label_is_left_alone(tmp_path: Path) -> None:
    """The official image is the better one, however it came here. No engine of ours is put at risk to see it."""
    fake = tmp_path / "docker"
    fake.write_text(
        """#!/bin/sh
        echo "$@" >> "$0.log"
        case "$1 $2" in info*) ;; "image inspect") echo "|mongo:6 debian:bookworm-slim " ;; *) exit 1 ;; esac
        """
    )
    fake.chmod(0o755)
    done = build("mongo:6", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (done.returncode, done.stderr) == (0, "")
    assert {line.split()[0] for line in (tmp_path / "docker.log").read_text().splitlines()} == {"info", "image"}


def test_an_unknown_name_is_refused() -> None:
    done = build("postgres:9")
    assert done.returncode == 2
    assert "no recipe for postgres:9" in done.stderr
