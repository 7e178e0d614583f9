"""Archives that shell scripts left: each of the nineteen in tests/legacy ends as EXPECTED.json says."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from killick import catalog
from killick.bring import Opened
from killick.catalog import Backup
from killick.engines import Notes, Source, connect
from killick.errors import Corrupt, KillickError, Refused, RestoreError
from killick.older.opening import fetch_older, open_older
from killick.stores.folder import Folder
from killick.watch import Phases, unwatched
from tests.lab.mongod import Mongod
from tests.lab.postgres import Postgres

LEGACY = Path(__file__).parents[1] / "legacy"
OBJECTS: dict[str, dict[str, Any]] = json.loads((LEGACY / "EXPECTED.json").read_text())["objects"]
SOUND = [key for key, told in OBJECTS.items() if told.get("sound")]
UNSOUND = [key for key, told in OBJECTS.items() if told.get("sound") is False]
NO_BACKUPS = OBJECTS.keys() - {*SOUND, *UNSOUND}
OF_POSTGRES = [key for key in SOUND if OBJECTS[key]["engine"] == "postgres"]
(OF_MONGODB,) = (key for key in SOUND if OBJECTS[key]["engine"] == "mongodb")


@pytest.fixture(autouse=True)
def _programs(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)


@pytest.fixture(scope="module")
def postgres15() -> Iterator[Postgres]:
    """Debian's: it has the contrib modules, and PostGIS."""
    with Postgres(15) as server:
        yield server


@pytest.fixture(scope="module")
def newest() -> Iterator[Postgres]:
    with Postgres(18, contrib=True) as server:
        yield server


def listed(bucket: str, site: str) -> dict[str, Backup]:
    """By their keys in the bucket."""
    found = catalog.read(Folder(LEGACY / bucket / "backups"), site, UTC)
    return {f"{bucket}/backups/{b.archive}": b for b in found.backups}


def opened(key: str, folder: Path, wanted: str = "") -> Opened:
    bucket, _, site, _ = key.split("/", 3)
    backup = listed(bucket, site)[key]
    phases = Phases()
    path = fetch_older(Folder(LEGACY / bucket / "backups"), backup, folder, phases)
    return open_older(path, backup, folder, phases, wanted)


class Target:
    """A database that is not there yet."""

    def __init__(self, server: Postgres) -> None:
        self.server, self.name = server, f"older_{secrets.token_hex(4)}"

    def source(self) -> Source:
        url = f"postgres://postgres@127.0.0.1:{self.server.port}/{self.name}"
        return Source("db", url, self.server.password)

    def load(self, opened: Opened, **more: Any) -> Notes:
        return connect(replace(self.source(), **more)).load(opened.folder, 2, opened.contents, unwatched)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.server.execute(query, self.name)

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def there(self) -> bool:
        return bool(self.server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{self.name}'"))


@pytest.fixture
def fifteen(postgres15: Postgres) -> Iterator[Target]:
    target = Target(postgres15)
    yield target
    postgres15.execute(f'DROP DATABASE IF EXISTS "{target.name}" WITH (FORCE)')


def held(target: Target) -> dict[str, Any]:
    """What a database holds, in the words of EXPECTED.json."""
    own = """NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = x.oid AND d.deptype = 'e')
        AND x.{}namespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"""
    tables = {}
    for schema, name in target.rows(
        f"SELECT relnamespace::regnamespace::text, relname FROM pg_class x WHERE relkind = 'r' AND {own.format('rel')}"
    ):
        rows, md5 = target.rows(
            f"""SELECT count(*), coalesce(md5(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE "C")), '-')
            FROM "{schema}"."{name}" t"""
        )[0]
        tables[f"{schema}.{name}"] = {"rows": rows, "md5": md5}
    return {"tables": tables}


@pytest.mark.parametrize("key", OF_POSTGRES)
def test_it_restores_as_expected(key: str, fifteen: Target, tmp_path: Path) -> None:
    found = opened(key, tmp_path)
    print(found.manifest)
    notes = fifteen.load(found)
    print(notes)
    assert held(fifteen)["tables"] == OBJECTS[key]["expect"]["tables"]
