"""What `doctor` asks of a database: is it there, may all be read, are the client programs right."""

from __future__ import annotations

from killick.engines import Check
from killick.engines.postgres import catalog, commands, inventory
from killick.engines.postgres.address import Address
from killick.engines.postgres.session import Session, pinned
from killick.errors import KillickError


def checks(address: Address) -> list[Check]:
    """Never raises for what is wrong with the database: that is a check that failed."""
    name = f"Postgres {address}/{address.database}"
    try:
        with pinned(address) as session:
            return [
                Check(f"{name} answers, version {commands.version(session.version)}", True),
                _client(session),
                *_readable(session),
            ]
    except KillickError as error:
        return [Check(f"{name}: {error.message}", False, error.hint)]


def _client(session: Session) -> Check:
    try:
        client = commands.client_for(session.version)
    except KillickError as error:
        return Check(error.message, False, error.hint)
    if client.warnings:
        return Check(
            client.warnings[0], False, f"use an image with the clients of Postgres {session.major}, up to date"
        )
    return Check(f"pg_dump {client.version} goes with the server", True)


def _readable(session: Session) -> list[Check]:
    tables, numbers = catalog.relations(session), catalog.sequences(session)
    session.begin()
    try:
        inventory.refuse_unreadable(session, tables, numbers)
    except KillickError as error:
        return [Check(error.message, False, error.hint)]
    return [Check(f"{len(tables)} tables, {len(numbers)} sequences and the large objects can be read", True)]
