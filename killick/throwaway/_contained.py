"""The servers that a container can hold: what is run in it, instead of the image's own entry point.

Entry points start the server twice, make databases and extensions, and want volumes; here it starts once, and empty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from killick.engines import Source
from killick.errors import Unreachable
from killick.limits import Limits
from killick.manifest import Manifest
from killick.throwaway import _mongod, _postgres, _reach

FOLDER = "/killick"  # in the container: all that its server may write to
PASSWORD = "KILLICK_PASSWORD"  # noqa: S105  # a name
_USER = "killick"
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Contained:
    """One server. `user` is whom it runs as, by the name that the official images know; `end` the signal that ends it
    at once; `data` the part of the container's memory that its files may take.

    `script` is bash, with the password in its environment, and becomes the server; `argv` gives it its arguments, for
    so much memory, so many processors, and so many bytes of files. `socket` is the file that its clients look for, and
    `source` what they are told, given the folder of that file. `ready` gives the server's version once it takes
    the password, and raises Unreachable before. `reach` is what a program of the project's is told: beside the server,
    or (given that folder) where a socket stands for it.
    """

    user: str
    port: int
    end: str
    data: float
    script: str
    argv: Callable[[Limits, int], list[str]]
    socket: str
    source: Callable[[Manifest, Path, str], Source]
    ready: Callable[[Source, Path], str]
    reach: Callable[[Manifest, str, str], dict[str, str]]

    def room(self, memory: int) -> int:
        """Bytes that its files may take: a container's only disk that can be bounded is memory."""
        return int(memory * self.data)


def _postgres_argv(use: Limits, room: int) -> list[str]:
    log = min(2048, max(64, room >> 23))  # MiB; half as much again may be written before it is used anew
    return _postgres.options(
        {
            **_postgres.settings(use),
            "listen_addresses": _LOOPBACK,
            "unix_socket_directories": "",
            "max_wal_size": f"{log}MB",
            "min_wal_size": "32MB",
        }
    )


def _mongod_argv(use: Limits, _room: int) -> list[str]:
    return _mongod.options(use.memory)


def _mongod_source(manifest: Manifest, folder: Path, password: str) -> Source:
    host = quote(str(folder / _MONGOD.socket), safe="")
    url = f"mongodb://{_USER}@{host}/{quote(manifest.database)}?directConnection=true&authSource=admin"
    return Source("throwaway", url, password)


def _mongod_ready(source: Source, folder: Path) -> str:
    """The first who comes may make a user; nobody may do more."""
    import pymongo
    from pymongo.errors import OperationFailure, PyMongoError

    host = quote(str(folder / _MONGOD.socket), safe="")
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
        f"mongodb://{host}/?directConnection=true", serverSelectionTimeoutMS=2000
    )
    try:
        # the replay of an oplog takes every right that there is
        client.admin.command("createUser", _USER, pwd=source.password, roles=["__system"])
    except OperationFailure:
        pass  # it was made at an attempt whose answer got lost
    except PyMongoError as error:
        raise Unreachable(" ".join(str(error).split())) from None
    finally:
        client.close()
    return _mongod.answers(source)


def _mongod_reach(manifest: Manifest, folder: str, password: str) -> dict[str, str]:
    host = f"{folder}/{_MONGOD.socket}" if folder else f"{_LOOPBACK}:{_MONGOD.port}"
    return _reach.mongodb(manifest.database, host, _USER, password)


_MONGOD = Contained(
    user="mongodb",
    port=27017,
    end="TERM",
    data=0.5,
    script=(
        f"mkdir {FOLDER}/data; exec mongod --dbpath {FOLDER}/data --bind_ip {_LOOPBACK} --port 27017 --nounixsocket"
        ' --auth "$@"'
    ),
    argv=_mongod_argv,
    socket="m.sock",
    source=_mongod_source,
    ready=_mongod_ready,
    reach=_mongod_reach,
)
_POSTGRES = Contained(
    user="postgres",
    port=_postgres.PORT,
    end="QUIT",
    data=0.75,
    script=(
        f'initdb --pgdata={FOLDER}/data --pwfile=<(printf %s "${PASSWORD}") {" ".join(_postgres.INITDB)} >/dev/null;'
        f' exec postgres -D {FOLDER}/data "$@"'
    ),
    argv=_postgres_argv,
    socket=f".s.PGSQL.{_postgres.PORT}",
    source=_postgres.source,
    ready=lambda source, folder: _postgres.answers(folder, source.password),
    reach=lambda manifest, folder, password: _postgres.reach(manifest, folder or _LOOPBACK, password),
)
SERVERS = {"postgres": _POSTGRES, "mongodb": _MONGOD}
