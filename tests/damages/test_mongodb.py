"""Damages of MongoDB's backups, through the whole verification: each is caught, at its level, and named."""

import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from killick import programs
from tests.damages.mongodb import CANARY, DAMAGES, Damage, emptied, shop, source
from tests.damages.mongodump import Dump
from tests.damages.reports import told, verified
from tests.damages.stored import STORED
from tests.damages.table import THE, caught
from tests.damages.test_mongodb_oplog import DAMAGES as OPLOG
from tests.end_to_end.backups import PROJECT, Backups
from tests.kit import wrapper
from tests.lab.mongod import Mongod
from verify.options import Options
from verify.report import Report


@pytest.fixture(scope="module", autouse=True)
def installed(programs_path: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        yield


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "scratch", level=4, where="process")


@pytest.fixture(scope="module")
def made(mongo_set: Mongod, installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """{"store": its folder, "sound": of one moment, "older", "other source": ids}"""
    folder = tmp_path_factory.mktemp("shop")
    backups = Backups(folder)
    with emptied(mongo_set).client() as client:
        shop(client["shop"])
        ids = {"older": backups.make(source(mongo_set), 0)}
        ids["other source"] = backups.make(source(mongo_set, name="events"), 1)
        client["shop"].notes.insert_one({"_id": 2, "scan": random.Random(1).randbytes(5000)})
        # the oplog of a dump begins with the last write before it, which would put a damage right
        client.admin.command("appendOplogNote", 1, data={})
        ids["sound"] = backups.make(source(mongo_set), 1)
    yield {"store": str(folder), **ids}
    emptied(mongo_set)


@pytest.fixture
def backups(made: dict[str, str], tmp_path: Path) -> Backups:
    return Backups(Path(made["store"])).copied(tmp_path / "store")


def is_caught(report: Report, damage: Damage) -> None:
    level = damage.level
    assert (report.result, report.level, report.failed_level) == ("failed", max(0, level - 1), level), report.text()
    if isinstance(damage.says, str):
        assert re.search(damage.says, report.error), report.text()
    else:
        assert set(told(report).split("; ")) == damage.says, report.text()


def test_without_damage_it_passes(made: dict[str, str], backups: Backups, options: Options) -> None:
    """What the others do, and no damage."""
    backups.remake(made["sound"])
    report = verified(backups, made["sound"], options, CANARY)
    assert (report.result, report.level, report.mismatches, report.warnings) == ("passed", 4, (), ()), report.text()


@pytest.mark.parametrize("title", DAMAGES)
def test_of_the_dump(made: dict[str, str], backups: Backups, options: Options, title: str) -> None:
    backups.remake(made["sound"], lambda folder: DAMAGES[title].harm(Dump(folder)))
    report = verified(backups, made["sound"], options, CANARY)
    is_caught(report, DAMAGES[title])
    caught("MongoDB", title, DAMAGES[title].level, told(report))


@pytest.mark.parametrize("title", ["a document missing", "Int32 turned Int64", "an index no longer unique"])
def test_of_a_standalone_servers_dump(mongod: Mongod, tmp_path: Path, options: Options, title: str) -> None:
    """Of one database, and not of one moment."""
    backups = Backups(tmp_path / "store")
    with emptied(mongod).client() as client:
        shop(client["shop"])
        id = backups.make(source(mongod, "shop"))
        client.drop_database("shop")
    backups.remake(id, lambda folder: DAMAGES[title].harm(Dump(folder)))
    is_caught(verified(backups, id, options, CANARY), DAMAGES[title])


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(n, marks=pytest.mark.slow) for n in range(5, 100))])
def test_a_bit_of_the_documents(made: dict[str, str], backups: Backups, options: Options, seed: int) -> None:
    """Anywhere: never passed, and never another result than failed."""
    chance = random.Random(seed)

    def flipped(folder: Path) -> None:
        files = sorted(path for path in (folder / "mongodb/shop").glob("*.bson") if path.stat().st_size)
        path = chance.choice(files)
        data = bytearray(path.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)

    backups.remake(made["sound"], flipped)
    report = verified(backups, made["sound"], options, CANARY)
    assert (report.result, report.failed_level in {1, 2, 4}) == ("failed", True), report.text()


@pytest.mark.parametrize("title", STORED)
def test_in_the_store(made: dict[str, str], backups: Backups, options: Options, title: str) -> None:
    harm, level, says = STORED[title]
    harm(backups, made)
    report = verified(backups, made["sound"], options, CANARY)
    is_caught(report, Damage(lambda _dump: None, level, says))
    caught("MongoDB", title, level, told(report))


def test_the_page_has_all_of_them_and_no_more() -> None:
    if THE.collected is None:
        assert THE.damages("MongoDB") == DAMAGES.keys() | STORED.keys() | OPLOG.keys()


def test_the_manifest_lost(made: dict[str, str], backups: Backups, tmp_path: Path) -> None:
    backups.beside(made["sound"]).unlink()
    environment = {"PROJECT": PROJECT, "STORE": backups.url, "SCRATCH_DIR": str(tmp_path / "scratch")}
    command = [sys.executable, "-m", "killick", "verify", made["sound"], "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    document = json.loads(done.stdout)
    assert (done.returncode, document["result"], document["failed_level"]) == (1, "failed", 0)
    assert "has no manifest" in document["error"]


def test_no_server_of_that_version(made: dict[str, str], backups: Backups, options: Options) -> None:
    backups.remake(made["sound"], changed=lambda inner: replace(inner, server_version="99.0.1"))
    report = verified(backups, made["sound"], options, CANARY)
    assert (report.result, report.reason, report.level) == ("unverifiable", "version", 1)


def test_mongorestores_own_count_is_read(
    made: dict[str, str],
    backups: Backups,
    options: Options,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    programs_path: str,
) -> None:
    """As an older mongorestore would: it goes on where a document fails, and ends with 0."""
    (real, *_) = programs.installed("mongorestore")
    script = """for word; do shift; [ "$word" = --stopOnError ] || set -- "$@" "$word"; done; exec $REAL "$@" """
    monkeypatch.setenv("PROGRAMS", f"{wrapper(tmp_path / 'bin', real.path, script)}:{programs_path}")
    backups.remake(made["sound"], lambda folder: DAMAGES["a document twice"].harm(Dump(folder)))
    report = verified(backups, made["sound"], options, CANARY)
    is_caught(report, Damage(lambda _dump: None, 2, "^1 documents could not be restored, by mongorestore's own count$"))
