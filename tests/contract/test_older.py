"""Archives that shell scripts left: each of the nineteen in tests/legacy ends as EXPECTED.json says."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from killick.engines import connect, inspect
from killick.errors import Corrupt, RestoreError
from killick.older.opening import check_older, decode_older, fetch_older
from killick.stores.folder import Folder
from killick.watch import Phases, unwatched
from tests.contract.older import Target, emptied, listed, opened
from tests.lab.mongod import Mongod
from tests.lab.postgres import Postgres

LEGACY = Path(__file__).parents[1] / "legacy"
OBJECTS: dict[str, dict[str, Any]] = {
    key.replace("/backups/", ":"): told
    for key, told in json.loads((LEGACY / "EXPECTED.json").read_text())["objects"].items()
}
"""By bucket and key, "countable:harbour/202611/harbour.20261101-030002.sql.lrz": `STORE` ends in /backups."""
SOUND = sorted(key for key, told in OBJECTS.items() if told.get("sound"))
OF_POSTGRES = [key for key in SOUND if OBJECTS[key]["engine"] == "postgres"]
POSTGIS, EMPTY, NEWER = (f"countable:{site}/" for site in ("atlas", "blank", "newer"))
MONGODB = "countable:tidepool/202611/tidepool-dump.20261102-040000.tar.lrz"
UNSOUND = {
    "cortico-backups:cortico-kelp/202611/cortico-kelp.20261106-020000.sql.sql.zst": "sorry, too many clients already",
    "countable:harbour/harbour.20180212-030001.sql.lrz": "ends inside the rows of harbour.zz_bulk",
    "countable:harbour/202611/harbour.20261115-030002.sql.lrz": "does not decode",
    "countable:lagoon/lagoon.20160506-000000.sql.lrz": "encrypted by lrzip",
    "countable:tidepool/202611/tidepool-dump.20261107-040000.tar.lrz": "tidepool/zz_bulk.bson",
}
"""What each is refused with."""
NOTED = {
    "cortico-kelp.20261031-020000.sql.sql.zst": ["CR LF"],
    "cortico-reef.20261031-020000.sql.sql.zst": ["CR LF", "3 lines before the dump", "collation version mismatch"],
    "harbour.20171125-030001.sql.bz2": ["CR LF"],
    "harbour.20180211-030001.sql.lrz": ["CR LF"],
    "blank.20261112-030100.sql.lrz": ["no table in it"],
    "newer.20261112-030200.sql.lrz": ["of Postgres 18, and the server here is 16", "transaction_timeout"],
    "quay.20240116-030000.sql.lrz": [
        "DROP DATABASE, CREATE DATABASE, ALTER DATABASE",
        "they name Odd Role, postgres, quay_app, reporting_ro",
        "made the role quay_app, without login",
    ],
    "quay.20261102-031000.sql.lrz": ["they name Odd Role, postgres, quay_app, reporting_ro"],
}


@pytest.fixture(autouse=True)
def _programs(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)


@pytest.fixture(scope="module")
def servers() -> Iterator[Any]:
    """Servers with the contrib modules, by major, each started when it is first asked for; 15 has PostGIS."""
    with ExitStack() as stack:

        @cache
        def server(major: int) -> Postgres:
            return stack.enter_context(Postgres(major, contrib=True))

        yield server


@pytest.fixture
def target(servers: Any, request: pytest.FixtureRequest) -> Iterator[Target]:
    """On the major that an archive is tried on: 15 where PostGIS is needed, 16 for what comes from 18, else 18."""
    key = getattr(request, "param", "")
    with Target(servers(15 if key.startswith(POSTGIS) else 16 if key.startswith(NEWER) else 18)) as made:
        yield made
    made.server.execute('DROP ROLE IF EXISTS quay_app, reporting_ro, "Odd Role"')


def store(key: str) -> Path:
    return LEGACY / key.partition(":")[0] / "backups"


def inside(key: str) -> str:
    return key.partition(":")[2]


def test_every_archive_is_looked_at_and_nothing_else_is_listed() -> None:
    assert {*SOUND, *UNSOUND} == {key for key, told in OBJECTS.items() if told["engine"]}
    assert (len(OF_POSTGRES), len(SOUND), len(UNSOUND)) == (12, 13, 5)
    for bucket, project in {(key.partition(":")[0], inside(key).partition("/")[0]) for key in OBJECTS}:
        found = listed(LEGACY / bucket / "backups", project)
        wanted = {inside(key): told for key, told in OBJECTS.items() if key.startswith(f"{bucket}:{project}/")}
        assert found.keys() == {key for key, told in wanted.items() if told["engine"]}
        for key, backup in found.items():
            assert backup.time.isoformat() == wanted[key]["timestamp"] + "+00:00"
            assert backup.bytes == wanted[key]["bytes"]


@pytest.mark.parametrize(("key", "target"), [(key, key) for key in OF_POSTGRES], ids=OF_POSTGRES, indirect=["target"])
def test_a_sound_one_of_postgres_restores_as_expected(key: str, target: Target, tmp_path: Path) -> None:
    expected = OBJECTS[key]["expect"]
    found = opened(store(key), inside(key), tmp_path)
    inspect("postgres", found.folder)
    manifest = found.manifest
    assert (manifest.engine, manifest.id) == ("postgres", inside(key).partition("/")[2])
    assert manifest.snapshot == OBJECTS[key]["timestamp"] + "Z"
    counted = {name.replace('"', ""): table.rows for name, table in found.contents.tables.items()}
    counted.pop("public.spatial_ref_sys", None)
    assert counted == {name: table["rows"] for name, table in expected["tables"].items()}
    notes = target.load(found)
    for sentence in NOTED.get(key.rpartition("/")[2], []):
        assert sentence in " ".join([*manifest.warnings, *notes])
    assert target.tables() == expected["tables"]
    assert target.sequences() == expected["sequences"]
    assert target.objects() == expected["objects"]


def test_an_owners_restore_makes_the_roles_that_are_missing(target: Target, tmp_path: Path) -> None:
    key = "countable:quay/202611/quay.20261102-031000.sql.lrz"
    notes = target.load(opened(store(key), inside(key), tmp_path), owners=True)
    assert target.value("SELECT tableowner FROM pg_tables WHERE tablename = 'boat'") == "quay_app"
    assert target.value("SELECT has_table_privilege('reporting_ro', 'harbour.boat', 'SELECT')")
    assert not target.value("SELECT bool_or(rolcanlogin) FROM pg_roles WHERE rolname IN ('quay_app', 'Odd Role')")
    assert sum("made the role" in note for note in notes) == 3


def test_without_postgis_it_is_refused_before_anything_is_made(target: Target, tmp_path: Path) -> None:
    (key,) = (key for key in OF_POSTGRES if key.startswith(POSTGIS))
    with pytest.raises(RestoreError) as error:
        target.load(opened(store(key), inside(key), tmp_path))
    assert error.value.reason == "missing-extension"
    assert "postgis/postgis" in error.value.hint
    assert not target.there()


def test_one_of_mongodb_restores_as_expected(mongod: Mongod, tmp_path: Path) -> None:
    found = opened(store(MONGODB), inside(MONGODB), tmp_path)
    inspect("mongodb", found.folder)
    assert (found.manifest.engine, found.manifest.database) == ("mongodb", "tidepool")
    assert any("left out: admin" in note for note in found.manifest.warnings)
    ((database, expected),) = OBJECTS[MONGODB]["expect"].items()
    with emptied(mongod, database) as into, mongod.client() as client:
        before = {user["user"] for user in client.admin.command("usersInfo")["users"]}
        connect(into).load(found.folder, 2, found.contents, unwatched)
        db = client[database]
        views = [one["name"] for one in db.list_collections() if one["type"] == "view"]
        seen = {"system.views": {"docs": len(views), "indexes": 1}}  # that one nobody may read
        for name in set(db.list_collection_names()) - {"system.views"}:
            indexes = 0 if name in views else len(db[name].index_information())
            seen[name] = {"docs": db[name].count_documents({}), "indexes": indexes}
        assert seen == expected
        assert {user["user"] for user in client.admin.command("usersInfo")["users"]} == before
    counted = {key.removeprefix(f"{database}."): table.rows for key, table in found.contents.tables.items()}
    assert counted == {n: told["docs"] for n, told in expected.items() if n not in ("system.views", "shallow")}


@pytest.mark.parametrize("key", UNSOUND)
def test_an_unsound_one_is_refused_with_what_was_found(key: str, tmp_path: Path) -> None:
    with pytest.raises(Corrupt) as error:
        opened(store(key), inside(key), tmp_path)
    assert UNSOUND[key] in error.value.message
    assert inside(key).partition("/")[2] in error.value.message
    backup = listed(store(key), inside(key).partition("/")[0])[inside(key)]
    phases, again = Phases(), tmp_path / "again"
    again.mkdir()
    with pytest.raises(Corrupt):
        path = fetch_older(Folder(store(key)), backup, again, phases)
        check_older(decode_older(path, backup, again, phases)[0], backup, again, phases)
