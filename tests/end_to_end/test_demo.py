"""`script/demo` is a test of its own: every step is a promise, and it ends with 1 when one is not kept."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import docker
from tests.lab.server import NOBODY

ROOT = Path(__file__).resolve().parents[2]
SAYS = (
    "200,340 rows in 9 tables",
    "does not match its SHA-256",
    "(exit code 4)",
    "FAILED at level 0",
    "can be restored: level 5, the data makes sense",
    "passed, level 5",
    "no difference",
    "✓ a restored copy is equal to the original, by SQL and by diff",
    "✓ none of the output above holds a secret",
)


@pytest.fixture
def clone_of_nobody() -> Iterator[Path]:
    """A fresh clone in a home of a user without any right."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    home = Path(tempfile.mkdtemp(prefix="killick-home-"))
    try:
        subprocess.run(["git", "clone", "--quiet", ROOT, home / "killick"], check=True)
        subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", home], check=True)
        yield home
    finally:
        shutil.rmtree(home)


def told(*argv: str | Path, home: Path | None = None) -> str:
    env = {**os.environ, **({"HOME": str(home)} if home else {})}
    env.pop("XDG_CACHE_HOME", None)
    done = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout


def test_every_step_is_as_promised() -> None:
    output = told(ROOT / "script/demo")
    assert [words for words in SAYS if words not in output] == []
    assert "\x1b" not in output  # colours are for terminals


@pytest.mark.slow  # it makes a venv and fetches every program anew
def test_an_ordinary_user_sees_the_same(clone_of_nobody: Path) -> None:
    prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
    output = told(*prefix, clone_of_nobody / "killick/script/demo", home=clone_of_nobody)
    assert [words for words in SAYS if words not in output] == []


@pytest.fixture
def engine() -> None:
    docker.engine()


@pytest.mark.slow
@pytest.mark.usefixtures("engine")
def test_the_composed_project_does_the_same() -> None:
    output = told(ROOT / "script/demo", "--compose")
    assert "✓ Postgres, MongoDB and uploads are in S3 without a word said" in output
    assert "✓ the restored copy is equal to the original, by SQL" in output


def test_compose_without_an_engine_is_told_apart(tmp_path: Path) -> None:
    env = {**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/nobody"}
    done = subprocess.run([ROOT / "script/demo", "--compose"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no Docker engine answers" in done.stderr or "no docker here" in done.stderr
