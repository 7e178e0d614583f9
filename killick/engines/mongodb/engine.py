"""The engine: each method is a few questions to the server, and one program."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from killick.contents import Contents
from killick.engines import Answer, Check, Examined, Facts, Notes, Source, Swapped
from killick.engines.mongodb import asking, beside, dumping, loading, scripts, tools, validate
from killick.engines.mongodb.address import Address
from killick.engines.mongodb.server import Server, reached
from killick.engines.mongodb.structure import groups, odd
from killick.errors import KillickError
from killick.watch import Watch

Entry = TypeVar("Entry")


class Mongo:
    SCRIPTS = (".js",)
    EXAMINER = "validate"

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.address = Address.of(source.url, source.password)
        self.rows = source.rows
        self.stands_for = ""
        """The database whose place this one is to take: that of a dump which it is loaded from."""
        self.run = ""
        """Which run made the place that lies beside."""

    def facts(self) -> Facts:
        client = tools.version("mongodump")
        with reached(self.address) as server:
            sizes = server.sizes()
            collections = server.collections()
            return Facts(
                engine="mongodb",
                server_version=server.version,
                client_version=client,
                database=self.address.database,
                identity=server.identity(),
                bytes=sum(size.bytes for size in sizes.values()),
                largest=max((size.bytes for size in sizes.values()), default=0),
                empty=not collections,
                copy=server.marked(),
                details={"replica_set": server.replica_set, "collections": str(len(collections))},
                warnings=tuple(odd(collections)),
            )

    def dump(self, folder: Path, jobs: int, watch: Watch) -> Contents:
        """Of one moment, with its oplog, on a replica set; elsewhere each collection as of its own, and a note."""
        with reached(self.address) as server:
            return dumping.dump(server, folder, jobs, watch)

    def load(
        self, folder: Path, jobs: int, contents: Contents, watch: Watch, only: Collection[str] | None = None
    ) -> Notes:
        """`only` names collections ("shop.orders"). The oplog is replayed where the whole dump goes in.

        Without rows, the dump in `folder` loses its documents.
        """
        with reached(self.address) as server:
            return loading.load(server, folder, jobs, contents, watch, only, self.stands_for, rows=self.rows)

    def contents(self, like: Contents | None = None) -> Contents:
        """Under the names of `like`, where one database of it was restored under another name. What `like` could not
        tell of the moment that the replay of its oplog ends in is left out: `load` compared it before."""
        with reached(self.address) as server:
            loose = {} if like is None else like.loose
            collections = server.collections()
            moved, reshaped = loose.get("documents", {}), loose.get("structure", {})
            found = Contents(
                tables={c.key: server.table(c) for c in collections if not c.view and c.key not in moved},
                groups=groups(c for c in collections if c.key not in reshaped),
                loose=loose,
            )
        if like is None:
            return found
        there = {key.partition(".")[0] for entries in (like.tables, *like.groups.values()) for key in entries}
        own, wanted = self.address.database, self.stands_for or self.address.database
        if own and (wanted in there or len(there) == 1):
            found = _under(found, own, wanted if wanted in there else there.pop())
        return found

    def beside(self, origin: str, needed: int) -> Mongo:
        """The database app__new. Of a whole server, which has nothing beside it, itself, if it is empty.

        Raises SettingsError where the URL names no database and the server holds some.
        """
        beside.refuse_system(self.address)
        found = copy(self)
        with self._server() as server:
            if not self.address.database:
                self.run = beside.whole(server, origin)
                return found
            name, self.run = beside.place(server, origin, needed)
        found.address = replace(self.address, database=name)
        found.stands_for = self.address.database
        return found

    def swap(self, origin: str, *, copy: bool = True) -> Swapped:
        """Collection by collection: an application can see some that are new and some that are not."""
        with self._server() as server:
            if not self.address.database and self.run:
                return beside.whole_filled(server, origin, copy)
            beside.refuse_whole(self.address)
            return beside.replaced(server, origin, self.run, copy)

    def undo(self) -> Notes:
        beside.refuse_whole(self.address)
        with self._server() as server:
            return beside.undone(server)

    def sweep(self) -> Notes:
        """A swap that was interrupted before it exchanged anything is undone, and a later one finished."""
        if not self.address.database:
            return ()
        with self._server() as server:
            return beside.sweep(server)

    def clear(self, origin: str, *, copy: bool = True) -> None:
        """Where the URL names no database, all are dropped, but the server's own."""
        beside.refuse_system(self.address)
        with self._server() as server:
            beside.clear(server, origin, copy)

    def snapshot(self) -> Notes:
        beside.refuse_whole(self.address)
        with self._server() as server:
            return beside.snapshot(server)

    def reset(self) -> Notes:
        beside.refuse_whole(self.address)
        with self._server() as server:
            return beside.reset(server)

    def script(self, path: Path) -> None:
        """By mongosh, with `db` as this database. Raises Unsupported where mongosh is not installed."""
        scripts.run(self.address, path)

    def equipped(self) -> None:
        scripts.shell("a script in JavaScript")

    def ask(self, question: str, snapshot: str, seconds: float) -> Answer:
        """By mongosh, with `db` as this database and `killick.snapshot`; nothing keeps a question from writing."""
        return asking.ask(self.address, question, snapshot, seconds)

    def examine(self, watch: Watch) -> Examined:
        with reached(self.address) as server:
            return validate.examine(server, watch)

    def environment(self) -> dict[str, str]:
        return scripts.environment(self.address)

    def checks(self) -> list[Check]:
        return list(self._checked())

    def _server(self) -> AbstractContextManager[Server]:
        """With the cure for who may not replace anything."""
        return reached(self.address, beside.rights(self.address))

    def _checked(self) -> Iterator[Check]:
        for name in ("mongodump", "mongorestore"):
            yield _installed(name)
        try:
            with reached(self.address) as server:
                yield Check(f"MongoDB {server.version} at {self.address.host} answers", True)
                collections = server.collections()
                yield Check(
                    f"the user sees {len(collections)} collections",
                    bool(collections),
                    ""
                    if collections
                    else "name the right database in the URL, or give the user the role backup on admin",
                )
                yield _moment(server)
                for sentence in odd(collections):
                    yield Check(sentence, False, "rename the collection")
        except KillickError as error:
            yield Check(error.message, False, error.hint)


def _installed(name: str) -> Check:
    try:
        return Check(f"{name} {tools.version(name)} is installed", True)
    except KillickError as error:
        return Check(error.message, False, error.hint)


def _moment(server: Server) -> Check:
    reason = dumping.why_not_one_moment(server)
    return Check(f"backups are of one moment: {'yes' if not reason else 'no, ' + reason}", True)


def _under(found: Contents, own: str, name: str) -> Contents:
    def renamed(entries: dict[str, Entry]) -> dict[str, Entry]:
        return {name + key.removeprefix(own): entry for key, entry in entries.items()}

    return replace(
        found,
        tables=renamed(dict(found.tables)),
        groups={kind: renamed(dict(entries)) for kind, entries in found.groups.items()},
    )
