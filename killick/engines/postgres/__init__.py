"""Postgres: dumped by pg_dump in a snapshot that we count in as well, restored by pg_restore.

address     where the database is, and why it does not answer
session     a connection with pinned settings
commands    the client programs: which, and how they are called
catalog     tables, sequences and all that a schema's text leaves out; census: how many of each kind
left_out    what no dump carries
tally       lines counted and hashed; rows: in the dump, in a database, by the server; routed: where partitions mix
schema      a fingerprint of the schema's text
roles       what belongs to the cluster: roles, settings of the database
marks       names and marks of what stands beside a database; server: a session outside of all, what is there
belongings  owner, grants, settings of a database; rights, room: whether something may be made beside it, and fits
alone       statements that want a database without sessions; drop: one that is ours goes
beside  swap  snapshot     what is in use is replaced, brought back, rewound
listing     the entries of a dump and what they need; part: those of single tables
masking     what is hidden in a copy
asking      a project's questions about its data; examine: damage, looked for by amcheck
demands     version and extensions that a dump needs; neutral: what a copy must not do
adopting    dumps that others made; plain: those that are SQL text
facts  inventory  dump  live  target  load  as_sql  scripts  doctor     what the engine does, one file each
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from killick.contents import Contents
from killick.engines import Adopted, Answer, Check, Engine, Examined, Facts, Notes, Source, Swapped
from killick.engines.postgres.address import Address
from killick.engines.postgres.facts import MARK
from killick.errors import SettingsError
from killick.watch import Watch

__all__ = ["MARK", "SCHEMES", "Postgres", "connect"]

SCHEMES = ("postgres", "postgresql", "postgis")


class Postgres:
    """An Engine (killick.engines) of one database, Replaceable and Rewindable.

    Its methods import the driver and the parts that they need.
    """

    SCRIPTS = (".sql",)
    EXAMINER = "amcheck"

    def __init__(self, source: Source) -> None:
        self.source = source
        self.run = ""  # the mark of what `beside` made: `swap` takes no other run's

    @cached_property
    def address(self) -> Address:
        from killick.engines.postgres.address import parse

        return parse(self.source)

    def facts(self) -> Facts:
        from killick.engines.postgres.facts import facts

        return facts(self.address)

    def server(self) -> str:
        from killick.engines.postgres.facts import identity
        from killick.engines.postgres.server import outside

        with outside(self.address) as session:
            return identity(session)

    def dump(self, folder: Path, jobs: int, watch: Watch) -> Contents:
        from killick.engines.postgres.dump import dump

        return dump(self.address, self.source.evidence, folder, jobs, watch)

    def load(
        self, folder: Path, jobs: int, contents: Contents, watch: Watch, only: Collection[str] | None = None
    ) -> Notes:
        from killick.engines.postgres import plain

        if plain.there(folder):
            from killick.engines.postgres.plain.loading import load as load_text

            return load_text(self.address, self.source, folder, contents, watch, only)
        from killick.engines.postgres.load import load

        source = self.source
        return load(self.address, source.owners, source.rows, folder, jobs, contents, watch, only, source.mask)

    def contents(self, like: Contents | None = None) -> Contents:
        from killick.engines.postgres.live import contents

        return contents(self.address, self.source.evidence, like)

    def checks(self) -> list[Check]:
        from killick.engines.postgres.doctor import checks

        return checks(self.address)

    def refuse_unfit(self, contents: Contents, folder: Path | None = None) -> None:
        from killick.engines.postgres import demands, plain, target

        if folder is None or not plain.there(folder):  # text is suited to an older server as it is sent
            demands.client(target.version(self.address), contents)
        needed = contents.groups.get("extensions", {}).keys() - (set() if self.source.owners else {demands.CRON})
        demands.refuse_missing(needed, target.extensions(self.address), contents)

    def beside(self, origin: str, needed: int) -> Engine:
        from killick.engines.postgres import marks
        from killick.engines.postgres.address import renamed
        from killick.engines.postgres.beside import make

        self.run = make(self.address, origin, needed).run
        name = marks.beside(self.address.database, marks.NEW)
        return Postgres(replace(self.source, url=renamed(self.source.url, name)))

    def settle(self) -> None:
        from killick.engines.postgres.beside import settle

        settle(self.address)

    def swap(self, origin: str, *, copy: bool = True) -> Swapped:
        from killick.engines.postgres.swap import swap

        return swap(self.address, origin, copy, self.run)

    def undo(self) -> Notes:
        from killick.engines.postgres.swap import undo

        return undo(self.address)

    def sweep(self) -> Notes:
        from killick.engines.postgres.beside import sweep

        return sweep(self.address)

    def clear(self, origin: str, *, copy: bool = True) -> None:
        from killick.engines.postgres.swap import clear

        clear(self.address, origin, copy)

    def snapshot(self) -> Notes:
        from killick.engines.postgres.snapshot import snapshot

        return snapshot(self.address)

    def reset(self) -> Notes:
        from killick.engines.postgres.snapshot import reset

        return reset(self.address)

    def script(self, path: Path) -> None:
        from killick.engines.postgres.scripts import run

        run(self.address, path)

    def ask(self, question: str, snapshot: str, seconds: float) -> Answer:
        from killick.engines.postgres.asking import ask

        return ask(self.address, question, snapshot, seconds)

    def examine(self, watch: Watch) -> Examined:
        from killick.engines.postgres.examine import examine

        return examine(self.address, watch)

    def environment(self) -> dict[str, str]:
        from killick.engines.postgres.scripts import environment

        return environment(self.address)


def connect(source: Source) -> Engine:
    return Postgres(source)


def inspect(folder: Path) -> None:
    from killick.engines.postgres import plain

    if plain.there(folder):
        plain.inspect(folder)
        return
    from killick.engines.postgres.whole import inspect

    inspect(folder)


def script(folder: Path, only: Collection[str] | None, rows: bool) -> AbstractContextManager[Iterator[bytes]]:
    from killick.engines.postgres import plain
    from killick.engines.postgres.as_sql import text

    if plain.there(folder):
        raise SettingsError("the dump is SQL text as it is", "killick fetch gives it")
    return text(folder, only, rows)


def parts(contents: Contents) -> dict[str, tuple[str, ...]]:
    """Tables, and those that hold no rows but in their partitions, as people name them: public.orders, orders."""
    from killick.engines.postgres.names import spellings

    keys = {*contents.tables, *(above for table in contents.tables.values() for above in table.ancestors)}
    return {key: spellings(key) for key in keys}


def adopt(found: Path, folder: Path, wanted: str, watch: Watch) -> Adopted | None:
    from killick.engines.postgres.adopting import adopt as taken

    return taken(found, folder, wanted, watch)
