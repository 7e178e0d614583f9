"""Statements that want a database for themselves, such as its renaming: its sessions are ended for them.

Each of them takes the server's lock on the database before it looks for sessions. From then on a new session waits at
its start, neither let in nor refused, until the transaction ends; so whoever comes back is not met half-way, and
nothing is left to be healed when we are killed: the lock and all that was done go with the connection. A session is
ended only when the lock is there: before that it would come back, and be ended twice.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from killick.engines.postgres.address import Address
from killick.engines.postgres.session import DatabaseError, Session, translated
from killick.errors import SourceError

_PATIENCE = 10.0  # seconds until we give up
_ATTEMPT = "2s"  # that others wait at the lock, at most; sessions that can end do so in milliseconds
_LOCKED_OUT = 1.0  # seconds: a session that holds the very lock is ended without it
_TICK = 0.002  # seconds, the first; each is longer than the one before, up to a pause
_PAUSE = 0.2  # seconds
_UNSEEN = "a lock on it that somebody holds (pg_locks), or a process of the server that stands still"
_DISTURBED = {"55006", "57014"}  # object in use, and our own statement_timeout

_MAY_END = (
    "(r.oid IS NOT NULL AND NOT r.rolsuper AND (pg_catalog.pg_has_role(r.oid, 'USAGE')"
    " OR pg_catalog.pg_has_role('pg_signal_backend', 'USAGE')))"
)
# Autovacuum's workers are nobody's: the statements end them by themselves.
_OTHERS = """
    FROM pg_catalog.pg_stat_activity a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid
    WHERE a.datid IN ({databases}) AND a.usesysid IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid()"""
# Asked of each session once more, so after the list of sessions was made: whoever is in it came in before the lock.
_LOCK = """(
    SELECT pg_catalog.count(*) FROM pg_catalog.pg_locks l WHERE l.pid <> a.pid AND {whose}
    AND l.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND l.objid = {database}) > 0"""
_OURS = "l.pid = {pid} AND l.granted AND l.mode IN ('AccessExclusiveLock', 'ShareLock')"
# Later anybody's that keeps new sessions out, or is waited for: a pooler tells other pids than the server's.
_ANY = """CASE WHEN l.granted THEN l.mode IN ('AccessExclusiveLock', 'ShareLock')
    ELSE l.mode <> 'RowExclusiveLock' END"""

# What we say is done outlives a crash; a server that waits for its standbys too goes on doing so.
_LASTING = """
    SELECT pg_catalog.set_config('synchronous_commit', 'local', false)
    WHERE pg_catalog.current_setting('synchronous_commit') = 'off'"""


@dataclass(frozen=True)
class Step:
    """A statement, and the oid of the database that it wants without sessions."""

    statement: str
    frees: int | None = None


@dataclass(frozen=True)
class Other:
    """Somebody else's session. What the server does not show to our role is ""."""

    pid: int
    user: str
    application: str
    host: str
    state: str
    may_end: bool

    def __str__(self) -> str:
        told = ", ".join(filter(None, [f"user {self.user}", self.application, self.host, self.state]))
        return f"pid {self.pid} ({told})"


def alone(server: Session, address: Address, steps: Sequence[Step], what: str, limit: str = _ATTEMPT) -> None:
    """Runs `steps`, several of them in one transaction, and ends the sessions that are in their way.

    `limit` is the server's statement_timeout. Raises SourceError naming the sessions that have not ended after ten
    seconds: then nothing has changed. No attempt is made while some are there that we cannot end, so that others are
    not kept waiting for nothing.
    """
    databases = [step.frees for step in steps if step.frees is not None]
    give_up = time.monotonic() + _PATIENCE
    stuck: set[int] = set()
    while True:
        in_the_way = _in_the_way(server, databases, stuck)
        if not in_the_way:
            try:
                return _attempt(server, address, steps, limit, stuck)
            except DatabaseError as error:
                if error.code not in _DISTURBED:
                    raise
            in_the_way = _in_the_way(server, databases, stuck)
        if time.monotonic() >= give_up:
            raise _given_up(what, in_the_way or [_UNSEEN])
        time.sleep(_PAUSE)


