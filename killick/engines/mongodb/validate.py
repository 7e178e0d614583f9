"""Damage in what a copy's server stores: `validate`, in full, of every collection.

https://www.mongodb.com/docs/manual/reference/command/validate/#output. What it says is not quoted: the entries of an
index that it lists, and some of its sentences, hold documents' values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pymongo.errors import OperationFailure

from killick.engines import Damage, Examined
from killick.engines.mongodb.server import Server
from killick.engines.mongodb.structure import Collection
from killick.watch import Watch

_COUNTED = {
    "corruptRecords": "corrupt records",
    "missingIndexEntries": "index entries missing",
    "extraIndexEntries": "index entries too many",
}
_BUSY = "transient issue"  # it could not look at the files themselves, since they were written meanwhile


def examine(server: Server, watch: Watch) -> Examined:
    server.client.admin.command("fsync")  # otherwise most are too freshly written to be looked at
    collections = [collection for collection in server.collections() if not collection.view]
    damages: list[Damage] = []
    notes: list[str] = []
    sizes, done, many = server.sizes(), 0, 0
    for collection in collections:
        try:
            answer = _answer(server, collection)
        except OperationFailure as error:
            notes.append(f"{collection.key} was not validated: error {error.code}")
        else:
            many += 1
            if said := damage(answer):
                damages.append(Damage(collection.key, said))
            notes += (f"{collection.key}: {note}" for note in remarks(answer))
        done += sizes[collection.key].bytes if collection.key in sizes else 0
        watch(done, sum(size.bytes for size in sizes.values()))
    return Examined(f"{many} collection{'' if many == 1 else 's'}", tuple(damages), tuple(notes))


def _answer(server: Server, collection: Collection) -> Mapping[str, Any]:
    """Documents older than their validator are no damage: "error" would end it at them, before it sees the indexes."""
    database = server.client[collection.database]
    if "validator" in collection.options:
        database.command({"collMod": collection.name, "validationAction": "warn"})
    return database.command({"validate": collection.stored, "full": True})


def damage(answer: Mapping[str, Any]) -> str:
    """Of one answer of the server; "" where it holds the collection for sound."""
    if answer.get("valid"):
        return ""
    told = [f"{len(answer[field])} {words}" for field, words in _COUNTED.items() if answer.get(field)]
    told += (f"index {name} not valid" for name, index in _indexes(answer) if not index.get("valid", True))
    return ", ".join(told) or f"{len(answer.get('errors', ()))} errors"


def remarks(answer: Mapping[str, Any]) -> Iterator[str]:
    if older := answer.get("nNonCompliantDocuments"):
        yield f"{older} document{' does' if older == 1 else 's do'} not comply with its validator"
    said = [*answer.get("warnings", ()), *(w for _, index in _indexes(answer) for w in index.get("warnings", ()))]
    if any(_BUSY in str(warning) for warning in said):
        yield "validate could not look at its files, which were in use"


def _indexes(answer: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return list(answer.get("indexDetails", {}).items())
