"""What happened while mongodump ran: the collections that oplog.bson touches, and the moment that it ends in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bson import Timestamp
from bson.raw_bson import RawBSONDocument

from killick.engines.mongodb import documents
from killick.engines.mongodb.address import SYSTEM
from killick.engines.mongodb.structure import BUCKETS, kept

FILE = "oplog.bson"
VIEWS = "system.views"
_SHAPES = frozenset(
    {
        *("collMod", "createIndexes", "startIndexBuild", "commitIndexBuild", "abortIndexBuild"),
        *("dropIndex", "dropIndexes", "deleteIndex", "deleteIndexes"),
    }
)
"""Commands that leave documents alone."""
_NAMED_BY_ITS_FIRST_FIELD = _SHAPES | {"create", "drop", "convertToCapped", "emptycapped"}


@dataclass
class Touched:
    """By key, "db.name". `documents`: collections whose documents changed; `reshaped`: those, and views, that came,
    went or changed, or whose indexes did; `there`: whether the last that became of one was that it came, or went;
    `building`: those with an index that was begun and not ended; `again`: the _ids (as documents of one field) that
    were deleted and came again.

    A collection that is not touched is in the folder as it was at `end`: nothing was written to it after it was read.
    """

    first: Timestamp | None = None
    end: Timestamp = field(default_factory=lambda: Timestamp(0, 0))
    documents: set[str] = field(default_factory=set)
    databases: set[str] = field(default_factory=set)
    reshaped: set[str] = field(default_factory=set)
    there: dict[str, bool] = field(default_factory=dict)
    again: dict[str, set[bytes]] = field(default_factory=dict)
    _builds: dict[bytes, str] = field(default_factory=dict)
    _deleted: dict[str, set[bytes]] = field(default_factory=dict)

    @property
    def building(self) -> set[str]:
        return set(self._builds.values())

    @property
    def began(self) -> str:
        """The last write before the dump, or its first: mongodump begins with what it finds at the oplog's end."""
        return _told(self.first or self.end)

    @property
    def moment(self) -> str:
        return _told(self.end)


def read(path: Path, beside: Collection[str] = ()) -> Touched:
    """Raises EmptyDump where the file is cut off."""
    return gathered(documents.read(path), beside)


def gathered(entries: Iterable[bytes | memoryview], beside: Collection[str] = ()) -> Touched:
    """What raw entries of the oplog touch, in their order; but for the databases `beside`, and the server's own."""
    touched = Touched()
    for raw in entries:
        entry = RawBSONDocument(bytes(raw))
        touched.end = entry["ts"]
        touched.first = touched.first or touched.end
        for one in flat(entry):
            for database, name, command in written(one):
                name = name.removeprefix(BUCKETS)
                if database in SYSTEM or database in beside or not kept(name):
                    continue
                key = f"{database}.{name}"
                touched.databases.add(database)
                if not command or one["op"] != "c" or not _SHAPES.intersection(one["o"]):
                    touched.documents.add(key)
                if command:
                    touched.reshaped.add(key)
                    _reshaped(touched, key, one)
                else:
                    _came_again(touched, key, one)
    return touched


def flat(entry: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A transaction's entries one by one."""
    if entry["op"] == "c" and "applyOps" in entry["o"]:
        for inner in entry["o"]["applyOps"]:
            yield from flat(inner)
    else:
        yield entry


def written(entry: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Database, collection or view, and whether more than documents changed."""
    if entry["op"] == "n":
        return
    database, _, name = str(entry["ns"]).partition(".")
    if entry["op"] != "c" and name == VIEWS:
        which = entry["o2"] if "o2" in entry else entry["o"]
        yield database, str(which["_id"]).removeprefix(f"{database}."), True
        return
    if entry["op"] != "c":
        yield database, name, False
        return
    fields = entry["o"]
    verb = next(iter(fields))
    if verb == "renameCollection":
        for whole in (fields[verb], fields["to"]):
            target, _, renamed = str(whole).partition(".")
            yield target, renamed, True
    elif verb in _NAMED_BY_ITS_FIRST_FIELD:
        yield database, str(fields[verb]), True
    elif verb not in {"commitTransaction", "abortTransaction"}:
        yield database, "", True


def makes(entry: Mapping[str, Any]) -> bool:
    """Whether one that changes more than documents makes a collection or a view."""
    return entry["op"] == "i" or "create" in entry["o"] or "renameCollection" in entry["o"]


def _reshaped(touched: Touched, key: str, entry: Mapping[str, Any]) -> None:
    fields = entry["o"]
    if makes(entry):
        touched.there[key] = True
    elif entry["op"] == "d" or "drop" in fields:
        touched.there[key] = False
    elif "startIndexBuild" in fields:
        touched._builds[fields["indexBuildUUID"]] = key
    elif "commitIndexBuild" in fields or "abortIndexBuild" in fields:
        touched._builds.pop(fields["indexBuildUUID"], None)


def _came_again(touched: Touched, key: str, entry: Mapping[str, Any]) -> None:
    deleted = touched._deleted.setdefault(key, set())
    if entry["op"] == "d":
        deleted.add(documents.identifier(entry["o"]))
    elif entry["op"] == "i" and deleted and (which := documents.identifier(entry["o"])) in deleted:
        touched.again.setdefault(key, set()).add(which)


def _told(at: Timestamp) -> str:
    return datetime.fromtimestamp(at.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
