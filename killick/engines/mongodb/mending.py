"""What mongodump leaves where others write meanwhile, and mongorestore trips over: mended in the dump itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument

from killick.engines.mongodb import documents, oplog
from killick.engines.mongodb.address import SYSTEM
from killick.engines.mongodb.structure import BUCKETS


def once(path: Path, again: Collection[bytes]) -> None:
    """Takes out of a collection's file what was read, then deleted, and read again since it came back: the last stays.

    `again` are the _ids of which that can be true. mongorestore would stop at the second.
    """
    last = {which: n for n, which in _identified(path) if which in again}
    twice = {n for n, which in _identified(path) if last.get(which, n) != n}
    if twice:
        _rewritten(path, (document for n, document in enumerate(documents.read(path)) if n not in twice))


def known(path: Path, there: Collection[str], viewed: Collection[str]) -> None:
    """Takes out of an oplog what was done to collections that are not `there` ("db.name"), until they are made.

    They were dropped before mongodump came to them, so that nothing of it lasts; or they are no data of the project's.
    The collection that views are written to is made, in databases of which no view was dumped (`viewed` are the
    others). mongorestore stops at a collection that it does not know.
    """
    _rewritten(path, _known(path, set(there), set(viewed)))


def _known(path: Path, there: set[str], viewed: set[str]) -> Iterator[bytes | memoryview]:
    def kept(entry: Mapping[str, Any]) -> bool:
        for database, name, command in oplog.written(entry):
            key = f"{database}.{name.removeprefix(BUCKETS)}"
            if database in SYSTEM:
                return False
            if command and oplog.makes(entry):
                there.add(key)
            if name and name != oplog.VIEWS and key not in there:
                return False
        return True

    for raw in documents.read(path):
        entry = RawBSONDocument(bytes(raw))
        if entry["op"] == "c" and "applyOps" in entry["o"]:
            inner = list(entry["o"]["applyOps"])
            mine = [one for one in inner if kept(one)]
            yield raw if len(mine) == len(inner) else bson.encode({**entry, "o": {**entry["o"], "applyOps": mine}})
        elif kept(entry):
            database, _, name = str(entry["ns"]).partition(".")
            views = entry["o"].get("create") == oplog.VIEWS
            if name == oplog.VIEWS and database not in viewed:
                yield bson.encode(_making_views(database, entry))
            if views or name == oplog.VIEWS:
                viewed.add(database)
            yield raw


def _making_views(database: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """The entry that a server writes when it makes a database's first view."""
    times = {name: before[name] for name in ("ts", "t", "v", "wall") if name in before}
    return {"op": "c", "ns": f"{database}.$cmd", "o": {"create": oplog.VIEWS}, **times}


def _identified(path: Path) -> Iterator[tuple[int, bytes]]:
    for n, document in enumerate(documents.read(path)):
        yield n, documents.identifier(RawBSONDocument(bytes(document)))


def _rewritten(path: Path, kept: Iterator[bytes | memoryview]) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as out:
        out.writelines(kept)
    new.replace(path)