def _attempt(server: Session, address: Address, steps: Sequence[Step], limit: str, ended: set[int]) -> None:
    """`ended` gets the pids of the sessions that were told to end."""
    here = address.at(str(server.value("SELECT pg_catalog.current_database()")))
    with _sender(here) as send:
        # A server that hears nothing of us any more stops what it does, where it can tell (14).
        with suppress(DatabaseError):
            send("SET client_connection_check_interval = '500ms'")
        send("SET default_transaction_read_only = off")
        send(f"SET statement_timeout = '{limit}'")
        send(_LASTING)
        statements = [step.statement for step in steps]
        if len(steps) > 1:
            send("BEGIN")
            statements[-1] += "; COMMIT"  # one way less, while all others wait
        for statement, step in zip(statements, steps, strict=True):
            send(statement, None if step.frees is None else _ending(server, send.pid, step.frees, ended))


def _ending(server: Session, pid: int, database: int, ended: set[int]) -> Callable[[], None]:
    """Ends the sessions of `database`, once the session `pid` has the lock on it, or after a second one is waited for.

    Not when its attempt has just come to its end: who has waited at the lock is in by then, and stays.
    """
    began = time.monotonic()
    may_end = "true" if server.superuser else _MAY_END
    others = _OTHERS.format(databases=database) + f" AND a.pid <> {pid} AND {may_end}"

    def end() -> None:
        late = time.monotonic() - began > _LOCKED_OUT
        lock = _LOCK.format(database=database, whose=_ANY if late else _OURS.format(pid=pid))
        query = f"SELECT a.pid, pg_catalog.pg_terminate_backend(a.pid) {others} AND {lock}"
        ended.update(found for found, _ in server.rows(query))

    return end


def _in_the_way(server: Session, databases: Sequence[int], stuck: Collection[int]) -> list[str]:
    """What will not go by itself or by our telling. `stuck`: pids of sessions that were told in vain."""
    others = [other for other in _others(server, databases) if not other.may_end or other.pid in stuck]
    prepared = int(
        server.value(
            "SELECT count(*) FROM pg_catalog.pg_prepared_xacts p JOIN pg_catalog.pg_database d"
            f" ON d.datname = p.database WHERE d.oid IN ({_list(databases)})"
        )
    )
    return [
        *map(str, others[:5]),
        *([f"{len(others) - 5} more sessions"] if len(others) > 5 else []),
        *([f"{prepared} prepared transaction{'s' if prepared > 1 else ''}"] if prepared else []),
    ]


def _others(server: Session, databases: Sequence[int]) -> list[Other]:
    may_end = "true" if server.superuser else f"coalesce({_MAY_END}, false)"
    return [
        Other(*row)
        for row in server.rows(
            "SELECT a.pid, coalesce(a.usename::text, a.usesysid::text), coalesce(a.application_name, ''),"
            f" coalesce(pg_catalog.host(a.client_addr), ''), coalesce(a.state, ''), {may_end}"
            f" {_OTHERS.format(databases=_list(databases))} ORDER BY a.pid"
        )
    ]


def _list(databases: Sequence[int]) -> str:
    return ", ".join(map(str, databases))


def _given_up(what: str, in_the_way: Sequence[str]) -> SourceError:
    return SourceError(
        f"{what}: this did not end within {_PATIENCE:.0f} s: {'; '.join(in_the_way)}",
        "nothing was changed; end it (a superuser's pg_terminate_backend, ROLLBACK PREPARED), then run this again",
    )


class _Sender:
    """A connection whose statements are sent without waiting for them. Raises what Session raises."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self._wait(None)
        self.pid: int = connection.info.backend_pid

    def __call__(self, statement: str, meanwhile: Callable[[], None] | None = None) -> None:
        """Runs it to its end; `meanwhile` is called again and again until then."""
        with translated(), self.connection.cursor() as cursor:
            cursor.execute(statement)
            self._wait(meanwhile)

    def _wait(self, meanwhile: Callable[[], None] | None) -> None:
        from psycopg2.extensions import POLL_OK, POLL_READ

        tick = _TICK
        while (state := self.connection.poll()) != POLL_OK:
            reading, writing = ([self.connection], []) if state == POLL_READ else ([], [self.connection])
            ready = select.select(reading, writing, [], None if meanwhile is None else tick)
            if meanwhile is not None and not any(ready):
                meanwhile()
                tick = min(tick * 1.3, _PAUSE)


@contextmanager
def _sender(address: Address) -> Iterator[_Sender]:
    import psycopg2

    with translated():
        connection = psycopg2.connect(
            address.conninfo(), async_=True, **({"password": address.password} if address.password else {})
        )
    try:
        with translated():
            sender = _Sender(connection)
        yield sender
    finally:
        connection.close()
