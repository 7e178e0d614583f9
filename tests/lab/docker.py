"""The Docker engine, and killick's own images built from this checkout."""

import subprocess
from functools import cache
from pathlib import Path

from tests.lab import Missing

ROOT = Path(__file__).resolve().parents[2]


def docker(*argv: str, check: bool = True, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """`docker ARGV…` at the top of the checkout. A failure shows what Docker said."""
    done = subprocess.run(
        ["docker", *argv], cwd=ROOT, check=False, capture_output=True, text=True, input=stdin, timeout=900
    )
    if check and done.returncode:
        raise AssertionError(f"docker {argv[0]}: exit {done.returncode}\n{done.stderr[-4000:]}{done.stdout[-2000:]}")
    return done


@cache
def engine() -> None:
    """Raises Missing where no engine answers. A client alone is none."""
    try:
        answer = docker("info", check=False)
    except FileNotFoundError:
        raise Missing("no docker here: script/docker-engine installs it (as root)") from None
    if answer.returncode:
        raise Missing("no Docker engine answers: script/docker-engine starts one (as root)")


@cache
def base_images() -> None:
    """The official images, or stand-ins under their names. Raises Missing where there are neither."""
    engine()
    done = subprocess.run([ROOT / "images/offline/build"], check=False, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"images/offline/build: {done.stderr[-2000:]}")


@cache
def image(target: str) -> str:
    """The name of the image of that target, built now. Docker keeps what has not changed."""
    base_images()
    name = f"killick:{target}"
    docker("build", "--quiet", "--file", "images/Dockerfile", "--target", target, "--tag", name, ".")
    return name


def inside(image: str, script: str, *options: str) -> str:
    """What a bash script prints in a fresh container of the image, confined as the compose example confines it."""
    confined = (
        "--read-only",
        "--tmpfs",
        "/tmp",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--network=none",
    )
    return docker(
        "run", "--rm", "-i", *confined, *options, "--entrypoint=bash", image, "-euo", "pipefail", "-s", stdin=script
    ).stdout
