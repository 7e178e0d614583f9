"""Killick's marks: documents of killick.copies. Only a database that bears one is ever dropped.

    {_id: "app", kind: "copy", origin, at}                a copy, which is never backed up; "*": every database
    {_id: "app__new", kind: "new", of: "app", origin}     a place that is being filled
    {_id: "app__old", kind: "keeping", of, copy}          what is in use is being copied there; then kind: "old"
    {_id: "app__snapshot", kind: "copying", of, copy}     the same for a snapshot; then kind: "snapshot"
    {_id: "swap of app", kind: "swap", of, …}             a swap's journal; no database can have a name like that

`copy` is the mark of a copy that was in use, or null: it comes back with the data. A document without `kind` was
written by hand, and marks a copy.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pymongo import WriteConcern

from killick.engines.mongodb import names
from killick.engines.mongodb.server import Server
from killick.errors import Refused

Mark = dict[str, Any]

# What is said here decides what the next run drops, so it has to outlive a loss of power.
_SAFE = WriteConcern(w="majority", j=True)


class Marks:
    """Those of one database, and of what lies beside it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.database = server.address.database
        self._own = self.database or "*"
        self._documents = server.client["killick"].get_collection("copies", write_concern=_SAFE)

    def get(self, name: str) -> Mark | None:
        return self._documents.find_one({"_id": name})

    def put(self, name: str, kind: str, **fields: Any) -> None:
        """Instead of the one that was there."""
        mark = {"_id": name, "kind": kind, "of": self.database, "at": datetime.now(UTC), **fields}
        self._documents.replace_one({"_id": name}, mark, upsert=True)

    def change(self, name: str, **fields: Any) -> None:
        self._documents.update_one({"_id": name}, {"$set": fields})

    def remove(self, name: str) -> None:
        self._documents.delete_one({"_id": name})

    def beside(self, *kinds: str) -> list[Mark]:
        """The marks of the databases beside this one, of these kinds."""
        return list(self._documents.find({"of": self.database, "kind": {"$in": kinds}}).sort("at"))

    def copy(self) -> Mark | None:
        """The mark of a copy that this database bears."""
        return self._documents.find_one({"_id": self._own, "kind": {"$in": [None, "copy"]}})

    def put_copy(self, mark: Mark | None) -> None:
        """Marks this database as `copied` says, or takes its mark away."""
        if mark is None:
            self.remove(self._own)
        else:
            self._documents.replace_one({"_id": self._own}, mark, upsert=True)

    def copied(self, origin: str, copy: bool) -> Mark | None:
        """The mark that this database is to bear when it holds `origin`."""
        mark = {"_id": self._own, "kind": "copy", "origin": origin, "at": datetime.now(UTC)}
        return mark if copy else None

    def foreign(self, name: str) -> bool:
        """Whether there is a database of this name that is not killick's."""
        return self.get(name) is None and bool(self.server.client[name].list_collection_names())

    def room_for_old(self) -> str:
        """The name under which what is in use can be kept: there are two, so that the last kept one stays until then.

        Raises Refused when a database that is not killick's has it.
        """
        taken = {mark["_id"] for mark in self.beside("old")}
        wanted = [name for what in ("old", "old2") if (name := names.beside(self.database, what)) not in taken]
        for name in wanted:
            if not self.foreign(name):
                return name
        raise Refused(
            f"the database {wanted[0]} is there, and is not killick's",
            f"rename or drop it: what {self.database} holds is to be kept there",
        )
