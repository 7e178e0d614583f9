"""A project as its user has it: an environment, and the command line."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from killick import catalog, stores
from killick.catalog import Catalog
from killick.stores import Store


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """What was logged (LOG_FORMAT=json)."""
        lines = [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]
        return [line for line in lines if name in ("", line["event"])]


@dataclass
class Project:
    """`environment` is all that killick sees."""

    environment: dict[str, str]
    name: str = "shop"
    every: list[Ran] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return stores.connect(self.environment["STORE"])

    @property
    def scratch(self) -> Path:
        return Path(self.environment["SCRATCH_DIR"])

    def catalog(self) -> Catalog:
        return catalog.read(self.store, self.name)

    def stored(self) -> list[str]:
        return [stored.key for stored in self.store.list(f"{self.name}/")]

    def at_rest(self) -> bool:
        """Nothing unfinished: every archive has its manifest, no lock, no run's folder in scratch, no part."""
        found = self.catalog()
        runs = [run for folder in (".", "throwaway", "container") for run in self.scratch.glob(f"{folder}/run-*")]
        parts = list(Path(self.environment["STORE"].removeprefix("file://")).rglob("*.part"))
        return not found.partial and not found.locks and not runs and not parts

    def command(self, *argv: str) -> list[str]:
        return [sys.executable, "-m", "killick", *argv]

    def run(self, *argv: str, expect: int | None = 0, **more: str | None) -> Ran:
        """Runs a verb to its end; its exit code must be `expect`, if given. `more` overrides variables, None unsets."""
        done = subprocess.run(
            self.command(*argv), env=self.with_(more), capture_output=True, text=True, timeout=300, check=False
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
        self.every.append(ran)
        assert "Traceback" not in ran.out + ran.err
        if expect is not None:
            assert ran.code == expect, f"killick {' '.join(argv)} ended with {ran.code}:\n{ran.out}\n{ran.err}"
        return ran

    def with_(self, more: Mapping[str, str | None]) -> dict[str, str]:
        whole: dict[str, str | None] = {**self.environment, **more}
        return {name: value for name, value in whole.items() if value is not None}

    @contextmanager
    def running(self, *argv: str, **more: str | None) -> Iterator["subprocess.Popen[str]"]:
        """A verb that is under way; killed at the end of the block if it still runs."""
        with subprocess.Popen(
            self.command(*argv), env=self.with_(more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGKILL)

    def back_up(self, *argv: str, **more: str | None) -> str:
        """The id of a backup of `db` that succeeded."""
        made = self.run("backup", "--json", *argv, **more).json
        return str(made[0]["id"])


def wait_for(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def short_folder() -> Iterator[Path]:
    """Where a throwaway may lie, and only this test's: a path short enough for sockets, that other users may pass
    through. Else it would lie in /var/tmp, with those of all that runs on this machine."""
    with TemporaryDirectory(prefix="killick-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size, for the block. Skips the test where none can be mounted."""
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "killick-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def wrapper(folder: Path, program: Path, script: str) -> Path:
    """A program of the same name that runs `script`, in which $REAL is the real one; what PROGRAMS finds first."""
    folder.mkdir(parents=True, exist_ok=True)
    for beside in program.parent.iterdir() if program.name.startswith("pg_") else []:
        if not (folder / beside.name).exists():
            (folder / beside.name).symlink_to(beside)
    path = folder / program.name
    path.unlink(missing_ok=True)
    path.write_text(f'#!/bin/sh\nREAL={program}\ncase "$*" in *--version*|*--help*) exec $REAL "$@";; esac\n{script}\n')
    path.chmod(0o755)
    return folder


def basics(folder: Path, programs: str) -> dict[str, str]:
    """The variables that every project has, on a folder store."""
    for name in ("store", "scratch", "cache", "home"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "PROGRAMS": programs,
        "PROJECT": "shop",
        "STORE": f"file://{folder}/store",
        "SCRATCH_DIR": str(folder / "scratch"),
        "CACHE_DIR": str(folder / "cache"),
        "LOG_FORMAT": "json",
        "CODEC": "zstd",
    }


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    """A folder that is a mount point, as a volume's is; skips the test where nothing can be mounted."""
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
