"""A throwaway as a process of our own machine or container: no Docker socket, the server's programs must be here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote

from killick.engines import Source
from killick.errors import Unverifiable
from killick.manifest import Manifest
from killick.programs import installed
from killick.stream import Scratch
from killick.throwaway import Copy, Terms, _mongod, _place, _postgres, _server

KIND = "process"
_SERVERS = {"postgres": _postgres, "mongodb": _mongod}
ENGINES = (*_SERVERS, "files")
_CURE = "use the image killick:verify, or install a server of that version and name its folder in PROGRAMS"


def lacking() -> Unverifiable | None:
    """Why there is no server of any kind here, None when there is one."""
    if any(installed(server.PROGRAM) for server in _SERVERS.values()):
        return None
    return Unverifiable("no database server is installed", _CURE, reason="version")


def missing(manifest: Manifest) -> Unverifiable | None:
    """Why there is no throwaway for this backup here, None when there can be one."""
    server = _SERVERS.get(manifest.engine)
    why = _server.lacking(server.PROGRAM, manifest.server_version) if server else ""
    return Unverifiable(why, _CURE, reason="version") if why else None


def start(manifest: Manifest, scratch: Path, terms: Terms) -> AbstractContextManager[Copy]:
    """Raises Unverifiable when its server is not here or does not start."""
    server = _SERVERS.get(manifest.engine)
    return server.start(manifest, scratch, terms, KIND) if server else _folder(scratch)


def sweep(scratch: Path) -> list[str]:
    """What runs that were killed left behind; their servers died with them."""
    return _place.sweep(scratch)


@contextmanager
def _folder(scratch: Path) -> Iterator[Copy]:
    """Files are put back by ourselves and run nothing: a folder is enough."""
    with Scratch(scratch / "throwaway").folder() as run:
        copy = run / "copy"
        copy.mkdir()
        source = Source("throwaway", f"file://{quote(os.fsencode(copy))}")
        yield Copy(source, KIND, "", "not used: files are only written", "its own only", "")
