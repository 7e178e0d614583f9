"""What a live server tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from bson import Timestamp
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from killick.contents import Table
from killick.engines.mongodb import documents
from killick.engines.mongodb.address import SYSTEM, Address
from killick.engines.mongodb.structure import Collection, kept
from killick.errors import AccessDenied, KillickError, SettingsError, SourceError, Unreachable

_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_READ: CodecOptions[dict[str, Any]] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
_RIGHTS = "give the user the role backup on admin, or read on the one database that the URL names"
_BATCH = 2000  # documents; left to itself, the server fills 16 MB, which are here three times over
_UNAUTHORIZED = 13
_DENIED = {18, _UNAUTHORIZED, 8000}  # AuthenticationFailed, Unauthorized, Atlas' own
APP = "killick"
"""How the server's own tools tell our connections from others."""
_NO_SNAPSHOT = {239, 246, 72}  # SnapshotTooOld, SnapshotUnavailable, InvalidOptions (a storage engine without)
_GONE = {26, 166}  # NamespaceNotFound, CommandNotSupportedOnView: it went, or became another, since it was listed


class Size(NamedTuple):
    """As the server keeps count of them: near, not exact."""

    documents: int
    bytes: int


@dataclass
class Server:
    client: MongoClient[dict[str, Any]]
    address: Address

    @cached_property
    def hello(self) -> dict[str, Any]:
        return self.client.admin.command("hello")

    @property
    def replica_set(self) -> str:
        """Its name; "" for a standalone server and for mongos."""
        return str(self.hello.get("setName", ""))

    @cached_property
    def version(self) -> str:
        return str(self.client.server_info()["version"])

    def identity(self) -> str:
        """The UUID of admin.system.version, "" where the user may not see it.

        It is made at the first start of the server or set, is the same on every member, stays over restarts, upgrades
        and the step from a standalone server to a set, and is never restored from a dump.
        """
        try:
            found = list(self.client.admin.list_collections(filter={"name": "system.version"}))
        except OperationFailure as error:
            if error.code == _UNAUTHORIZED:
                return ""
            raise
        return str(found[0]["info"]["uuid"].as_uuid()) if found and "uuid" in found[0].get("info", {}) else ""

    def databases(self) -> list[str]:
        """Those with data of the project's: the one that the URL names, or all that the user may see."""
        if self.address.database:
            return [self.address.database]
        ours = self.ours()
        return sorted(name for name in self.client.list_database_names() if name not in SYSTEM | ours)

    def ours(self) -> frozenset[str]:
        """The databases that restores left beside others: killick's own, and no data of the project's."""
        try:
            return frozenset(map(str, self.client["killick"]["copies"].distinct("_id", {"of": {"$exists": True}})))
        except OperationFailure as error:
            if error.code == _UNAUTHORIZED:
                return frozenset()
            raise

    def of(self, database: str) -> Server:
        """The same server, and another database of it."""
        return Server(self.client, replace(self.address, database=database))

    def reads_oplog(self) -> bool:
        """Whether the user may read the oplog and all databases."""
        try:
            self.client.local["oplog.rs"].find_one({}, {"ts": 1}, sort=[("$natural", -1)])
            list(self.client.admin.list_collections())
        except OperationFailure as error:
            if error.code == _UNAUTHORIZED:
                return False
            raise
        return True

    def renamed_last(self) -> bool:
        """Whether the oplog ends in a renaming. A server that rests writes a new entry every 10 s
        (periodicNoopIntervalSecs)."""
        last: Any = self.client.local["oplog.rs"].find_one({}, {"o.renameCollection": 1}, sort=[("$natural", -1)])
        return bool(last and last["o"])

    def alone(self) -> bool:
        """Whether the server holds no other data than what the URL names."""
        if not self.address.database:
            return True
        names = self.client.list_database_names()
        return not set(names) - SYSTEM - self.ours() - {self.address.database}

    def collections(self) -> list[Collection]:
        """Of all databases; views come without indexes. One that goes while it is looked at is left out."""
        found = []
        for database in self.databases():
            db = self.client.get_database(database, codec_options=_READ)
            for info in db.list_collections():
                name, kind = str(info["name"]), str(info.get("type") or "collection")
                if kept(name):
                    with _unless_gone():
                        indexes = () if kind == "view" else tuple(self._indexes(database, name))
                        found.append(Collection(database, name, kind, info.get("options") or {}, indexes))
        return found

    def sizes(self) -> dict[str, Size]:
        """Of each collection that holds documents."""
        found = {}
        # "count" by itself, since the statistics of a time-series collection have none
        stage: list[dict[str, Any]] = [{"$collStats": {"storageStats": {}, "count": {}}}]
        for database in self.databases():
            db = self.client[database]
            for info in db.list_collections():
                name, kind = str(info["name"]), str(info.get("type") or "collection")
                if kind == "view" or not kept(name):
                    continue
                stored = Collection(database, name, kind).stored
                with _unless_gone():
                    answer = db.command("aggregate", stored, pipeline=stage, cursor={})["cursor"]["firstBatch"]
                    found[f"{database}.{name}"] = Size(  # one answer for each shard
                        sum(int(one["count"]) for one in answer),
                        sum(int(one["storageStats"].get("size", 0)) for one in answer),
                    )
        return found

    def written(self) -> int:
        """Of all documents of these databases, by one question each."""
        return sum(int(self.client[name].command("dbStats")["dataSize"]) for name in self.databases())

    def table(self, collection: Collection, at: Timestamp | None = None) -> Table:
        """The sum over a collection's documents, now or `at` a moment that the server still remembers."""
        return documents.summed(self.documents(collection, at), ordered=collection.capped)

    def marked(self) -> bool:
        """Whether killick.copies holds this database's name, or "*" for the whole server: killick's mark of a copy."""
        wanted = ["*", self.address.database] if self.address.database else ["*"]
        return self._has_mark({"_id": {"$in": wanted}, "kind": {"$in": [None, "copy"]}})

    def swapping(self) -> bool:
        """Whether a restore exchanges what is in here, or was interrupted while it did."""
        return self._has_mark({"kind": "swap", **({"of": self.address.database} if self.address.database else {})})

    def _has_mark(self, wanted: dict[str, Any]) -> bool:
        try:
            return self.client["killick"]["copies"].find_one(wanted) is not None
        except OperationFailure as error:
            if error.code == _UNAUTHORIZED:
                return False
            raise

    def _indexes(self, database: str, name: str) -> Iterator[dict[str, Any]]:
        yield from self._cursor(database, {"listIndexes": name, "cursor": {}}, _READ)

    def documents(self, collection: Collection, at: Timestamp | None = None) -> Iterator[bytes]:
        """Raw, in their natural order."""
        command: dict[str, Any] = {"find": collection.stored, "sort": {"$natural": 1}, "batchSize": _BATCH}
        if at is not None:
            command["readConcern"] = {"level": "snapshot", "atClusterTime": at}
        for document in self._cursor(collection.database, command, _RAW):
            yield document.raw

    def reshaping(self, after: Timestamp) -> Iterator[bytes]:
        """The oplog's entries that change more than documents, or may, from there to now. Raw."""
        now = self.client.admin.command("ping")["operationTime"]
        command = {
            "find": "oplog.rs",
            "filter": {"ts": {"$gt": after}, "$or": [{"op": "c"}, {"ns": {"$regex": r"\.system\.views$"}}]},
            "readConcern": {"level": "local", "afterClusterTime": now},
        }
        for entry in self._cursor("local", command, _RAW):
            yield entry.raw

    def _cursor(self, database: str, command: dict[str, Any], codec: CodecOptions[Any]) -> Iterator[Any]:
        """Every document of a cursor. By commands: the driver has neither raw batches at a moment nor all odd names."""
        db = self.client[database]
        name = str(next(iter(command.values())))
        with self.client.start_session() as session:
            answer: Any = db.command(command, codec_options=codec, session=session)
            cursor = answer["cursor"]
            yield from cursor["firstBatch"]
            while cursor["id"]:
                answer = db.command(
                    {"getMore": cursor["id"], "collection": name, "batchSize": _BATCH},
                    codec_options=codec,
                    session=session,
                )
                cursor = answer["cursor"]
                yield from cursor["nextBatch"]


@contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except OperationFailure as error:
        if error.code not in _GONE:
            raise


@contextmanager
def reached(address: Address, rights: str = _RIGHTS) -> Iterator[Server]:
    """A server, connected; the driver's errors inside the block come out as ours, without a secret or a document.

    `rights` is the cure where the user may not do what is asked.
    """
    options: dict[str, Any] = (
        {} if "serverselectiontimeoutms" in address.url.lower() else {"serverSelectionTimeoutMS": 10_000}
    )
    if address.password:
        options["password"] = address.password
    client: MongoClient[dict[str, Any]] | None = None
    try:
        client = MongoClient(address.url, appname=APP, **options)
        yield Server(client, address)
    except PyMongoError as error:
        raise translated(error, address, rights) from None
    finally:
        if client is not None:
            client.close()


def too_late(error: OperationFailure) -> bool:
    """Whether the server no longer remembers the moment that was asked for."""
    return error.code in _NO_SNAPSHOT


def translated(error: PyMongoError, address: Address, rights: str = _RIGHTS) -> KillickError:
    said = _scrubbed(str(error), address.password)
    if isinstance(error, OperationFailure):
        said = _scrubbed(str((error.details or {}).get("errmsg") or error), address.password)
        if error.code in _DENIED:
            cure = rights if error.code == _UNAUTHORIZED else "the password, the user or its authSource is wrong"
            return AccessDenied(f"MongoDB at {address.host} refuses: {said}", cure)
        return SourceError(f"MongoDB at {address.host} says: {said}")
    if isinstance(error, ServerSelectionTimeoutError | ConnectionFailure):
        return Unreachable(
            f"MongoDB at {address.host} cannot be reached: {said}",
            "look at host and port, at the network, and whether replicaSet= names the set",
        )
    if isinstance(error, ConfigurationError | InvalidURI):
        return SettingsError(f"the MongoDB URL of {address.host} cannot be used: {said}")
    return SourceError(f"MongoDB at {address.host}: {said}")


def _scrubbed(text: str, secret: str) -> str:
    """The first sentence, without the driver's picture of the topology, keys' values and the password."""
    text = re.sub(r"(?s)(, Timeout: |, full error: | \(configured timeouts).*", "", text)
    text = re.sub(r"(?s)dup key: .*", "dup key", text)
    return text.replace(secret, "***") if secret else text
