"""A connection whose settings are pinned, so that the same data gives the same text on every server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from killick.engines.postgres import address as addresses
from killick.engines.postgres.address import Address
from killick.errors import AccessDenied, SourceError, Unreachable, Unsupported
from killick.stream import CHUNK

OLDEST = 12  # its catalogs know generated columns
LOCK_WAIT = "30s"

# What changes how a value is written, whether a row is seen, and how long we wait. pg_dump sets the first eight
# the same way, so that COPY of a copy gives the bytes that the dump holds.
PINNED = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "extra_float_digits": "3",
    "timezone": "UTC",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "xmloption": "content",
    "row_security": "off",
    "lc_monetary": "C",  # not for COPY: pg_dump leaves it alone
    "quote_all_identifiers": "off",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "lock_timeout": LOCK_WAIT,
    "max_parallel_workers_per_gather": "0",
    "synchronize_seqscans": "off",
    "jit": "off",
}


class Session:
    """Queries, whose errors are ours. `version` is the server's server_version_num, `encoding` the database's."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.version: int = connection.server_version
        if self.version // 10000 < OLDEST:
            raise Unsupported(
                f"the server is Postgres {self.major}", f"killick reads Postgres {OLDEST} and newer: upgrade the server"
            )
        self.encoding = str(connection.get_parameter_status("server_encoding"))

    @property
    def major(self) -> int:
        return self.version // 10000

    @property
    def superuser(self) -> bool:
        return bool(self.connection.get_parameter_status("is_superuser") == "on")

    def rows(self, query: str | bytes) -> list[tuple[Any, ...]]:
        with translated(), _interruptible(), self.connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def value(self, query: str | bytes) -> Any:
        return self.rows(query)[0][0]

    def execute(self, statement: str | bytes) -> str:
        """Gives what the server says that it did last: SET, DECLARE CURSOR."""
        with translated(), _interruptible(), self.connection.cursor() as cursor:
            cursor.execute(statement)
            return str(cursor.statusmessage)

    def copy_out(self, statement: str, sink: Any) -> None:
        with translated(), self.connection.cursor() as cursor:
            cursor.copy_expert(statement, sink)

    def copy_in(self, statement: bytes, source: Any) -> int:
        """The rows that the server took. `source` is read, in pieces; an error that it raises comes out as ours."""
        with translated(), self.connection.cursor() as cursor:
            cursor.copy_expert(statement, source, CHUNK)
            return int(cursor.rowcount)

    def pin(self, encoding: str = "") -> None:
        """`encoding` is what COPY writes; the database's own unless another is named, as pg_dump does it."""
        self.execute("SET statement_timeout = 0")  # what the database or the role sets may be too little for the next
        there = {row[0] for row in self.rows("SELECT lower(name::text) FROM pg_catalog.pg_settings")}
        pins = [f"SET {name} = '{value}'" for name, value in PINNED.items() if name in there]
        self.execute("; ".join(["SET search_path = pg_catalog", *pins]))
        # Any bytes may stand in an SQL_ASCII database, in names too. LATIN1 lets each pass, there and back.
        wanted = encoding or self.encoding
        self.connection.set_client_encoding("LATIN1" if wanted == "SQL_ASCII" else wanted)

    def begin(self, snapshot: str = "") -> None:
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if snapshot:
            self.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")


@contextmanager
def session(address: Address) -> Iterator[Session]:
    """A plain connection in autocommit, with the server's settings. Raises what address.connect raises."""
    connection = addresses.connect(address)
    try:
        yield Session(connection)
    finally:
        connection.close()


@contextmanager
def pinned(address: Address, encoding: str = "") -> Iterator[Session]:
    """The same with pinned settings; no transaction is open yet."""
    with session(address) as opened:
        opened.pin(encoding)
        yield opened


@contextmanager
def _interruptible() -> Iterator[None]:
    """A signal ends the wait for an answer: inside libpq it would be heard only when the answer is there.

    Only the main thread hears signals, so only it sets the hook. That is psycopg2's, for all of the process: no other
    thread may speak to Postgres while the main one does. It is taken away again because COPY cannot go with it.
    """
    from psycopg2.extensions import set_wait_callback
    from psycopg2.extras import wait_select

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    set_wait_callback(wait_select)
    try:
        yield
    finally:
        set_wait_callback(None)


@contextmanager
def translated() -> Iterator[None]:
    import psycopg2

    try:
        yield
    except psycopg2.Error as error:
        raise _translate(error) from None


def _translate(error: Any) -> SourceError:
    """Only the first line of the server's message: details and context may hold a row's content."""
    code = error.pgcode or ""
    said = (getattr(error.diag, "message_primary", None) or " ".join(str(error).split()) or "no reason told").strip()
    if code == "42501":
        return AccessDenied(f"Postgres: {said}", "killick doctor lists what the role may not read, and the GRANT")
    if code == "53200" and "shared memory" in said:
        return SourceError(
            f"Postgres: {said}: it has room for too few locks for so many tables",
            "raise max_locks_per_transaction on the server (a restart), to 256 or more",
        )
    if code == "55P03":
        return SourceError(
            f"Postgres: a table stayed locked for {LOCK_WAIT} by another session, a migration perhaps",
            "let it finish, then run the backup again",
        )
    if not code or code.startswith(("08", "57P")):
        return Unreachable(f"the connection to Postgres was lost: {said}", "look into the server's log")
    return DatabaseError(f"Postgres: {said}", code)


class DatabaseError(SourceError):
    """An SQL statement failed; `code` is its SQLSTATE."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message, f"SQLSTATE {code}; the server's log has the statement")
        self.code = code

    @property
    def kind(self) -> str:
        return "source-error"
