"""What mongodump leaves where others write meanwhile, and mongorestore would trip over."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bson
import pytest

from killick.engines.mongodb import documents, mending, oplog

Entries = list[dict[str, Any]]


def write(path: Path, found: Iterable[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(map(bson.encode, found)))
    return path


def read(path: Path) -> Entries:
    return [bson.decode(bytes(document)) for document in documents.read(path)]


def entry(op: str, ns: str, /, **o: Any) -> dict[str, Any]:
    return {"ts": bson.Timestamp(1, 1), "op": op, "ns": ns, "o": o}


def test_of_a_document_that_came_again_the_last_stays(tmp_path: Path) -> None:
    file = write(tmp_path / "c.bson", [{"_id": 1, "n": 1}, {"_id": 2}, {"_id": 1, "n": 2}, {"_id": 2.0}])
    log: Entries = [entry("d", "app.c", _id=1), entry("i", "app.c", _id=1), entry("d", "app.c", _id=2)]
    touched = oplog.gathered(map(bson.encode, log))
    assert touched.again == {"app.c": {bson.encode({"_id": 1})}}
    mending.once(file, touched.again["app.c"])
    assert read(file) == [{"_id": 2}, {"_id": 1, "n": 2}, {"_id": 2.0}]
    assert list(tmp_path.iterdir()) == [file]


def test_in_a_transaction_too() -> None:
    inner = [entry("d", "app.c", _id=1), entry("i", "app.c", _id=1), entry("i", "app.c", _id=3)]
    touched = oplog.gathered([bson.encode(entry("c", "admin.$cmd", applyOps=inner))])
    assert touched.again == {"app.c": {bson.encode({"_id": 1})}}


def test_what_was_gone_when_it_was_listed_leaves_the_oplog(tmp_path: Path) -> None:
    stays: Entries = [
        entry("i", "app.there", _id=1),
        entry("n", "", msg="nothing"),
        entry("c", "app.$cmd", create="gone"),
        entry("i", "app.gone", _id=2),
        entry("i", "app.system.buckets.series", _id=3),
        entry("i", "app.system.views", _id="app.view", viewOn="there", pipeline=[]),
        entry("c", "app.$cmd", dropDatabase=1),
    ]
    goes: Entries = [
        entry("i", "app.gone", _id=1),
        entry("c", "app.$cmd", createIndexes="gone", name="x"),
        entry("c", "app.$cmd", drop="gone"),
        entry("u", "killick.copies", _id=1),
        entry("i", "admin.system.users", _id=1),
        entry("i", "app__new.c", _id=1),
    ]
    file = write(tmp_path / "oplog.bson", [*goes, *stays])
    mending.known(file, {"app.there", "app.series"}, {"app"})
    assert read(file) == stays


def test_a_view_where_none_was(tmp_path: Path) -> None:
    """Its collection is there on the source, from an earlier view, and would not be in the copy."""
    view = entry("i", "app.system.views", _id="app.view")
    make = entry("c", "app.$cmd", create="system.views")
    for before, after in (([view, view], [make, view, view]), ([make, view], [make, view])):
        file = write(tmp_path / "oplog.bson", before)
        mending.known(file, (), ())
        assert read(file) == after
        file = write(tmp_path / "oplog.bson", [view])
        mending.known(file, (), {"app"})
        assert read(file) == [view]


def test_and_a_transaction_keeps_the_rest(tmp_path: Path) -> None:
    inner = [entry("i", "app.gone", _id=1), entry("i", "app.there", _id=1)]
    file = write(tmp_path / "oplog.bson", [entry("c", "admin.$cmd", applyOps=inner, count=bson.Int64(2))])
    mending.known(file, {"app.there"}, ())
    assert read(file) == [entry("c", "admin.$cmd", applyOps=inner[1:], count=bson.Int64(2))]
    assert type(read(file)[0]["o"]["count"]) is bson.Int64


@pytest.mark.parametrize(
    ("size", "most", "over"), [(1000, 0, 0), (1000, 4, 1), (5 * 14, 0, 0), (5 * 14 - 1, 0, 1), (30, 0, 3), (1000, 5, 0)]
)
def test_what_a_capped_collection_makes_room_for(tmp_path: Path, size: int, most: int, over: int) -> None:
    file = write(tmp_path / "c.bson", [{"_id": n} for n in range(5)])  # of 14 bytes each
    assert documents.overflow(file, size, most) == over


def test_what_becomes_of_collections_and_views() -> None:
    log: Entries = [
        entry("c", "app.$cmd", create="new"),
        entry("c", "app.$cmd", drop="old"),
        entry("i", "app.system.views", _id="app.view"),
        {**entry("u", "app.system.views"), "o2": {"_id": "app.changed"}},
        entry("d", "app.system.views", _id="app.unseen"),
        entry("c", "app.$cmd", startIndexBuild="slow", indexBuildUUID=b"1"),
        entry("c", "app.$cmd", startIndexBuild="quick", indexBuildUUID=b"2"),
        entry("c", "app.$cmd", commitIndexBuild="quick", indexBuildUUID=b"2"),
        entry("c", "app.$cmd", collMod="rule"),
        entry("i", "app.written", _id=1),
    ]
    touched = oplog.gathered(map(bson.encode, log))
    assert touched.there == {"app.new": True, "app.old": False, "app.view": True, "app.unseen": False}
    assert touched.building == {"app.slow"}
    shaped = {"app.new", "app.old", "app.view", "app.changed", "app.unseen"}
    assert touched.reshaped == shaped | {"app.slow", "app.quick", "app.rule"}
    assert touched.documents == shaped | {"app.written"}
