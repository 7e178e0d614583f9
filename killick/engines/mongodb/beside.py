"""What lies beside a database: a place to fill, what was in use, a snapshot; each in a database of its own."""

from __future__ import annotations

import secrets

from killick.engines import Notes, Swapped
from killick.engines.mongodb import copying, names
from killick.engines.mongodb.address import SYSTEM, Address
from killick.engines.mongodb.marks import Marks
from killick.engines.mongodb.server import Server
from killick.engines.mongodb.swap import fits, healed, swap
from killick.errors import NoSpace, NotFound, Refused, SettingsError
from killick.figures import size

_TRIAL = "killick.trial"
_TELLING = 1 << 20
"""Bytes of documents from which on their size on disk tells how well they compress."""


def refuse_whole(address: Address) -> None:
    """Raises SettingsError where the address names no database: a whole server has no place beside itself."""
    if not address.database:
        raise SettingsError(
            f"the URL of MongoDB at {address.host} names no database, and a whole server has nothing beside it",
            "name a database in the URL, or restore into an empty server, or --in-place",
        )


def refuse_system(address: Address) -> None:
    """Raises Refused for a database that is the server's own, or killick's: replaced, it would take users, the oplog or
    the marks of copies with it."""
    if address.database in SYSTEM:
        raise Refused(
            f"{address.database} at {address.host} is a database of the server's own, or of killick's",
            "name another in the URL",
        )


def rights(address: Address) -> str:
    """The cure where the user may not do what these functions ask for."""
    database = address.database
    if not database:
        return "give the user the role root"
    every = ", ".join([database, *(names.beside(database, what) for what in ("new", "old", "old2", "snapshot"))])
    return f"give the user readWrite and dbAdmin on {every} and killick, or the role root"


def place(server: Server, origin: str, needed: int) -> tuple[str, str]:
    """The name of an empty database, marked as one that is being filled, and the word that tells it from another run's.

    Raises Refused, NoSpace, and what the driver raises where the user may not fill it, or keep beside what is in use.
    """
    sweep(server)
    marks = Marks(server)
    new = names.beside(server.address.database, "new")
    _not_foreign(marks, new)
    old = marks.room_for_old()
    fits(server.collections(), old)
    for name in (new, old):
        marks.put(name, "new", origin=origin, run="")
        try:
            server.client[name].command("create", _TRIAL)
            server.client[name].command("drop", _TRIAL)
        finally:
            marks.remove(name)
    _room(server, needed)
    run = secrets.token_hex(8)
    marks.put(new, "new", origin=origin, run=run)
    return new, run


def whole(server: Server, origin: str) -> str:
    """An empty server is its own place: nothing is in use. It bears the mark of a copy before it holds one.

    Raises SettingsError where it is not empty.
    """
    if server.databases():
        refuse_whole(server.address)
    marks = Marks(server)
    marks.put_copy(marks.copied(origin, copy=True))
    return secrets.token_hex(8)


def whole_filled(server: Server, origin: str, copy: bool) -> Swapped:
    marks = Marks(server)
    marks.put_copy(marks.copied(origin, copy))
    return Swapped(kept=False)


def replaced(server: Server, origin: str, run: str, copy: bool) -> Swapped:
    """By what was loaded beside; `run` is what `place` gave, "" where nobody knows it.

    Raises NotFound where nothing was, Refused where it is another run's.
    """
    marks = Marks(server)
    healed(server)
    new = names.beside(server.address.database, "new")
    mark = marks.get(new)
    if mark is None:
        raise NotFound(f"nothing was loaded beside {server.address.database}", "restore again")
    if mark["origin"] != origin or run not in {"", mark["run"]}:
        raise Refused(
            f"what is beside {server.address.database} is another run's", "let one restore end before another begins"
        )
    return swap(server, new, moves=True, keep_empty=False, mark=marks.copied(origin, copy))


def undone(server: Server) -> Notes:
    """Raises NotFound where nothing is kept."""
    notes = sweep(server)
    old = Marks(server).beside("old")
    if not old:
        raise NotFound(
            f"nothing is kept of what {server.address.database} held before",
            "it was not replaced, or was empty; killick list shows what can be restored",
        )
    return notes + swap(server, old[0]["_id"], moves=False, keep_empty=True, mark=old[0]["copy"]).notes


def sweep(server: Server) -> Notes:
    """Ends a swap that was interrupted, and drops what was never finished."""
    notes = [*healed(server)]
    marks = Marks(server)
    for mark in marks.beside("new", "keeping", "copying"):
        server.client.drop_database(mark["_id"])
        marks.remove(mark["_id"])
        notes.append(f"{mark['_id']} was not finished, and is gone")
    return tuple(notes)


def clear(server: Server, origin: str, copy: bool) -> None:
    """Drops this database, or all of the project's. What the last swap kept goes too: room is wanted."""
    marks = Marks(server)
    if server.address.database:
        sweep(server)
        for kept in marks.beside("old"):
            server.client.drop_database(kept["_id"])
            marks.remove(kept["_id"])
    for name in server.databases():
        server.client.drop_database(name)
    marks.put_copy(marks.copied(origin, copy))


def snapshot(server: Server) -> Notes:
    notes = sweep(server)
    marks = Marks(server)
    database = server.address.database
    name = names.beside(database, "snapshot")
    _not_foreign(marks, name)
    collections = server.collections()
    fits(collections, name)
    marks.put(name, "copying", copy=marks.copy())
    server.client.drop_database(name)
    _room(server, sum(found.bytes for found in server.sizes().values()))
    counts = {c.name: copying.written(server, c) for c in collections if not c.view}
    for collection in collections:
        copying.copy(server, collection, name, collection.name)
    busy = [c.name for c in collections if not c.view and copying.written(server, c) != counts[c.name]]
    marks.change(name, kind="snapshot")
    if busy:
        notes += (f"{', '.join(busy)} was written to meanwhile: each is as of its own moment",)
    return (*notes, f"{database} is kept as it is in {name}")


def reset(server: Server) -> Notes:
    """Raises NotFound where there is no snapshot."""
    notes = sweep(server)
    kept = Marks(server).beside("snapshot")
    if not kept:
        raise NotFound(f"there is no snapshot of {server.address.database}", "killick snapshot makes one")
    return notes + swap(server, kept[0]["_id"], moves=False, keep_empty=False, mark=kept[0]["copy"]).notes


def _not_foreign(marks: Marks, name: str) -> None:
    if marks.foreign(name):
        raise Refused(f"the database {name} is there, and is not killick's", "rename or drop it, and try again")


def _room(server: Server, needed: int) -> None:
    """`needed` as the documents' own size; on disk they take what those take that are there."""
    disk = server.client["killick"].command("dbStats")  # a database that is not there has no disk: this one is
    if not disk.get("fsTotalSize"):
        return
    free = int(disk["fsTotalSize"] - disk["fsUsedSize"])
    stats = server.client[server.address.database].command("dbStats")
    share = min(1.0, stats["totalSize"] / stats["dataSize"]) if stats["dataSize"] > _TELLING else 1.0
    if needed * share > free:
        raise NoSpace(
            f"MongoDB at {server.address.host} has {size(free)} free, and {size(int(needed * share))} would go in "
            f"beside {server.address.database}",
            "free some space there, or use --in-place, which empties the database first",
        )
