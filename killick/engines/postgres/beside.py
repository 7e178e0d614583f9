"""The place beside a database in use: made empty and marked, and swept when a run that was killed left it."""

from __future__ import annotations

import secrets
from contextlib import suppress

from killick.engines import Notes
from killick.engines.postgres import belongings, marks, names, room
from killick.engines.postgres.address import Address
from killick.engines.postgres.catalog import USER_SCHEMA
from killick.engines.postgres.drop import drop
from killick.engines.postgres.marks import Mark
from killick.engines.postgres.rights import refuse_powerless
from killick.engines.postgres.server import UNFINISHED, Database, empty, find, outside, quiet
from killick.engines.postgres.session import Session, session
from killick.errors import Refused, SourceError

_ANALYZED = f"""
    SELECT c.oid::bigint FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind::text IN ('r', 'm', 'p') AND c.relpersistence::text <> 't' AND {USER_SCHEMA} ORDER BY c.oid"""


def make(address: Address, origin: str, needed: int) -> Mark:
    """An empty database out of template0 stands at `beside(…, NEW)`; only its owner and superusers may enter.

    What is interrupted here, or in a load, leaves it marked or empty. Gives its mark.
    Raises NoSpace, AccessDenied, Refused, SourceError.
    """
    with outside(address) as server:
        refuse_powerless(server, address.database)
        swept(server, address)
        vacate(server, address, marks.NEW, marks.GONE)
        old = find(server, marks.beside(address.database, marks.OLD))
        if old is not None and not old.ours(address.database, "old"):
            raise not_ours(address, old)
        there = find(server, address.database) is not None
        place = belongings.of(server, address.database).tablespace if there else ""
        in_place = f"; or --in-place: {address.database} is emptied first, and there is no way back"
        room.check(server, address, place, needed, in_place if there else "")
        name = marks.beside(address.database, marks.NEW)
        mark = marks.made("new", address.database, origin=origin, run=secrets.token_hex(8))
        database = names.sql(name)
        server.execute(f"CREATE DATABASE {database} TEMPLATE template0{belongings.placed(place)}{UNFINISHED}")
        server.execute(
            f"BEGIN; {marked(name, mark.comment())}; REVOKE ALL ON DATABASE {database} FROM PUBLIC;"
            f" ALTER DATABASE {database} ALLOW_CONNECTIONS true CONNECTION LIMIT -1; COMMIT"
        )
        return mark


def settle(address: Address) -> None:
    """Statistics for the planner: a restored database has none."""
    with outside(address) as server:
        here = quiet(server, address)
    with session(here) as inside:
        inside.execute("SET statement_timeout = 0")
        try:
            inside.execute("ANALYZE")
        except SourceError:  # of a foreign partition whose server is not reached, of an index whose function raises
            for (oid,) in inside.rows(_ANALYZED):
                with suppress(SourceError):
                    inside.execute(f"DO $$ BEGIN EXECUTE 'ANALYZE ' || {oid}::pg_catalog.regclass::text; END $$")
            inside.value("SELECT 1")  # a connection that was lost is no table's fault


def sweep(address: Address) -> Notes:
    with outside(address) as server:
        return swept(server, address)


def swept(server: Session, address: Address) -> Notes:
    """Removes what runs that were killed left beside; a sentence for each."""
    notes: list[str] = []
    for end in marks.SWEPT:
        found = find(server, marks.beside(address.database, end))
        if found is not None and found.ours(address.database, "new", "gone"):
            notes += [f"{found.name} was removed: a run that did not end had left it", *drop(server, address, found)]
    return tuple(notes)


def vacate(server: Session, address: Address, *ends: str) -> None:
    """Nothing bears these names any more. Raises Refused for what is not ours."""
    for end in ends:
        name = marks.beside(address.database, end)
        found = find(server, name)
        if found is None:
            continue
        if found.ours(address.database, "new", "gone"):
            drop(server, address, found)
        elif end == marks.NEW and empty(server, address.at(name)):
            server.execute(f"DROP DATABASE {names.sql(name)}")  # nobody is sent away for it: it has no mark
        else:
            raise not_ours(address, found)


def marked(name: str, comment: str | None) -> str:
    """The statement."""
    return f"COMMENT ON DATABASE {names.sql(name)} IS {'NULL' if comment is None else names.literal(comment)}"


def not_ours(address: Address, found: Database) -> Refused:
    return Refused(
        f"the database {found.name} at {address} does not bear killick's mark for {address.database}",
        f"it was left as it is; killick needs that name beside {address.database}: rename it, or drop it",
    )
