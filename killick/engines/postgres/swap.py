"""What is beside takes the place of what is in use, and back: names change in one transaction, nothing is copied."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from killick.engines import Notes, Swapped
from killick.engines.postgres import belongings, marks, names
from killick.engines.postgres.address import Address
from killick.engines.postgres.alone import Step, alone
from killick.engines.postgres.beside import make, marked, not_ours, vacate
from killick.engines.postgres.drop import drop
from killick.engines.postgres.rights import refuse_powerless
from killick.engines.postgres.server import Database, empty, find, outside
from killick.engines.postgres.session import Session
from killick.errors import NotFound, Refused, SourceError


def swap(address: Address, origin: str, copy: bool, run: str) -> Swapped:
    """`run` is that of the mark that `make` gave, "" where it is not known.

    Raises NotFound, Refused when something else stands beside, AccessDenied, SourceError naming sessions.
    """
    with outside(address) as server:
        refuse_powerless(server, address.database)
        made = _made(server, address, origin, run)
        target = find(server, address.database)
        notes, steps = [], [f"GRANT CONNECT, TEMPORARY ON DATABASE {names.sql(made.name)} TO PUBLIC"]
        if target is not None:
            kept = belongings.of(server, address.database)
            notes = belongings.replay_settings(server, made.name, kept)
            steps = kept.statements(made.name)
        comment = marks.own(target.comment) if target is not None else None
        if copy:
            comment = marks.made("copy", address.database, origin=origin, before=comment).comment()
        notes += exchange(server, address, made, comment, steps)
        old = find(server, marks.beside(address.database, marks.OLD)) if target is not None else None
        if old is None or not empty(server, address.at(old.name)):
            return Swapped(old is not None, tuple(notes))
        return Swapped(False, (*notes, *dropped(server, address, old.name)))


def undo(address: Address) -> Notes:
    with outside(address) as server:
        refuse_powerless(server, address.database)
        old = find(server, marks.beside(address.database, marks.OLD))
        if old is None or not old.ours(address.database, "old") or old.mark is None:
            raise NotFound(
                f"nothing is kept beside {address.database} at {address} that could be brought back",
                "a restore or a reset keeps what it replaces; killick list shows the backups",
            )
        exchange(server, address, old, old.mark.before)
        since = old.mark.time
        return (f"{address.database} is again what was replaced at {since}; undo once more takes that back",)


def clear(address: Address, origin: str, copy: bool) -> None:
    """By a swap with an empty one: sessions that do not end leave all as it was."""
    mark = make(address, origin, 0)
    if swap(address, origin, copy, mark.run).kept:
        with outside(address) as server:
            old = find(server, marks.beside(address.database, marks.OLD))
            if old is not None and old.ours(address.database, "old"):
                drop(server, address, old)


def exchange(
    server: Session, address: Address, incoming: Database, comment: str | None, first: Sequence[str] = ()
) -> list[str]:
    """`incoming` is called as the address says, with that comment; what was, is kept beside, marked as old.

    What was kept before goes once the new one is in use. All that can be done before the database in use is locked is
    done before. `first` are statements about `incoming`, part of the same transaction.
    """
    old, gone = marks.beside(address.database, marks.OLD), marks.beside(address.database, marks.GONE)
    passing = marks.beside(address.database, f"__{secrets.token_hex(4)}")  # nobody ever sees it
    outgoing, before = find(server, address.database), find(server, old)
    steps = [*map(Step, first), Step(marked(incoming.name, comment)), renamed(incoming, passing)]
    replaces = before is not None and outgoing is not None and before.oid != incoming.oid
    if before is not None and replaces:
        if not before.ours(address.database, "old"):
            raise not_ours(address, before)
        vacate(server, address, marks.GONE)
        steps += [Step(marked(old, marks.made("gone", address.database).comment()), before.oid), renamed(before, gone)]
    if outgoing is not None:
        kept = marks.made("old", address.database, before=outgoing.comment)
        steps += [Step(marked(outgoing.name, kept.comment()), outgoing.oid), renamed(outgoing, old)]
    steps.append(Step(f"ALTER DATABASE {names.sql(passing)} RENAME TO {names.sql(address.database)}"))
    alone(server, address, steps, f"the database {address.database} at {address} could not be exchanged")
    return dropped(server, address, gone) if replaces else []


def dropped(server: Session, address: Address, name: str) -> list[str]:
    """What is in use is well: a database that will not go is a note, and the next run's."""
    found = find(server, name)
    try:
        return drop(server, address, found) if found is not None else []
    except SourceError as error:
        return [f"{error.message}: {error.hint}"]


def _made(server: Session, address: Address, origin: str, run: str) -> Database:
    found = find(server, marks.beside(address.database, marks.NEW))
    if found is None or not found.ours(address.database, "new") or found.mark is None:
        raise NotFound(
            f"nothing stands beside {address.database} at {address} that could take its place",
            "another run may have removed it: restore again",
        )
    if found.mark.origin != origin or run not in ("", found.mark.run):
        raise Refused(
            f"what stands beside {address.database} at {address} was made by another run",
            "let one restore end before another begins",
        )
    return found


def renamed(database: Database, name: str) -> Step:
    return Step(f"ALTER DATABASE {names.sql(database.name)} RENAME TO {names.sql(name)}", database.oid)
