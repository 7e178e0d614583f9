"""A Postgres server of the manifest's major, for one verification: fast, not durable, on a socket only."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from killick.engines import Source
from killick.errors import Unreachable
from killick.limits import Limits, limits
from killick.manifest import Manifest
from killick.programs import Program
from killick.throwaway import Copy, Terms, _beside, _reach, _server
from killick.throwaway._place import place, user

PROGRAM = "postgres"
PORT = 5432
_USER = "postgres"
INITDB = (
    f"--username={_USER}", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
)  # fmt: skip
_SETTINGS = {
    # nothing here outlives a crash
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "1h",
    "max_wal_size": "2GB",
    "autovacuum": "off",
    "jit": "off",
    # a dump of 10,000 tables locks them all
    "max_locks_per_transaction": "1024",
    # for us alone, and no shared memory that a kill leaves behind
    "unix_socket_permissions": "0700",
    "shared_memory_type": "mmap",
    "dynamic_shared_memory_type": "mmap",
    "huge_pages": "off",
    # its log may reach an error message: neither rows nor statements
    "logging_collector": "off",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}


@contextmanager
def start(manifest: Manifest, scratch: Path, terms: Terms, kind: str) -> Iterator[Copy]:
    """Raises Unverifiable when its server is not here or does not start."""
    who = user()
    program, notes = _server.choose(PROGRAM, manifest.server_version, who)
    with place(scratch, who) as folder, _server.cell(folder, who, terms) as cell:
        password = secrets.token_urlsafe(24)
        sockets = folder / "s"
        own = source(manifest, sockets, password)
        _initdb(cell, program, password)
        here = {"unix_socket_directories": str(sockets), "listen_addresses": ""}
        argv = ["-D", str(folder / "data"), *options({**settings(terms.within(limits())), **here})]
        with _server.serving(cell, program, argv, lambda: answers(sockets, password), signal.SIGQUIT) as process:
            yield Copy(
                own, kind, _server.dotted(program.version), cell.network, cell.files, who.name, notes,
                kill=lambda: process.popen.send_signal(signal.SIGQUIT),
                run=lambda app, seconds: _beside.run(cell, app, reach(manifest, str(sockets), password), seconds),
            )  # fmt: skip


def _initdb(cell: _server.Cell, program: Program, password: str) -> None:
    """A new cluster, its superuser with a random password. Its locale does not matter: the load makes the database."""
    secret = cell.folder / "password"
    descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password)
    if cell.who.other:
        os.chown(secret, *cell.who.other)
    initdb = Program(program.version, program.beside("initdb"))
    _server.prepare(cell, initdb, (f"--pgdata={cell.folder / 'data'}", f"--pwfile={secret}", *INITDB))
    secret.unlink()


def source(manifest: Manifest, sockets: Path, password: str) -> Source:
    """What is loaded into: the database is not there yet. `sockets` is the folder with the server's socket."""
    url = f"postgres://{_USER}@/{quote(_database(manifest), safe='')}?host={quote(str(sockets), safe='')}&port={PORT}"
    return Source("throwaway", url, password, owners=True)


def reach(manifest: Manifest, host: str, password: str) -> dict[str, str]:
    """What a program of the project's is told. `host` is a name, or the folder of a socket."""
    return _reach.postgres(_database(manifest), host, PORT, _USER, password)


def _database(manifest: Manifest) -> str:
    return manifest.database or "postgres"


def settings(use: Limits) -> dict[str, str]:
    """For whatever does not have to last, with memory and processors as `use` allows."""
    sizes = _server.sizes(use.memory)
    return {
        **_SETTINGS,
        "shared_buffers": f"{sizes['cache']}MB",
        "maintenance_work_mem": f"{sizes['work']}MB",
        "max_parallel_maintenance_workers": str(use.cpus),
    }


def options(settings: Mapping[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def answers(sockets: Path, password: str) -> str:
    """The server's version. Raises Unreachable until it lets us in: an open socket is not an answer."""
    import psycopg2

    try:
        connection = psycopg2.connect(
            host=str(sockets), port=PORT, user=_USER, password=password, dbname="template1", connect_timeout=10
        )
    except psycopg2.OperationalError as error:
        raise Unreachable(" ".join(str(error).split())) from None
    version = connection.server_version  # 160014
    connection.close()
    return f"{version // 10000}.{version % 10000}"
