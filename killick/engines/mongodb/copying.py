"""One collection copied inside a server: what MongoDB can neither rename nor leave where it is.

Byte for byte, but for an empty timestamp at the top of a document: every insert, mongorestore's too, fills it in
(MongoDB's documentation of BSON types).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from killick.engines.mongodb.server import Server
from killick.engines.mongodb.structure import BUCKETS, Collection

_BYTES = 8 << 20  # of one insert; a command may have 16 MB and some more, so one document of 16 MB goes alone
_MANY = 10_000
_TOO_LARGE = 388  # TransactionTooLargeForCache (error_codes.yml of MongoDB)


def copy(server: Server, collection: Collection, database: str, name: str) -> None:
    """Makes `database`.`name`, which is not there yet, with the collection's options, documents and indexes."""
    db = server.client[database]
    db.command({"create": name, **collection.options})
    if collection.view:
        return
    into = BUCKETS + name if collection.kind == "timeseries" else name
    for batch in _batches(server.documents(collection)):
        # Documents may be older than their validator.
        db.command({"insert": into, "documents": batch, "ordered": True, "bypassDocumentValidation": True})
    plain: dict[str, Any] = {"collation": {"locale": "simple"}} if "collation" in collection.options else {}
    # An index that tells no collation has none; one that is made without a word takes the collection's.
    own = [{**plain, **i} for i in collection.indexes if i["name"] != "_id_" and not i.get("clustered")]
    if own:
        db.command({"createIndexes": name, "indexes": own})


def move(server: Server, collection: Collection, database: str, name: str) -> None:
    """`database`.`name` takes a plain collection of another database over.

    A rename between databases is quicker than a copy, but puts five hundred documents at a time into one transaction:
    those of a few hundred kilobytes (GridFS) are more than a cache of 256 MB takes.
    """
    try:
        rename(server, collection.key, f"{database}.{name}")
    except OperationFailure as error:
        if error.code != _TOO_LARGE:
            raise
        copy(server, collection, database, name)
        drop(server, collection.database, collection.name)  # so that no more than one is there twice


def drop(server: Server, database: str, name: str) -> None:
    """One that is not there is dropped already. MongoDB drops system.js under no name but another."""
    db = server.client[database]
    if name == "system.js":
        if name not in uuids(server, database):
            return
        name = "killick.js"
        rename(server, f"{database}.system.js", f"{database}.{name}")
    db.command("drop", name, allowable_errors=["ns not found", 26])


def rename(server: Server, old: str, new: str) -> None:
    """Whoever reads `new` sees what was there until one moment, and what was `old` from then on.

    Between databases, the server copies documents and indexes under a name of its own before that moment.
    """
    server.client.admin.command({"renameCollection": old, "to": new, "dropTarget": True})


def _batches(documents: Iterator[bytes]) -> Iterator[list[RawBSONDocument]]:
    batch: list[RawBSONDocument] = []
    size = 0
    for document in documents:
        if batch and (size + len(document) > _BYTES or len(batch) == _MANY):
            yield batch
            batch, size = [], 0
        batch.append(RawBSONDocument(document))
        size += len(document)
    if batch:
        yield batch


def uuids(server: Server, database: str) -> dict[str, Any]:
    """What tells a collection from a later one of the same name; a time series has that of its buckets."""
    found = server.client[database].list_collections()
    return {str(one["name"]).removeprefix(BUCKETS): one["info"]["uuid"] for one in found if "uuid" in one["info"]}


def written(server: Server, collection: Collection) -> int:
    """How often a collection was written to since the server started."""
    stage: list[dict[str, Any]] = [{"$collStats": {"latencyStats": {}}}]
    answer = server.client[collection.database].command("aggregate", collection.stored, pipeline=stage, cursor={})
    return sum(int(one["latencyStats"]["writes"]["ops"]) for one in answer["cursor"]["firstBatch"])
