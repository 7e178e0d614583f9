"""A collection, a view or a time series, told by a live server or by a dump: both give the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from killick.engines.mongodb import normal

BUCKETS = "system.buckets."
LONGEST = 238
"""Bytes of an escaped name that mongodump uses as a file's name; a longer one is cut and ends in a hash."""


@dataclass(frozen=True)
class Collection:
    """`kind` is collection, view or timeseries, in the words of listCollections."""

    database: str
    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    indexes: tuple[Mapping[str, Any], ...] = ()

    @property
    def key(self) -> str:
        return f"{self.database}.{self.name}"

    @property
    def stored(self) -> str:
        """The collection that its documents lie in: a time series keeps buckets."""
        return BUCKETS + self.name if self.kind == "timeseries" else self.name

    @property
    def view(self) -> bool:
        return self.kind == "view"

    @property
    def capped(self) -> bool:
        return bool(self.options.get("capped"))


def kept(name: str) -> bool:
    """Whether mongodump takes a collection of this name out of a database that is no system database."""
    return name == "system.js" or not (name.startswith("system.") or "$" in name)


def escaped(name: str) -> str:
    return quote_plus(name)


def renamed(name: str) -> bool:
    """Whether mongorestore takes a cut name for an escaped one, and makes another out of it, or refuses it."""
    return len(escaped(name)) > LONGEST and ("%" in name or "+" in name)


def skipped(name: str) -> bool:
    """Whether mongorestore passes over it and says nothing: its patterns do not match across lines (mongo-tools)."""
    return "\n" in name


def odd(collections: Iterable[Collection]) -> Iterator[str]:
    """What other tools would lose: killick's restore brings these back, a plain mongorestore does not."""
    for collection in collections:
        if skipped(collection.name):
            yield f"{collection.key!r}: mongorestore passes over a name with a line break, and says nothing"
        if collection.kind == "timeseries" and len(escaped(collection.stored)) > LONGEST:
            yield f"{collection.key!r}: mongorestore cannot read a time series with a name this long"


def groups(collections: Iterable[Collection]) -> dict[str, dict[str, str]]:
    """What must be equal beside the documents."""
    found: dict[str, dict[str, str]] = {"options": {}, "indexes": {}, "views": {}}
    for collection in sorted(collections, key=lambda c: c.key):
        place = found["views" if collection.view else "options"]
        place[collection.key] = normal.options(collection.kind, collection.options)
        for index in collection.indexes:
            found["indexes"][f"{collection.key}/{index['name']}"] = normal.index(index)
    return found
