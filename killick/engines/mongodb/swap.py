"""A swap: the collections of another database take the place of those in use, each at one moment of its own.

    staging     plain collections come into the database under names that nobody looks at, where one rename puts each
                into place; what is in use is copied to where it is kept, and again where it was written to meanwhile
    switching   renames, then time series and views, which MongoDB cannot rename: they are dropped and made anew
    switched    what the last swap kept goes away, and what is left of the other database

The journal (marks.py) says which. Interrupted while staging, a swap is undone: nothing of what is in use had changed.
Interrupted later it is finished: all that it needs is there, and what applications wrote into the new data stays.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from pymongo.errors import PyMongoError

from killick.engines import Notes, Swapped
from killick.engines.mongodb import copying, normal
from killick.engines.mongodb.marks import Mark, Marks
from killick.engines.mongodb.names import LONGEST_NAMESPACE
from killick.engines.mongodb.server import APP, Server, translated
from killick.engines.mongodb.structure import Collection as Structure
from killick.errors import KillickError, Refused, RestoreError

_ROUNDS = 3
"""How often what is in use is copied, where it is written to all the time."""


@dataclass(frozen=True)
class Swap:
    """The journal. `source` gives its collections away where `moves`, and keeps them otherwise.

    `kept`: where what is in use is copied to, "" for nowhere. `staged`: plain collections by their names to be, and the
    names that they wait under. `mark`: the mark of a copy to come; `was`: the one before.
    """

    source: str
    moves: bool
    kept: str
    mark: Mark | None
    was: Mark | None
    token: str
    staged: dict[str, str]

    @property
    def prefix(self) -> str:
        return f"killick.{self.token}."


def swap(server: Server, source: str, *, moves: bool, keep_empty: bool, mark: Mark | None) -> Swapped:
    """`source`'s collections are in use instead; `mark` is the mark of a copy that they bear.

    What was in use is kept, unless it is empty; with `keep_empty` also then.
    """
    marks = Marks(server)
    there = server.collections()
    kept = marks.room_for_old() if there or keep_empty else ""
    token = secrets.token_hex(4)
    coming = server.of(source).collections()
    plain = [c.name for c in coming if c.kind == "collection"]
    staged = {name: f"killick.{token}.{number}" for number, name in enumerate(plain)}
    one = Swap(source, moves, kept, mark, marks.copy(), token, staged)
    if kept:
        fits(there, kept)
    marks.put(_key(server), "swap", phase="staging", **asdict(one) | {"staged": list(staged.items())})
    try:
        _stage(server, one)
        busy = _keep(server, one) if kept else []
        olds = copying.uuids(server, server.address.database)
        olds = {name: uuid for name, uuid in olds.items() if not name.startswith(one.prefix)}
        marks.change(_key(server), phase="switching", olds=list(olds.items()), series=[])
    except BaseException:
        with suppress(KillickError, PyMongoError):  # the next run does it
            _back(server, one)
        raise
    try:
        _finish(server, one)
    except (KillickError, PyMongoError) as error:
        told = translated(error, server.address) if isinstance(error, PyMongoError) else error
        raise RestoreError(
            f"the swap of {server.address.database} stopped half-way: {told.message}",
            f"{told.hint}; the next restore into it, or undo, finishes the swap first".lstrip("; "),
        ) from None
    remade = [c.name for c in coming if c.kind == "timeseries"]
    return Swapped(bool(kept), tuple(_notes(server, one, remade, busy)))


def healed(server: Server) -> Notes:
    """Brings a swap that was interrupted to its one end or the other; a sentence where there was one."""
    database = server.address.database
    journal = Marks(server).get(_key(server))
    if journal is None:
        return ()
    _quiet(server)
    fields = {name: journal[name] for name in Swap.__dataclass_fields__}
    one = Swap(**fields | {"staged": dict(journal["staged"])})
    if journal["phase"] == "staging":
        _back(server, one)
        beside = ", and what had been loaded beside it is gone" if one.moves else ""
        return (f"a swap of {database} was interrupted before anything had changed: {database} is as it was{beside}",)
    _finish(server, one)
    return (f"a swap of {database} was interrupted while it exchanged collections: it has been finished",)


def fits(collections: Iterable[Structure], database: str) -> None:
    """Raises Refused where a collection's name is too long for a database of this name."""
    for collection in collections:
        if len(f"{database}.{collection.stored}".encode()) > LONGEST_NAMESPACE:
            raise Refused(
                f"the name of {collection.key!r} is too long for a copy of it in {database}",
                f"MongoDB takes {LONGEST_NAMESPACE} bytes with the database's name; --in-place needs no copy",
            )


def _key(server: Server) -> str:
    return f"swap of {server.address.database}"


def _stage(server: Server, one: Swap) -> None:
    database = server.address.database
    for collection in server.of(one.source).collections():
        if waiting := one.staged.get(collection.name):
            if one.moves:
                copying.move(server, collection, database, waiting)
            else:
                copying.copy(server, collection, database, waiting)


