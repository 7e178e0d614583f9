"""Running killick as an ordinary user though the tests are root's: home, venv and clone may be closed to others."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab import Missing
from tests.lab.server import NOBODY, as_nobody

ROOT = Path(__file__).resolve().parents[2]
OURS = ("killick", "verify", "restore", "sidecar")
THEIRS = ("psycopg2", "psycopg2_binary.libs", "xxhash", "click", "cronsim", "testcontainers")


@dataclass(frozen=True)
class Ordinary:
    """`home` belongs to the user; `packages` is what they import."""

    home: Path
    packages: Path
    program: str

    def python(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs to the end, within two minutes."""
        bare = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), "LC_ALL": "C.UTF-8", "PYTHONPATH": str(self.packages)}
        return subprocess.run(
            [*as_nobody(True), self.program, *arguments],
            cwd=self.home,
            env={**bare, **(env or {})},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@contextmanager
def ordinary() -> Iterator[Ordinary]:
    """Nobody, when we are root, else ourselves. Raises Missing without a Python of our version that nobody may run."""
    program = next((p for p in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3") if _same(p)), None)
    if program is None:
        raise Missing(f"no Python {sysconfig.get_python_version()} that an ordinary user may run: install python3")
    base = Path(tempfile.mkdtemp(prefix="killick-lab-ordinary-"))
    try:
        base.chmod(0o755)
        packages, home = base / "packages", base / "home"
        packages.mkdir()
        for name in OURS:
            shutil.copytree(ROOT / name, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in THEIRS:
            shutil.copytree(Path(sysconfig.get_path("platlib")) / name, packages / name)
        home.mkdir()
        if os.geteuid() == 0:
            os.chown(home, NOBODY, NOBODY)
            subprocess.run(["chmod", "-R", "a+rX", str(packages)], check=True)
        yield Ordinary(home, packages, program)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _same(program: str) -> bool:
    """The same version as ours, since compiled modules are shared, and started by that user."""
    code = "import sys, sysconfig, os; os.stat(sys.executable); print(sysconfig.get_python_version())"
    try:
        done = subprocess.run(
            [*as_nobody(True), program, "-I", "-c", code], capture_output=True, text=True, cwd="/", check=False
        )
    except OSError:
        return False
    return done.stdout.strip() == sysconfig.get_python_version()
