"""Postgres' own regression tests, out of Debian's source package: SQL files, in the order in which they are to run."""

import os
import subprocess
from pathlib import Path

from tests.lab import Missing
from tests.lab.cache import folder, root, run
from tests.lab.debian import private_lists
from tests.lab.postgres import Postgres

_SUITE = (
    "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main\n"
)
_MAJOR = 15  # bookworm's
_SETTINGS = {  # as the tests' own driver sets them
    "lc_messages": "C", "lc_monetary": "C", "datestyle": "Postgres, MDY", "timezone": "PST8PDT",
    "intervalstyle": "postgres_verbose", "bytea_output": "hex",
}  # fmt: skip


def fill(server: Postgres, database: str) -> None:
    """Runs them all in a new database, one after the other, as superuser. What fails for want of the tests' own
    library of C functions is left out. Raises Missing without Debian's sources."""
    place = _files()
    server.create(database)
    for name, value in _SETTINGS.items():
        server.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
    env = {
        "PATH": os.defpath, "PGPASSWORD": server.password, "PG_ABS_SRCDIR": str(place),
        "PG_ABS_BUILDDIR": str(server.folder),
        "PG_LIBDIR": "/nowhere", "PG_DLSUFFIX": ".so", "PGTZ": "PST8PDT", "PGDATESTYLE": "Postgres, MDY",
    }  # fmt: skip
    (server.folder / "results").mkdir(exist_ok=True)
    for name in _schedule(place):
        subprocess.run(
            [server.bin / "psql", "-Xqa", "-h", "127.0.0.1", "-p", str(server.port), "-U", server.user, "-d", database,
             "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on", "-f", place / "sql" / f"{name}.sql"],
            env=env, capture_output=True, check=False, timeout=300,
        )  # fmt: skip


def _schedule(place: Path) -> list[str]:
    lines = (place / "parallel_schedule").read_text().splitlines()
    return [name for line in lines if line.startswith("test: ") for name in line.removeprefix("test: ").split()]


def _files() -> Path:
    return folder(f"postgresql-{_MAJOR}-regress", _unpack)


def _unpack(place: Path) -> None:
    sources = root() / "sources-bookworm.list"
    sources.write_text(_SUITE)
    lists = private_lists("-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-")
    run("apt-get", *lists, "--quiet", "--download-only", "source", f"postgresql-{_MAJOR}", cwd=place)
    (tarball,) = place.glob("*.orig.tar.*")
    run("tar", "xf", str(tarball), "--strip-components=4", "--wildcards", "*/src/test/regress", cwd=place)
    for package in place.glob("postgresql-*"):
        package.unlink()
    if not (place / "parallel_schedule").exists():
        raise Missing(f"the source package postgresql-{_MAJOR} has no regression tests")
