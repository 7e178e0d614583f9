"""Dumps that mongodump itself makes, in all its ways: opened as older archives are, and nothing is lost."""

import gzip
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import bson
import pytest

from killick.compare import compare
from killick.contents import Contents
from killick.engines import Source, connect, inspect
from killick.engines.mongodb import stream, tools
from killick.engines.mongodb.address import Address, password_file
from killick.errors import Corrupt, Refused
from killick.watch import unwatched
from tests.contract import mongo_data
from tests.contract.older import emptied, opened_file, run
from tests.lab.mongod import Mongod

NAME = "older"
DOCUMENTS = bson.encode({"_id": 1}) + bson.encode({"_id": 2})


@pytest.fixture(autouse=True)
def _programs(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)


@pytest.fixture(scope="module")
def source(mongod: Mongod) -> Iterator[Source]:
    with emptied(mongod, NAME) as source, mongod.client() as client:
        db = client[NAME]
        mongo_data.types(db)
        mongo_data.collections(db)
        mongo_data.indexes(db)
        for i, name in enumerate([mongo_data.LONG, "x/y", "sp ace+%41"]):
            db[name].insert_many([{"_id": n} for n in range(i + 1)])
        yield source


@pytest.fixture(scope="module")
def contents(source: Source) -> Contents:
    return connect(source).contents()


@pytest.fixture
def target(mongod: Mongod) -> Iterator[Source]:
    with emptied(mongod, "olds") as found:
        yield found


def dumped(source: Source, *flags: str | Path) -> None:
    address = Address.of(source.url, source.password)
    with password_file(address) as config:
        run(tools.program("mongodump").path, "--config", config, "--uri", address.url, "--db", NAME, *flags)


def same(expected: Contents, target: Source, read: Contents) -> None:
    assert [str(one) for one in compare(expected, connect(target).contents(expected))] == []
    assert {key: table.rows for key, table in read.tables.items()} == {
        key: table.rows for key, table in expected.tables.items()
    }


WAYS = {
    "a folder in a tar": ("--out", "made"),
    "a packed folder in a tar": ("--gzip", "--out", "made"),
    "a stream": ("--archive=made",),
    "a packed stream": ("--gzip", "--archive=made"),
}


def packed(source: Source, folder: Path, way: str) -> Path:
    """What a script would have stored."""
    flags = [flag.replace("made", str(folder / "made")) for flag in WAYS[way]]
    dumped(source, *flags)
    if (folder / "made").is_file():
        return folder / "made"
    with tarfile.open(folder / "made.tar.bz2", "w:bz2") as tar:
        tar.add(folder / "made", "tmp/app-dump")
    return folder / "made.tar.bz2"


@pytest.mark.parametrize("way", WAYS)
def test_whatever_way_it_was_dumped_nothing_is_lost(
    source: Source, contents: Contents, target: Source, way: str, tmp_path: Path
) -> None:
    found = opened_file(packed(source, tmp_path, way), tmp_path)
    inspect("mongodb", found.folder)
    assert (found.manifest.engine, found.manifest.database) == ("mongodb", NAME)
    connect(target).load(found.folder, 2, found.contents, unwatched)
    same(contents, target, found.contents)


