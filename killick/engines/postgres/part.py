"""Single tables out of a dump: with what they need, and with what needs nothing but them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from killick import process
from killick.engines.postgres import listing, names
from killick.engines.postgres.commands import Client
from killick.engines.postgres.listing import Listing
from killick.errors import NotFound

_TABLES = ("TABLE", "FOREIGN TABLE")
_RELATIONS = (*_TABLES, "VIEW", "MATERIALIZED VIEW")
_WHOLE = ("FK CONSTRAINT", "VIEW", "MATERIALIZED VIEW", "MATERIALIZED VIEW DATA")
"""They look at all rows of a table: it must have been asked for, not only be there because another one needs it."""
_DETAILS = ("COMMENT", "ACL", "SECURITY LABEL", "SEQUENCE SET", "SEQUENCE OWNED BY")
"""They come with whatever they are of, be it a type or a schema."""
_NEVER = (*_TABLES, "TABLE DATA", "PUBLICATION TABLE", "SUBSCRIPTION TABLE")
"""Other partitions and children need their parent, too."""
_MISSED = ("FK CONSTRAINT", "VIEW", "MATERIALIZED VIEW", "POLICY", "RULE", "TRIGGER")
_ENCODING = re.compile(rb"^SET client_encoding = '(\w+)';$", re.M)


@dataclass(frozen=True)
class Part:
    """`listing` has the entries that go in. `bare` names tables without their rows, `left` what was left out."""

    listing: Listing
    bare: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        found = []
        if self.bare:
            found.append(f"made without their rows, since tables that were asked for need them: {_some(self.bare)}")
        if self.left:
            found.append(f"left out, since they need tables that were not asked for: {_some(self.left)}")
        return found


def of(whole: Listing, client: Client, folder: Path, only: Collection[str]) -> Part:
    """The part of a dump that the tables `only` (keys of Contents) make. Raises NotFound, CommandFailed."""
    return chosen(whole, asked(client, folder, only))


def asked(client: Client, folder: Path, only: Collection[str]) -> set[int]:
    """The entries of these tables and of their rows.

    pg_restore itself looks for them: in a listing the line of a table "a b" begins as that of one called "a" does.
    """
    encoding = "" if all(key.isascii() for key in only) else _encoding(client, folder)
    schemas: dict[str, dict[str, str]] = {}
    for key in only:
        schema, name = (_stored(part, encoding) for part in names.parts(key))
        schemas.setdefault(schema, {})[name] = key
    found: set[int] = set()
    lost = []
    for schema, tables in schemas.items():
        filters = (f"--schema={schema}", *(f"--table={name}" for name in tables))
        there = dict(listing.read(process.run(client.listing(folder, *filters)).stdout).of(*_TABLES, "TABLE DATA"))
        found |= there.keys()
        titles = [entry.title for entry in there.values()]
        lost += [
            key for name, key in tables.items() if not any(t.startswith(listing.line(schema, name)) for t in titles)
        ]
    if lost:
        raise NotFound(f"the backup has no table {', '.join(sorted(lost))}", "killick show lists its tables")
    return found


def chosen(whole: Listing, asked: Collection[int]) -> Part:
    """What goes into the database for the entries `asked`.

    What they need comes along, other tables without their rows. Of what needs them: all that needs no further table,
    such as indexes, triggers with their functions, policies, sequences with their values; foreign keys and views where
    every table that they look at was asked for, with all its partitions.
    """
    wanted = whole.around(asked)
    if any(entry.kind == "TABLE DATA" and not entry.needs for entry in map(whole.__getitem__, asked)):
        wanted |= {number for number, _ in whole.of("EXTENSION")}  # one of them makes that table: it is not told which
    around = cache(lambda number: whole.around((number,)))
    full = _full(whole, asked)

    def comes(number: int) -> bool:
        entry = whole[number]
        if entry.kind in _DETAILS:
            return bool(entry.needs) and wanted.issuperset(entry.needs)
        # A default may count by another table's sequence: a column without its default would be worse than that table.
        needs = entry.needs if entry.kind == "DEFAULT" else around(number) - {number}
        relations = [need for need in needs if whole[need].kind in _RELATIONS]
        return (
            bool(relations)
            and entry.kind not in _NEVER
            and wanted.issuperset(relations)
            and (entry.kind not in _WHOLE or all(full(r) for r in relations if whole[r].kind in _TABLES))
        )

    while along := [number for number in whole if number not in wanted and comes(number)]:
        for number in along:
            wanted |= around(number)
    bare = [entry.name for number, entry in whole.of("TABLE") if number in wanted and not full(number)]
    return Part(whole.only(wanted), tuple(bare), tuple(_left(whole, asked, wanted)))


def _full(whole: Listing, asked: Collection[int]) -> Callable[[int], bool]:
    """Whether all the rows of a table come, of one that has partitions those of all of them."""
    parts: dict[int, list[int]] = {}
    for _, entry in whole.of("TABLE ATTACH"):
        first, second = entry.needs
        child, parent = (first, second) if second in whole[first].needs else (second, first)
        parts.setdefault(parent, []).append(child)

    def full(number: int) -> bool:
        if number in parts:
            return all(full(part) for part in parts[number])
        return number in asked or whole[number].kind == "FOREIGN TABLE"

    return full


def _left(whole: Listing, asked: Collection[int], wanted: Collection[int]) -> Iterator[str]:
    """Foreign keys that other tables have are not told: nobody asked for those."""
    for number, entry in whole.of(*_MISSED):
        tables = [whole[need].name for need in entry.needs if need in asked]
        if number not in wanted and any(
            entry.kind != "FK CONSTRAINT" or entry.title.startswith(f"{t} ") for t in tables
        ):
            yield f"{entry.kind.lower()} {entry.name}"


def _encoding(client: Client, folder: Path) -> str:
    """Python's name of the encoding that the names in a dump have."""
    from psycopg2.extensions import encodings

    match = _ENCODING.search(process.run(client.text(folder, "--use-list=/dev/null")).stdout)
    name = match[1].decode() if match else "UTF8"
    return "latin-1" if name == "SQL_ASCII" else encodings[name]  # any bytes: as session.pin reads them


def _stored(name: str, encoding: str) -> str:
    """A name so that it reaches pg_restore as the bytes that stand in the dump."""
    return name.encode(encoding).decode("utf-8", "surrogateescape") if encoding else name


def _some(titles: Collection[str]) -> str:
    shown = list(titles)[:5]
    return ", ".join(shown) + (f" and {len(titles) - len(shown)} more" if len(titles) > len(shown) else "")
