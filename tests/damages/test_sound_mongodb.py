"""No false alarm: sound backups of MongoDB pass, whatever was written while they were made, and whatever is in them."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import bson
import pytest
from bson.raw_bson import RawBSONDocument

from killick.errors import EmptyDump
from tests.contract import mongo_data
from tests.damages.mongo_writers import filled, writing
from tests.damages.mongodb import emptied, source
from tests.damages.reports import verified
from tests.end_to_end.backups import Backups
from tests.lab import bson_corpus
from tests.lab.mongod import Mongod
from verify.options import Options
from verify.report import Report


@pytest.fixture(autouse=True)
def installed(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "scratch", level=4, where="process")


@pytest.fixture
def replica(mongo_set: Mongod) -> Iterator[Mongod]:
    yield emptied(mongo_set)
    emptied(mongo_set)


@pytest.fixture
def standalone(mongod: Mongod) -> Iterator[Mongod]:
    yield emptied(mongod)
    emptied(mongod)


def passes(backups: Backups, id: str, options: Options) -> Report:
    report = verified(backups, id, options)
    assert (report.result, report.level, report.warnings) == ("passed", 4, ()), report.text()
    return report


ROUNDS = 8
FIRSTS = [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(ROUNDS, 100, ROUNDS))]


@pytest.mark.parametrize("first", FIRSTS)
def test_under_writers(replica: Mongod, tmp_path: Path, options: Options, first: int) -> None:
    """Documents, transactions, capped collections, time series, GridFS, collections, views and indexes that come and
    go. What could not be told of the moment is little, and is said."""
    backups = Backups(tmp_path / "store")
    with replica.client() as client:
        filled(client["app"])
    compared = set()
    for number in range(first, first + ROUNDS):
        with writing(replica, "app", number):
            id = made(backups, replica, number)
        passes(backups, id, options)
        contents = backups.manifest(id).contents
        assert contents is not None
        assert contents.snapshot
        assert {"app.busy", "app.one", "app.two", "app.fs.files", "app.fs.chunks"} <= contents.tables.keys()
        assert contents.tables["app.two"].rows < 2 * contents.tables["app.one"].rows
        assert set(contents.loose.get("structure", ())) <= {"app.kept", "app.view", *(f"app.c{n}" for n in range(40))}
        compared |= contents.tables.keys()
    assert len([name for name in compared if name.startswith("app.c")]) > 3


def made(backups: Backups, server: Mongod, number: int) -> str:
    """As its user is told: mongodump misses what came while it began, and the next attempt does not."""
    for attempt in count():
        try:
            return backups.make(source(server), number)
        except EmptyDump as error:
            assert "while it began" in error.message
            assert attempt < 20
    raise AssertionError


def test_everything_that_there_is(replica: Mongod, standalone: Mongod, tmp_path: Path, options: Options) -> None:
    """Every type and kind, names and indexes, 16 MB in one document; of both kinds of server."""
    backups = Backups(tmp_path / "store")
    for n, server in enumerate((replica, standalone)):
        with server.client() as client:
            mongo_data.everything(client["app"])
            odd(client["app"])
        report = passes(backups, backups.make(source(server), n), options)
        assert report.rows > 150


def odd(db: mongo_data.Db) -> None:
    """Names that look like something else, documents as deep as they go, and what has expired."""
    for name in (
        "1",
        "007up",
        "a.b.c",
        "system_",
        "systems.users",
        "oplog.bson",
        "metadata.json",
        "-x",
        "__proto__",
        "ß",
    ):
        db[name].insert_one({"_id": name})
    deep: Any = 1
    for n in range(90):
        deep = {"d": deep} if n % 2 else [deep]
    db.deep.insert_one({"_id": 1, "v": deep})
    db.keys.insert_one({"": 1, "$dollar": 1, "a.b": 1, "_id": {"x": 1, "y": [1, 2]}})
    db.sessions.create_index("at", expireAfterSeconds=3600 * 24 * 365 * 50)
    db.sessions.insert_one({"at": bson.DatetimeMS(0).as_datetime()})


def test_the_bson_corpus(replica: Mongod, tmp_path: Path, options: Options) -> None:
    """Every document of the specification's own corpus, as it stands and inside another."""
    documents = bson_corpus.valid()
    assert len(documents) > 500
    whole = [document for document in documents if b"_id\0" not in document]
    with replica.client() as client:
        corpus = client["app"].get_collection("corpus", bson.CodecOptions(document_class=RawBSONDocument))
        corpus.insert_many(
            mongo_data.document(mongo_data.identifier(n), mongo_data.element(0x03, b"v", document))
            for n, document in enumerate(documents)
        )
        corpus.insert_many(
            mongo_data.document(mongo_data.identifier(-n), document[4:-1]) for n, document in enumerate(whole, 1)
        )
    backups = Backups(tmp_path / "store")
    report = passes(backups, backups.make(source(replica)), options)
    assert report.rows == len(documents) + len(whole)