@pytest.mark.parametrize("way", ["a stream", "a folder in a tar"])
def test_one_that_is_cut_is_refused_wherever_that_is(source: Source, way: str, tmp_path: Path) -> None:
    whole = packed(source, tmp_path, way).read_bytes()
    for n, size in enumerate([*range(0, len(whole), len(whole) // 20), len(whole) - 1]):
        (tmp_path / "cut").write_bytes(whole[:size])
        (tmp_path / f"cut-{n}").mkdir()
        with pytest.raises(Corrupt):
            opened_file(tmp_path / "cut", tmp_path / f"cut-{n}")


def test_a_stream_without_the_end_of_a_collection_is_refused(tmp_path: Path) -> None:
    name = {"db": "shop", "collection": "boats"}
    end = b"\xff" * 4
    prelude = bson.encode({"version": "0.1"}) + bson.encode({**name, "metadata": "{}"}) + end
    block = bson.encode({**name, "EOF": False}) + DOCUMENTS + end
    (tmp_path / "made").write_bytes(stream.MAGIC + prelude + block + bson.encode({**name, "EOF": True}) + end)
    assert opened_file(tmp_path / "made", tmp_path).contents.rows == 2
    (tmp_path / "made").write_bytes(stream.MAGIC + prelude + block)
    with pytest.raises(Corrupt, match=r"the documents of shop\.boats do not come to their end"):
        opened_file(tmp_path / "made", tmp_path)


def folder(root: Path, **files: bytes) -> Path:
    """A tar of these, in a folder `dump`."""
    for name, data in files.items():
        path = root / "dump" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with tarfile.open(root / "made.tar.gz", "w:gz") as tar:
        tar.add(root / "dump", ".")
    return root / "made.tar.gz"


def test_what_an_old_mongodump_did_not_write_is_made_up_for(target: Source, tmp_path: Path) -> None:
    """Metadata without names and kinds, or none; and what belongs to the server."""
    index = {"v": 1, "key": {"n": 1}, "name": "by_n", "ns": "shop.boat+s"}
    path = folder(
        tmp_path,
        **{
            "shop/boat%2Bs.bson": DOCUMENTS,
            "shop/boat%2Bs.metadata.json": json.dumps({"options": {}, "indexes": [index]}).encode(),
            "shop/bare.bson": DOCUMENTS,
            "shop/seen.metadata.json": json.dumps({"options": {"viewOn": "bare", "pipeline": []}}).encode(),
            "shop/system.indexes.bson": bson.encode(index),
            "admin/system.users.bson": bson.encode({"_id": "admin.root"}),
            "config/x.bson": DOCUMENTS,
        },
    )
    found = opened_file(path, tmp_path)
    assert {key: table.rows for key, table in found.contents.tables.items()} == {"shop.bare": 2, "shop.boat+s": 2}
    assert "left out: admin, config" in found.manifest.warnings[0]
    assert "no metadata of shop.bare" in found.manifest.warnings[1]
    connect(target).load(found.folder, 1, found.contents, unwatched)
    got = connect(target).contents(found.contents)
    assert {key: table.rows for key, table in got.tables.items()} == {"shop.bare": 2, "shop.boat+s": 2}
    assert "shop.boat+s/by_n" in got.groups["indexes"]
    assert got.groups["views"].keys() == {"shop.seen"}


def test_collections_without_a_folder_of_their_own(target: Source, tmp_path: Path) -> None:
    found = opened_file(folder(tmp_path, **{"boats.bson": DOCUMENTS}), tmp_path)
    connect(target).load(found.folder, 1, found.contents, unwatched)
    assert connect(target).contents().rows == 2


def test_what_is_broken_is_told(tmp_path: Path) -> None:
    for n, (name, data, said) in enumerate(
        [
            ("boats.bson", DOCUMENTS[:-1], "shop/boats.bson is not whole documents"),
            ("boats.metadata.json", b'{"options": {', "shop/boats.metadata.json is cut"),
            ("boats.bson.gz", gzip.compress(DOCUMENTS)[:-4], "boats.bson.gz does not decode"),
        ]
    ):
        place = tmp_path / str(n)
        place.mkdir()
        with pytest.raises(Corrupt, match=re.escape(said)):
            opened_file(folder(place, **{f"shop/{name}": data}), place)


def test_a_database_in_a_stream_leads_nowhere_else(tmp_path: Path) -> None:
    prelude = bson.encode({"version": "0.1"}) + bson.encode({"db": "../../out", "collection": "x", "metadata": "{}"})
    (tmp_path / "made").write_bytes(stream.MAGIC + prelude + b"\xff" * 4)
    with pytest.raises(Corrupt, match="damaged"):
        opened_file(tmp_path / "made", tmp_path)


def test_of_several_dumps_of_one_database_none_is_taken(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="several dumps of shop"):
        opened_file(folder(tmp_path, **{"a/shop/x.bson": DOCUMENTS, "b/shop/x.bson": DOCUMENTS}), tmp_path)


def test_of_several_databases_the_one_called_like_the_target_is_loaded(target: Source, tmp_path: Path) -> None:
    found = opened_file(folder(tmp_path, **{"olds/x.bson": DOCUMENTS, "other/y.bson": DOCUMENTS}), tmp_path, "other")
    assert found.manifest.database == "other"
    connect(target).load(found.folder, 1, found.contents, unwatched)
    assert connect(target).contents().tables.keys() == {"olds.x"}
