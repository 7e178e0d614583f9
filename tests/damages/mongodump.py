"""The folder that mongodump left, opened for damage."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import bson

from killick.engines.mongodb.documents import read
from killick.engines.mongodb.structure import escaped

Document = dict[str, Any]


class Dump:
    """Of the database `shop`, in a dump's folder. Collections are named as their files are."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "mongodb"
        self.oplog = self.root / "oplog.bson"

    def bson(self, name: str) -> Path:
        return self.root / "shop" / f"{escaped(name)}.bson"

    def json(self, name: str) -> Path:
        return self.root / "shop" / f"{escaped(name)}.metadata.json"

    def documents(self, name: str) -> list[bytes]:
        return all_of(self.bson(name))

    def put(self, name: str, documents: Iterable[bytes]) -> None:
        self.bson(name).write_bytes(b"".join(documents))

    def reorder(self, name: str, order: Callable[[list[bytes]], list[bytes]]) -> None:
        """Its documents as `order` makes them."""
        self.put(name, order(self.documents(name)))

    def rewrite(self, name: str, id: object, change: Callable[[Document], Document]) -> None:
        """One document as `change` makes it."""
        documents = self.documents(name)
        found = [n for n, document in enumerate(documents) if bson.decode(document)["_id"] == id]
        documents[found[0]] = bson.encode(change(bson.decode(documents[found[0]])))
        self.put(name, documents)

    def substitute(self, name: str, old: bytes, new: bytes) -> None:
        """Bytes that are there once."""
        data = self.bson(name).read_bytes()
        assert data.count(old) == 1
        self.bson(name).write_bytes(data.replace(old, new))

    def describe(self, name: str, change: Callable[[Document], object]) -> None:
        """Its metadata, changed in place."""
        text = self.json(name).read_text()
        fields = json.loads(text)
        change(fields)
        changed = json.dumps(fields, ensure_ascii=False)
        assert changed != json.dumps(json.loads(text), ensure_ascii=False)
        self.json(name).write_text(changed)

    def index(self, name: str, index: str, change: Callable[[Document], object]) -> None:
        self.describe(name, lambda fields: change(next(i for i in fields["indexes"] if i["name"] == index)))

    def remove(self, name: str) -> None:
        for path in (self.bson(name), self.json(name)):
            path.unlink(missing_ok=True)


def all_of(path: Path) -> list[bytes]:
    return [bytes(document) for document in read(path)]
