"""Two servers of each major: the source's, and one with another identity to restore into."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from killick.contents import Contents
from killick.engines import Source
from killick.engines.postgres import Postgres as Engine
from killick.programs import installed
from killick.watch import unwatched
from tests.lab import Missing, postgres
from tests.lab.postgres import Postgres

HARD = Path(__file__).with_name("hard.sql")
ROLES = ("owner", "reader", 'O\'Brien "the" Ops')


@dataclass(frozen=True)
class Pair:
    source: Postgres
    other: Postgres

    @property
    def major(self) -> int:
        return self.source.major


@dataclass(frozen=True)
class Backup:
    """A dump in a folder, and what the engine said of it."""

    folder: Path
    contents: Contents


@pytest.fixture(autouse=True)
def _programs(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)


@pytest.fixture(scope="session", params=postgres.majors(), ids=lambda major: f"postgres{major}")
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with Postgres(request.param) as source, Postgres(request.param) as other:
        yield Pair(source, other)


@pytest.fixture(scope="session")
def debian15() -> Iterator[Postgres]:
    """The one server here that has contrib, and PostGIS where it is installed."""
    with Postgres(15) as server:
        yield server


@pytest.fixture(scope="session")
def postgis(debian15: Postgres) -> Postgres:
    if not has_extension(debian15, "postgis_topology"):
        raise Missing("PostGIS is not installed: apt-get install postgresql-15-postgis-3")
    return debian15


def engine(
    server: Postgres,
    database: str,
    *,
    user: str = "postgres",
    password: str | None = None,
    owners: bool = False,
    rows: bool = True,
    evidence: str = "dump",
) -> Engine:
    secret = server.password if password is None else password
    url = f"postgres://{quote(user, safe='')}@127.0.0.1:{server.port}/{quote(database, safe='')}"
    return Engine(Source("db", url, secret, owners=owners, rows=rows, evidence=evidence))


def backup(source: Engine, folder: Path, jobs: int = 2) -> Backup:
    """Its contents have been through JSON, as a manifest's have."""
    contents = source.dump(folder, jobs, unwatched)
    return Backup(folder, Contents.from_json(json.loads(json.dumps(contents.to_json()))))


def has_extension(server: Postgres, name: str) -> bool:
    return bool(server.execute(f"SELECT 1 FROM pg_available_extensions WHERE name = '{name}'"))


def roles(server: Postgres) -> None:
    there = {name for (name,) in server.execute("SELECT rolname FROM pg_roles")}
    for role in set(ROLES) - there:
        server.execute(f"CREATE ROLE {quoted(role)}")


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def hard(server: Postgres, database: str) -> None:
    """Makes the hard database; servers without contrib or libxml get text in place of those types."""
    roles(server)
    text = HARD.read_text().replace("current_database_name", quoted(database))
    if not has_extension(server, "hstore"):
        for old, new in (
            ("CREATE EXTENSION hstore SCHEMA public;", ""),
            ("CREATE EXTENSION citext SCHEMA other;", ""),
            ("other.citext", "text"),
            (" h hstore", " h text"),
            (" x xml", " x text"),
        ):
            text = text.replace(old, new)
    server.execute(f"CREATE DATABASE {quoted(database)} TEMPLATE template0")
    script(server, database, text)


def script(server: Postgres, database: str, text: str | bytes) -> None:
    """By psql: each statement is a transaction of its own."""
    address = engine(server, database).address
    done = subprocess.run(
        [server.bin / "psql", "-Xqv", "ON_ERROR_STOP=1", "-d", address.conninfo()],
        env={"PGPASSWORD": server.password},
        input=text.encode() if isinstance(text, str) else text,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()


def fake(folder: Path, major: int, script: str) -> str:
    """PROGRAMS with a pg_dump that runs `script`; $real is the real one, $out the folder that it is to fill."""
    real = next(program for program in installed("pg_dump") if program.major == major)
    for path in real.path.parent.iterdir():
        if path.name != "pg_dump":
            (folder / path.name).symlink_to(path)
    (folder / "pg_dump").write_text(
        f'#!/bin/sh\nreal={real.path}\ncase "$*" in *--version*) exec $real --version;; esac\n'
        'for a; do case "$a" in --file=*) out="${a#--file=}";; esac; done\n' + script
    )
    (folder / "pg_dump").chmod(0o755)
    return str(folder)
