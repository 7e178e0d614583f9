"""A Postgres server of the manifest's major, for one verification: fast, not durable, on a socket only."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from killick.engines import Source
from killick.errors import Unreachable
from killick.limits import limits
from killick.manifest import Manifest
from killick.programs import Program
from killick.throwaway import Copy, _server
from killick.throwaway._place import place, user

PROGRAM = "postgres"
_USER = "postgres"
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
    # only our socket, and no shared memory that a kill leaves behind
    "listen_addresses": "",
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
def start(manifest: Manifest, scratch: Path, kind: str) -> Iterator[Copy]:
    """Raises Unverifiable when its server is not here or does not start."""
    who = user()
    program, notes = _server.choose(PROGRAM, manifest.server_version, who)
    with place(scratch, who) as folder, _server.cell(folder, who) as cell:
        password = secrets.token_urlsafe(24)
        sockets = folder / "s"
        database = manifest.database or "postgres"
        url = f"postgres://{_USER}@/{quote(database, safe='')}?host={quote(str(sockets), safe='')}&port=5432"
        source = Source("throwaway", url, password, owners=True)
        _initdb(cell, program, password)
        argv = ["-D", str(folder / "data"), *_options(sockets)]
        with _server.serving(cell, program, argv, lambda: _answers(sockets, password), signal.SIGQUIT) as process:
            yield Copy(
                source, kind, _server.dotted(program.version), cell.network, cell.files, who.name, notes,
                kill=lambda: process.popen.send_signal(signal.SIGQUIT),
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
    common = (
        f"--pgdata={cell.folder / 'data'}", f"--username={_USER}", f"--pwfile={secret}",
        "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8",
    )  # fmt: skip
    _server.prepare(cell, initdb, common)
    secret.unlink()


def _options(sockets: Path) -> list[str]:
    use = limits()
    sizes = _server.sizes(use.memory)
    settings = {
        **_SETTINGS,
        "unix_socket_directories": str(sockets),
        "shared_buffers": f"{sizes['cache']}MB",
        "maintenance_work_mem": f"{sizes['work']}MB",
        "max_parallel_maintenance_workers": str(use.cpus),
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _answers(sockets: Path, password: str) -> None:
    """Raises Unreachable until the server lets us in: an open socket is not an answer."""
    import psycopg2

    try:
        psycopg2.connect(host=str(sockets), port=5432, user=_USER, password=password, dbname="template1").close()
    except psycopg2.OperationalError as error:
        raise Unreachable(" ".join(str(error).split())) from None
