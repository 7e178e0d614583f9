"""What happened while mongodump ran: the collections that oplog.bson touches, and the moment that it ends in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bson import Timestamp
from bson.raw_bson import RawBSONDocument

from killick.engines.mongodb import documents
from killick.engines.mongodb.address import SYSTEM
from killick.engines.mongodb.structure import BUCKETS

FILE = "oplog.bson"
_NAMED_BY_ITS_FIRST_FIELD = {
    *("create", "collMod", "drop", "convertToCapped", "emptycapped"),
    *("createIndexes", "startIndexBuild", "commitIndexBuild", "abortIndexBuild"),
    *("dropIndex", "dropIndexes", "deleteIndex", "deleteIndexes"),
}


@dataclass
class Touched:
    """`documents`: collections ("db.name") with writes; `reshaped`: whether collections or indexes came, went, changed.

    A collection that is not touched is in the folder as it was at `end`: nothing was written to it after it was read.
    """

    first: Timestamp | None = None
    end: Timestamp = field(default_factory=lambda: Timestamp(0, 0))
    documents: set[str] = field(default_factory=set)
    databases: set[str] = field(default_factory=set)
    reshaped: bool = False

    @property
    def began(self) -> str:
        """The last write before the dump, or its first: mongodump begins with what it finds at the oplog's end."""
        return _told(self.first or self.end)

    @property
    def moment(self) -> str:
        return _told(self.end)


def read(path: Path) -> Touched:
    """Raises EmptyDump where the file is cut off."""
    touched = Touched()
    for raw in documents.read(path):
        entry = RawBSONDocument(bytes(raw))
        touched.end = entry["ts"]
        touched.first = touched.first or touched.end
        for database, name, command in _written(entry):
            if database in SYSTEM:
                continue
            touched.databases.add(database)
            touched.reshaped |= command or name == "system.views"
            touched.documents.add(f"{database}.{name.removeprefix(BUCKETS)}")
    return touched


def _told(at: Timestamp) -> str:
    return datetime.fromtimestamp(at.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _written(entry: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Database, collection, and whether more than documents changed."""
    if entry["op"] == "n":
        return
    database, _, name = str(entry["ns"]).partition(".")
    if entry["op"] != "c":
        yield database, name, False
        return
    fields = entry["o"]
    verb = next(iter(fields))
    if verb == "applyOps":
        nested: Iterable[Mapping[str, Any]] = fields[verb]
        for inner in nested:
            yield from _written(inner)
    elif verb == "renameCollection":
        for whole in (fields[verb], fields["to"]):
            target, _, renamed = str(whole).partition(".")
            yield target, renamed, True
    elif verb in _NAMED_BY_ITS_FIRST_FIELD:
        yield database, str(fields[verb]), True
    elif verb not in {"commitTransaction", "abortTransaction"}:
        yield database, "", True
