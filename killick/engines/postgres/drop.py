"""A database that killick made, or that a swap kept, goes: with the subscriptions in it, which hold it fast."""

from __future__ import annotations

from killick.engines.postgres import names
from killick.engines.postgres.address import Address
from killick.engines.postgres.alone import Step, alone
from killick.engines.postgres.server import Database, quiet
from killick.engines.postgres.session import Session, session
from killick.errors import SourceError

_LIMIT = "60s"  # a server waits for all of its sessions to take note, also for one that stands still


def drop(server: Session, address: Address, database: Database) -> list[str]:
    """Its sessions are ended. Gives notes; raises SourceError when it cannot go.

    The caller knows that it is ours: nothing is asked here.
    """
    slots = server.rows(
        f"SELECT slot_name::text FROM pg_catalog.pg_replication_slots WHERE datoid = {database.oid} ORDER BY 1"
    )
    if slots:
        raise SourceError(
            f"the database {database.name} cannot be dropped: the replication slot {slots[0][0]} is of it",
            f"when nobody reads it any more: SELECT pg_drop_replication_slot({names.literal(slots[0][0])})",
        )
    notes = _unsubscribed(server, address, database)
    what = f"the database {database.name} at {address} could not be dropped"
    alone(server, address, [Step(f"DROP DATABASE {names.sql(database.name)}", database.oid)], what, _LIMIT)
    return notes


def _unsubscribed(server: Session, address: Address, database: Database) -> list[str]:
    """Each goes without its slot, which may be another's: that of the database that the copy was made of."""
    found = [
        name
        for (name,) in server.rows(
            f"SELECT subname::text FROM pg_catalog.pg_subscription WHERE subdbid = {database.oid} ORDER BY 1"
        )
    ]
    if not found:
        return []
    with session(quiet(server, address.at(database.name))) as inside:
        inside.execute(f"SET default_transaction_read_only = off; SET statement_timeout = '{_LIMIT}'")
        for (trigger,) in inside.rows("SELECT evtname::text FROM pg_catalog.pg_event_trigger"):
            inside.execute(f"ALTER EVENT TRIGGER {names.sql(trigger)} DISABLE")
        for name in map(names.sql, found):
            inside.execute(f"ALTER SUBSCRIPTION {name} DISABLE")
            inside.execute(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
            inside.execute(f"DROP SUBSCRIPTION {name}")
    return [
        f"the subscription {name} of {database.name} was dropped; its slot, if the publisher has one, was left there"
        for name in found
    ]
