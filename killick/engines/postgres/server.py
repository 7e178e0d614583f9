"""The server beside its databases: a session in none that is replaced, and what is known of each database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from killick.engines.postgres import address as addresses
from killick.engines.postgres import census, marks, names
from killick.engines.postgres.address import Address
from killick.engines.postgres.marks import Mark
from killick.engines.postgres.session import Session, session
from killick.errors import SourceError

# CREATE DATABASE cannot be part of a transaction, and takes no comment. What we make has this limit ("KILL") and lets
# nobody in, from the moment that it is there: so it is known to be ours before it can be marked.
_UNFINISHED = 0x4B494C4C
UNFINISHED = f" ALLOW_CONNECTIONS false CONNECTION LIMIT {_UNFINISHED}"


@dataclass(frozen=True)
class Database:
    """`open`: it lets sessions in. `limit` is of their number, -1 for none."""

    oid: int
    name: str
    comment: str | None
    open: bool
    limit: int

    @property
    def mark(self) -> Mark | None:
        return marks.read(self.comment)

    def ours(self, database: str, *words: str) -> bool:
        """Whether it stands beside `database` as one of `words`."""
        if self.limit == _UNFINISHED and not self.open:
            return "new" in words
        return self.mark is not None and self.mark.word in words and self.mark.database == database


@contextmanager
def outside(address: Address) -> Iterator[Session]:
    """A session in template1, or postgres. No courtesy or haste that is set for the role binds it."""
    connection = addresses.maintenance(address)
    try:
        opened = Session(connection)
        opened.pin("UTF8")
        opened.execute("SET default_transaction_read_only = off")
        yield opened
    finally:
        connection.close()


def find(server: Session, name: str) -> Database | None:
    found = server.rows(
        "SELECT oid::bigint, datname::text, pg_catalog.shobj_description(oid, 'pg_database'), datallowconn,"
        f" datconnlimit FROM pg_catalog.pg_database WHERE datname = {names.literal(name)}"
    )
    return Database(*found[0]) if found else None


def quiet(server: Session, address: Address) -> Address:
    """The same, where triggers on login do not act on us, as far as the role may say so (17 has them first)."""
    return address.saying("-c event_triggers=off") if server.major >= 17 and server.superuser else address


def empty(server: Session, address: Address) -> bool:
    """Whether the database at `address` holds nothing of a user's; False where nobody lets us look."""
    try:
        with session(quiet(server, address)) as inside:
            return census.empty(inside)
    except SourceError:
        return False