def _keep(server: Server, one: Swap) -> list[str]:
    """Copies what is in use; gives the collections that were written to again whenever they had been copied."""
    Marks(server).put(one.kept, "keeping", copy=one.was)
    server.client.drop_database(one.kept)
    seen: dict[str, object] = {}
    for left in reversed(range(_ROUNDS + 1)):
        uuids = copying.uuids(server, server.address.database)
        there = {c.name: c for c in server.collections() if not c.name.startswith(one.prefix)}
        now = {n: (c, uuids.get(n), 0 if c.view else copying.written(server, c)) for n, c in there.items()}
        changed = {name for name in now.keys() | seen.keys() if now.get(name) != seen.get(name)}
        if not changed or not left:
            break
        for name in changed:
            if name in seen:
                copying.drop(server, one.kept, name)
            if name in there:
                copying.copy(server, there[name], one.kept, name)
        seen = dict(now)
    return sorted(changed)


def _finish(server: Server, one: Swap) -> None:
    """From any point of the switch on: each step looks whether it has been done."""
    marks = Marks(server)
    journal = marks.get(_key(server)) or {}
    if journal["phase"] == "switching":
        if one.mark is not None:
            marks.put_copy(one.mark)  # before the data: a copy must not be taken for production for a moment
        _switch(server, one, dict(journal["olds"]), journal["series"])
        marks.change(_key(server), phase="switched")
    if one.kept:
        marks.put(one.kept, "old", copy=one.was)
    for before in marks.beside("old"):
        if before["_id"] != one.kept:
            server.client.drop_database(before["_id"])
            marks.remove(before["_id"])
    if one.moves:
        server.client.drop_database(one.source)
        marks.remove(one.source)
    if one.mark is None:
        marks.put_copy(None)
    marks.remove(_key(server))


def _switch(server: Server, one: Swap, olds: Mapping[str, Any], done: list[str]) -> None:
    """`olds` has the UUIDs of what was in use: an application may have made another of that name since."""
    database = server.address.database
    there = server.collections()
    uuids = copying.uuids(server, database)
    unchanged = {c.name for c in there if c.name in olds and uuids.get(c.name) == olds[c.name]}
    new = {c.name: c for c in server.of(one.source).collections() if c.kind != "collection"}
    for old in there:
        # A rename takes the place of a collection, and of nothing else.
        series_away = old.kind == "timeseries" and old.name not in new and old.name in unchanged
        if series_away or (old.view and not _same(old, new.get(old.name))):
            copying.drop(server, database, old.name)
    _put_in_place(server, one, {c.name for c in there})
    for old in there:
        if old.kind == "collection" and old.name not in one.staged and old.name in unchanged:
            copying.drop(server, database, old.name)
    _make_anew(server, new, done)


def _put_in_place(server: Server, one: Swap, there: set[str]) -> None:
    database = server.address.database
    for name, waiting in one.staged.items():
        if waiting in there:
            if name == "system.js":  # which no rename drops
                copying.drop(server, database, name)
            copying.rename(server, f"{database}.{waiting}", f"{database}.{name}")


def _make_anew(server: Server, new: Mapping[str, Structure], done: list[str]) -> None:
    """Time series, then the views, which may look at them."""
    database = server.address.database
    for name, series in new.items():
        if series.kind == "timeseries" and name not in done:
            copying.drop(server, database, name)
            copying.copy(server, series, database, name)
            done = [*done, name]
            Marks(server).change(_key(server), series=done)
    there = {c.name: c for c in server.collections()}
    for name, view in new.items():
        if view.view and not _same(view, there.get(name)):
            copying.drop(server, database, name)
            copying.copy(server, view, database, name)


def _same(view: Structure, other: Structure | None) -> bool:
    return (
        other is not None
        and other.view
        and normal.options("view", view.options) == normal.options("view", other.options)
    )


def _back(server: Server, one: Swap) -> None:
    """Takes away what staging had brought."""
    marks = Marks(server)
    for name in server.client[server.address.database].list_collection_names():
        if name.startswith(one.prefix):
            copying.drop(server, server.address.database, name)
    for database in (one.kept, one.source if one.moves else ""):
        if database:
            server.client.drop_database(database)
            marks.remove(database)
    marks.remove(_key(server))


def _quiet(server: Server) -> None:
    """Waits for what a run that was killed had asked of the server, which goes on without whoever asked.

    A rename between databases that is killed leaves a collection of the server's own behind.
    """
    ours = {server.address.database, *server.ours()}
    verbs = ("renameCollection", "insert", "create", "createIndexes")
    asked = {"appName": APP, "$or": [{f"command.{verb}": {"$exists": True}} for verb in verbs]}
    while True:
        found = server.client.admin.aggregate([{"$currentOp": {}}, {"$match": asked}])
        if not any(str(operation.get("ns", "")).partition(".")[0] in ours for operation in found):
            return
        time.sleep(0.05)


def _notes(server: Server, one: Swap, remade: Collection[str], busy: Collection[str]) -> Iterator[str]:
    database = server.address.database
    yield f"{database} was replaced collection by collection, each at a moment of its own"
    if remade:
        yield f"time series cannot be renamed: {', '.join(remade)} was missing, or not whole, while it was made anew"
    if one.kept:
        yield f"what was in {database} is kept in {one.kept}"
    if busy:
        yield (f"{', '.join(busy)} was written to all the time: the last of these writes may be missing in {one.kept}")
