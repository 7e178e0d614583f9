"""Where the databases' own programs are: several majors of Postgres' side by side, MongoDB's tools and servers.

Looked for in this order: the folders of PROGRAMS (colon-separated), /usr/lib/postgresql/*/bin,
/usr/lib/mongo-tools/bin, /usr/lib/mongo-server/bin, /usr/lib/mongosh/bin, PATH. A folder may have its own libraries
beside it (client-lib, server-lib): these are for its programs only, so LD_LIBRARY_PATH is set per child and never for
ourselves.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from killick.process import Command, run

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/lib/mongo-tools/bin", "/usr/lib/mongo-server/bin", "/usr/lib/mongosh/bin")
_CLIENT, _SERVER = "client-lib", "server-lib"


@dataclass(frozen=True, order=True)
class Program:
    """One installed program; ordered by version. `version` is as it says itself: (16, 14), (100, 10, 0)."""

    version: tuple[int, ...]
    path: Path

    @property
    def major(self) -> int:
        return self.version[0]

    def beside(self, name: str) -> Path:
        """Another program of the same installation."""
        return self.path.parent / name

    def environment(self, *, server: bool = False) -> dict[str, str]:
        """The library path that this installation's programs need; empty where they need none."""
        library = self.path.parent.parent / (_SERVER if server else _CLIENT)
        return {"LD_LIBRARY_PATH": str(library)} if library.is_dir() else {}


def numbers(version: str) -> tuple[int, ...]:
    """(16, 14) of "16.14 (Debian 16.14-1)": what a server says, as it can be compared."""
    return tuple(int(n) for n in version.split(" ", 1)[0].split(".") if n.isdecimal())


def installed(name: str) -> list[Program]:
    """Every installation of the program `name` that starts, newest first."""
    return _installed(name, os.environ.get("PROGRAMS", ""), os.environ.get("PATH", ""))


@cache
def _installed(name: str, programs: str, path: str) -> list[Program]:
    found: dict[tuple[int, ...], Program] = {}
    server = name in {"postgres", "initdb", "pg_ctl", "mongod"}
    for folder in _folders(programs, path):
        file = folder / name
        if os.access(file, os.X_OK) and file.is_file():  # in this order: is_file raises in a folder closed to us
            version = _version(Program((0,), file), server)
            if version:
                found.setdefault(version, Program(version, file))
    return sorted(found.values(), reverse=True)


def _folders(programs: str, path: str) -> Iterable[Path]:
    """Each once, by the name that comes first: /bin is often /usr/bin."""
    places = [Path(p) for p in programs.split(":") if p]
    for pattern in _PLACES:
        places += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    places += [Path(p) for p in path.split(":") if p]
    once: dict[str, Path] = {}
    for place in places:
        once.setdefault(os.path.realpath(place), place)
    return once.values()


def _version(program: Program, server: bool) -> tuple[int, ...]:
    """() for one that does not start here. LD_BIND_NOW: a libpq of the wrong major passes --version otherwise."""
    env = {**program.environment(server=server), "LD_BIND_NOW": "1"}
    try:
        first = run(Command((str(program.path), "--version"), env=env), timeout=20).text
    except Exception:  # whatever keeps it from saying its version keeps us from using it
        return ()
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", first)
    return tuple(int(g) for g in match.groups() if g) if match else ()
