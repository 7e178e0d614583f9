"""A golden copy beside the database: kept by the server's own copying of files, and come back to by a swap."""

from __future__ import annotations

from killick.engines import Notes
from killick.engines.postgres import belongings, marks, names, room
from killick.engines.postgres.address import Address
from killick.engines.postgres.alone import Step, alone
from killick.engines.postgres.beside import marked, not_ours, vacate
from killick.engines.postgres.rights import refuse_powerless
from killick.engines.postgres.server import UNFINISHED, Database, find, outside
from killick.engines.postgres.session import Session
from killick.engines.postgres.swap import dropped, exchange, renamed
from killick.errors import DatabaseMissing, NotFound

_AS_LONG_AS_IT_TAKES = "0"


def snapshot(address: Address) -> Notes:
    """Nobody can enter it. The one that was kept before goes when the new one is whole.

    The database's sessions are ended, and new ones wait while it is copied. Raises DatabaseMissing, AccessDenied,
    Refused, NoSpace, SourceError naming sessions.
    """
    with outside(address) as server:
        refuse_powerless(server, address.database)
        target = find(server, address.database)
        if target is None:
            raise DatabaseMissing(f"Postgres at {address} has no database {address.database}", "check the URL")
        name, gone = (marks.beside(address.database, end) for end in (marks.SNAPSHOT, marks.GONE))
        before = find(server, name)
        if before is not None and not before.ours(address.database, "snapshot"):
            raise not_ours(address, before)
        vacate(server, address, marks.COMING, marks.GONE)
        coming = _copied(server, address, target, marks.COMING)
        kept = belongings.of(server, address.database)
        notes = belongings.replay_settings(server, coming.name, kept)
        mark = marks.made("snapshot", address.database, before=target.comment)
        steps = [Step(marked(coming.name, mark.comment())), *map(Step, kept.statements(coming.name))]
        if before is not None:
            steps += [Step(marked(name, marks.made("gone", address.database).comment())), renamed(before, gone)]
        steps.append(renamed(coming, name))
        alone(server, address, steps, f"the snapshot of {address.database} at {address} could not be kept")
        return (*notes, *(dropped(server, address, gone) if before is not None else ()))


def reset(address: Address) -> Notes:
    """Owner, grants and settings are those of then; the mark, or whatever comment there is, stays that of now.

    Raises NotFound, AccessDenied, Refused, NoSpace, SourceError naming sessions.
    """
    with outside(address) as server:
        refuse_powerless(server, address.database)
        golden = find(server, marks.beside(address.database, marks.SNAPSHOT))
        if golden is None or golden.mark is None or not golden.ours(address.database, "snapshot"):
            raise NotFound(f"no snapshot of {address.database} is kept at {address}", "killick snapshot keeps one")
        vacate(server, address, marks.NEW, marks.GONE)
        target = find(server, address.database)
        made = _copied(server, address, golden, marks.NEW)
        then = belongings.of(server, golden.name)
        notes = belongings.replay_settings(server, made.name, then)
        opened = f"ALTER DATABASE {names.sql(made.name)} ALLOW_CONNECTIONS true"
        comment = golden.mark.before if target is None else target.comment
        notes += exchange(server, address, made, comment, [*then.statements(made.name), opened])
        return (f"{address.database} is again as it was at {golden.mark.time}", *notes)


def _copied(server: Session, address: Address, template: Database, end: str) -> Database:
    """Files are copied, not logged: quicker, whatever the size. Closed to all, and unfinished until it is marked."""
    name = marks.beside(address.database, end)
    kept = belongings.of(server, template.name)
    needed = int(server.value(f"SELECT pg_catalog.pg_database_size({template.oid}::pg_catalog.oid)"))
    room.check(server, address, kept.tablespace, needed)
    strategy = " STRATEGY FILE_COPY" if server.major >= 15 else ""
    create = f"CREATE DATABASE {names.sql(name)} TEMPLATE {names.sql(template.name)}{strategy}{UNFINISHED}"
    what = f"the database {template.name} at {address} could not be copied"
    alone(server, address, [Step(create, template.oid)], what, _AS_LONG_AS_IT_TAKES)
    found = find(server, name)
    assert found is not None  # noqa: S101  # it was made just now
    return found
