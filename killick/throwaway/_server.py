"""A database server as a confined child of ours: the steps that Postgres and mongod share."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from killick.errors import CommandFailed, KillickError, Unreachable, Unverifiable
from killick.process import Command, Process, run, start
from killick.programs import Program, installed, numbers
from killick.throwaway import Terms, confine
from killick.throwaway._orphans import ended
from killick.throwaway._place import User, reachable

SYSTEM = (
    "/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/var/cache/postgresql",
    *(f"/etc/{name}" for name in ("passwd", "group", "nsswitch.conf", "ld.so.cache", "ld.so.preload", "localtime",
                                  "timezone", "ssl/openssl.cnf", "alternatives")),
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_UP = 60.0  # seconds that a server may take to answer
_FULL = "No space left on device"  # strerror(ENOSPC)


@dataclass(frozen=True)
class Cell:
    """Where and as whom the programs of one throwaway run. `folder` is all that they may write to."""

    folder: Path
    who: User
    guards: confine.Guards
    terms: Terms

    @property
    def network(self) -> str:
        return "none (seccomp)" if self.guards.seccomp else "open: this kernel has no seccomp filter"

    @property
    def files(self) -> str:
        if self.guards.landlock:
            return "its own only (Landlock)"
        return f"open: whatever user {self.who.name} may read, since this kernel has no Landlock"

    def command(self, program: Program, argv: Sequence[str]) -> Command:
        tmp = self.folder / "tmp"
        environment = {
            "PATH": "/usr/bin:/bin", "HOME": str(tmp), "TMPDIR": str(tmp), "LC_ALL": "C.UTF-8", "TZ": "UTC",
            **program.environment(server=True),
        }  # fmt: skip
        policy = confine.Policy(
            parent=os.getpid(),
            read=(*SYSTEM, str(program.path.resolve().parent.parent), *_libraries(program)),
            write=(str(self.folder), *DEVICES),
            user=self.who.other,
            env=environment,
            cpus=math.ceil(self.terms.cpus),
            network=self.guards.seccomp,
            files=self.guards.landlock > 0,
        )
        return Command(confine.argv(policy, (str(program.path), *argv)), cwd=self.folder)


def there(program: str, wanted: str) -> list[Program]:
    """Every server of that program that is of the wanted version's series, newest first: see `series`."""
    return [found for found in installed(program) if series(program, found.version) == series(program, numbers(wanted))]


def series(program: str, version: tuple[int, ...]) -> tuple[int, ...]:
    """Within which one may take another's data: Postgres 16, MongoDB 6.0."""
    return version[: 1 if program == "postgres" else 2]


def lacking(program: str, wanted: str) -> str:
    """Why there is no server for data of that version here, "" when there is one."""
    if there(program, wanted):
        return ""
    have = ", ".join(dotted(found.version) for found in installed(program)) or "none"
    return f"it needs {program} {dotted(series(program, numbers(wanted)))}, and here is {have}"


def choose(program: str, wanted: str, who: User) -> tuple[Program, tuple[str, ...]]:
    """The newest of that series, and notes: one that is older than the source's is better than none.

    Raises Unverifiable.
    """
    candidates = there(program, wanted)
    found = next((candidate for candidate in candidates if reachable(candidate.path, who)), None)
    if found is not None:
        return found, older(found.version, wanted)
    if candidates:
        path = candidates[0].path
        raise Unverifiable(
            f"{path} cannot be run by user {who.name}, and databases are not run as root",
            f"put it where everybody may read it, or run killick as another user than root: {path.parent}",
        )
    raise Unverifiable(lacking(program, wanted), "use the image killick:verify", reason="version")


def older(version: tuple[int, ...], wanted: str) -> tuple[str, ...]:
    """A note where a throwaway's server is older than the source's."""
    if version >= numbers(wanted):
        return ()
    return (f"the throwaway is {dotted(version)}, older than the source's {dotted(numbers(wanted))}",)


def dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


@cache
def _libraries(program: Program) -> tuple[str, ...]:
    """The folders of the libraries that it loads: some installations keep them beside, not inside."""
    command = Command(("ldd", str(program.path)), env=program.environment(server=True))
    try:
        said = run(command, timeout=_UP).text
    except (CommandFailed, TimeoutError):
        return ()
    return tuple(sorted({str(Path(path).resolve().parent) for path in re.findall(r" => (/\S+)", said)}))


@contextmanager
def cell(folder: Path, who: User, terms: Terms) -> Iterator[Cell]:
    """While it lasts killick itself is hidden from whoever runs as the same user."""
    for name in ("tmp", "s"):
        inner = folder / name
        inner.mkdir(0o700)
        if who.other:
            os.chown(inner, *who.other)
    with confine.hidden():
        yield Cell(folder, who, confine.guards(), terms)


def prepare(cell: Cell, program: Program, argv: Sequence[str]) -> None:
    """Runs a program to its end. Raises Unverifiable: nothing of the backup has been touched yet."""
    try:
        run(cell.command(program, argv), timeout=_UP)
    except CommandFailed as error:
        raise _unable(program, error.stderr or error.message) from None
    except TimeoutError as error:
        raise _unable(program, str(error)) from None


@contextmanager
def serving(
    cell: Cell, program: Program, argv: Sequence[str], ready: Callable[[], object], end: signal.Signals
) -> Iterator[Process]:
    """The server, once `ready` no longer raises Unreachable; `end` stops it with all its children."""
    with ended(), start(cell.command(program, argv)) as process:
        try:
            _await(process, program, ready)
            yield process
        finally:
            _stop(process, end)


def _await(process: Process, program: Program, ready: Callable[[], object]) -> None:
    until = time.monotonic() + _UP
    while True:
        try:
            ready()
        except Unreachable as error:
            if not process.running():
                raise _unable(program, f"it ended: {process.stderr}") from None
            if time.monotonic() > until:
                raise _unable(program, f"{error.message}; it said: {process.stderr}") from None
            time.sleep(0.02)
        else:
            return


def _stop(process: Process, end: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        process.popen.send_signal(end)
    with suppress(subprocess.TimeoutExpired):
        process.popen.wait(10)  # a postmaster kills its own children after 5
    process.stop()


def _unable(program: Program, why: str) -> KillickError:
    named = f"{program.path.name} {dotted(program.version)} does not start as a throwaway"
    if _FULL in why:
        return Unverifiable(f"{named}: {_FULL.lower()}", "give SCRATCH_DIR a larger volume", reason="disk")
    return Unverifiable(
        f"{named}: {' '.join(why.split())[-500:]}", "killick doctor looks at the servers that are installed here"
    )


def sizes(memory: int) -> Mapping[str, int]:
    """MiB for a server's own memory: a quarter of what there is, within reason."""
    share = memory // 8 >> 20
    return {"cache": max(32, min(share, 1024)), "work": max(32, min(share, 512))}
