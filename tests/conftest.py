"""Fixtures of real parts. One that cannot be had here skips its tests; with CI=true it fails them."""

import os
import secrets
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.kit import Project, basics
from tests.lab import Missing, postgres, programs
from tests.lab.faults import Faults
from tests.lab.mongod import Mongod
from tests.lab.postgres import Postgres
from tests.lab.s3 import S3


def _unless_missing() -> Generator[None, object, object]:
    try:
        return (yield)
    except Missing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


# Around the whole set-up: a shared fixture that failed raises the same again for the next test, outside its own hook.
@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    return (yield from _unless_missing())


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    return (yield from _unless_missing())


@pytest.fixture(scope="session", params=postgres.majors(), ids=lambda major: f"postgres{major}")
def any_postgres(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """A test that takes this runs on every major there is. The server is shared: make your own database."""
    with Postgres(request.param) as server:
        yield server


@pytest.fixture(scope="session")
def postgres16() -> Iterator[Postgres]:
    """One shared server: make your own database, leave the server as it was."""
    with Postgres(16) as server:
        yield server


@pytest.fixture(scope="session")
def postgres18() -> Iterator[Postgres]:
    """The newest major, for moves and restores between majors."""
    with Postgres(18) as server:
        yield server


@pytest.fixture(scope="session")
def mongod() -> Iterator[Mongod]:
    """A standalone server, shared: make your own database."""
    with Mongod() as server:
        yield server


@pytest.fixture(scope="session")
def mongo_set() -> Iterator[Mongod]:
    """A replica set of one, shared; it has an oplog."""
    with Mongod(replica_set=True) as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """One shared server: make your own bucket."""
    with S3() as server:
        yield server


@pytest.fixture
def faults(s3: S3) -> Iterator[Faults]:
    """A proxy before the S3 server, without a fault yet: `faults.environment()` sends killick through it."""
    with Faults(s3) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def programs_path() -> str:
    """The value of PROGRAMS for killick's children."""
    return programs.programs_path()


@pytest.fixture
def database(postgres16: Postgres) -> Iterator[str]:
    """A small database of its own on the shared server: the name. Two tables, a sequence, an index, a view."""
    name = f"app_{secrets.token_hex(4)}"
    postgres16.create(name)
    postgres16.execute(
        "CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL UNIQUE, note text);"
        "CREATE TABLE orders"
        " (id bigserial PRIMARY KEY, customer int REFERENCES customers, total numeric, at timestamp);"
        "CREATE VIEW totals AS SELECT customer, sum(total) FROM orders GROUP BY 1;"
        "INSERT INTO customers (name, note)"
        " SELECT 'name ' || i, repeat('ü', i % 50) FROM generate_series(1, 2000) i;"
        "INSERT INTO orders (customer, total, at)"
        " SELECT 1 + i % 2000, i / 7.0, '2026-01-01'::timestamp"
        " + i * '1 min'::interval FROM generate_series(1, 5000) i",
        name,
    )
    yield name
    postgres16.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def project(tmp_path: Path, postgres16: Postgres, database: str, programs_path: str) -> Project:
    """One Postgres source `db`, a folder as the store."""
    tmp_path.chmod(0o755)
    return Project({**basics(tmp_path, programs_path), "DATABASE_URL": postgres16.url(database)})
