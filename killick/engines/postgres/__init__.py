"""Postgres: dumped by pg_dump in a snapshot that we count in as well, restored by pg_restore.

address     where the database is, and why it does not answer
session     a connection with pinned settings
commands    the client programs: which, and how they are called
catalog     tables, sequences and all that a schema's text leaves out; census: how many of each kind
tally       lines counted and hashed; rows: in the dump, in a database, by the server
schema      a fingerprint of the schema's text
roles       what belongs to the cluster: roles, settings of the database
facts  inventory  dump  live  target  load  doctor     what the engine does, one file each
adopting    dumps that others made; plain: those that are SQL text
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from killick.contents import Contents
from killick.engines import Adopted, Check, Engine, Facts, Notes, Source
from killick.engines.postgres.address import Address
from killick.engines.postgres.facts import MARK
from killick.watch import Watch

__all__ = ["MARK", "SCHEMES", "Postgres", "connect"]

SCHEMES = ("postgres", "postgresql", "postgis")


class Postgres:
    """An Engine (killick.engines) of one database. Its methods import the driver and the parts that they need."""

    def __init__(self, source: Source) -> None:
        self.source = source

    @cached_property
    def address(self) -> Address:
        from killick.engines.postgres.address import parse

        return parse(self.source)

    def facts(self) -> Facts:
        from killick.engines.postgres.facts import facts

        return facts(self.address)

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

        return load(self.address, self.source.owners, folder, jobs, contents, watch, only)

    def contents(self, like: Contents | None = None) -> Contents:
        from killick.engines.postgres.live import contents

        return contents(self.address, self.source.evidence, like)

    def checks(self) -> list[Check]:
        from killick.engines.postgres.doctor import checks

        return checks(self.address)


def connect(source: Source) -> Engine:
    return Postgres(source)


def inspect(folder: Path) -> None:
    from killick.engines.postgres import plain

    if plain.there(folder):
        plain.inspect(folder)
        return
    from killick.engines.postgres.whole import inspect

    inspect(folder)


def adopt(found: Path, folder: Path, wanted: str, watch: Watch) -> Adopted | None:
    from killick.engines.postgres.adopting import adopt as taken

    return taken(found, folder, wanted, watch)
