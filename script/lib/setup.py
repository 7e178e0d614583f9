"""What script/setup does, once there is a python3: standard library only."""

import fcntl
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab import Missing, debian
from tests.lab.cache import digest

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "made-from"
LOCK = ROOT / "requirements-dev.lock"  # holds what killick needs as well


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - run by whatever python3 a machine has
        print(f"script/setup: Python ≥ 3.11 is needed; python3 is {sys.version.split()[0]}", file=sys.stderr)
        return 1
    with Path(__file__).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if made_from() != (STAMP.read_text() if STAMP.exists() else ""):
                make()
            link_programs()
        except (Missing, subprocess.CalledProcessError) as error:
            print(f"script/setup: {error}", file=sys.stderr)
            return 1
    return 0


def made_from() -> str:
    """Changes whenever the venv has to be made again."""
    files = [path for path in (LOCK, ROOT / "pyproject.toml", Path(__file__)) if path.exists()]
    return digest(sys.version, str(ROOT), *(path.read_bytes() for path in files))


def make() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    pip_comes_with_python = importlib.util.find_spec("ensurepip") is not None
    run(sys.executable, "-m", "venv", *([] if pip_comes_with_python else ["--without-pip"]), str(VENV))
    pip = [str(VENV / "bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
    if not pip_comes_with_python:  # Debian's python3 without python3-venv
        (wheel,) = (debian.unpack("python3-pip-whl") / "usr/share/python-wheels").glob("pip-*.whl")
        run(pip[0], str(wheel / "pip"), "install", "--quiet", "--no-index", str(wheel))
    if LOCK.exists():
        run(*pip, "install", "--requirement", str(LOCK))
        run(*pip, "install", "--no-deps", "--editable", str(ROOT))
    else:
        run(*pip, "install", "--editable", f"{ROOT}[dev,container]")
    STAMP.write_text(made_from())


def link_programs() -> None:
    """See that the codecs are there; those that had to be unpacked are linked into the venv's bin."""
    unpacked = debian.programs(**debian.CODECS)
    if unpacked is None:
        return
    for program in debian.CODECS:
        link = VENV / "bin" / program
        if (unpacked / program).exists() and not link.exists():
            link.symlink_to(unpacked / program)


def run(*argv: str) -> None:
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(argv, check=True, env=outside)


if __name__ == "__main__":
    sys.exit(main())
