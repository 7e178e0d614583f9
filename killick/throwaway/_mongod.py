"""A mongod of the manifest's major, for one verification: on a socket in a folder that nobody else may enter."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from killick.engines import Source
from killick.errors import Unreachable
from killick.limits import limits
from killick.manifest import Manifest
from killick.throwaway import Copy, Terms, _beside, _reach, _server
from killick.throwaway._place import place, user

PROGRAM = "mongod"


@contextmanager
def start(manifest: Manifest, scratch: Path, terms: Terms, kind: str) -> Iterator[Copy]:
    """Raises Unverifiable when its server is not here or does not start."""
    who = user()
    program, notes = _server.choose(PROGRAM, manifest.server_version, who)
    with place(scratch, who) as folder, _server.cell(folder, who, terms) as cell:
        socket = folder / "s" / "m.sock"
        data = folder / "data"
        data.mkdir(0o700)
        if who.other:
            os.chown(data, *who.other)
        host = quote(str(socket), safe="")
        reach = _reach.mongodb(manifest.database, str(socket))
        source = Source("throwaway", f"mongodb://{host}/{quote(manifest.database)}?directConnection=true")
        with _server.serving(
            cell, program, _argv(data, socket, terms), lambda: answers(source), signal.SIGKILL
        ) as process:
            yield Copy(
                source, kind, _server.dotted(program.version), cell.network, cell.files, who.name, notes,
                kill=process.popen.kill,
                run=lambda app, seconds: _beside.run(cell, app, reach, seconds),
            )  # fmt: skip


def _argv(data: Path, socket: Path, terms: Terms) -> list[str]:
    return [
        "--dbpath", str(data), "--bind_ip", str(socket), "--unixSocketPrefix", str(socket.parent),
        "--filePermissions", "0700", *options(terms.within(limits()).memory),
    ]  # fmt: skip


def options(memory: int) -> list[str]:
    """For whatever does not have to last. `memory` in bytes."""
    cache = max(256, _server.sizes(memory)["cache"])
    return [
        "--wiredTigerCacheSizeGB", f"{cache / 1024:.2f}", "--quiet",
        "--setParameter", "diagnosticDataCollectionEnabled=false",
        # what expired since the backup was taken was in it: nothing may be deleted before it is compared
        "--setParameter", "ttlMonitorEnabled=false",
        # otherwise it lays out 300 MB of empty log
        "--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=8MB)",
    ]  # fmt: skip


def answers(source: Source) -> str:
    """The server's version. Raises Unreachable until it answers a command."""
    import pymongo
    from pymongo.errors import PyMongoError

    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
        source.url, password=source.password or None, serverSelectionTimeoutMS=200
    )
    try:
        return str(client.server_info()["version"])
    except PyMongoError as error:
        raise Unreachable(" ".join(str(error).split())) from None
    finally:
        client.close()
