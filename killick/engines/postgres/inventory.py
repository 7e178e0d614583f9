"""What the server itself tells of a database: counts, sequences, and the groups of killick.contents.Contents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from killick.contents import Sequence
from killick.engines.postgres import catalog, census, left_out, names, roles, rows
from killick.engines.postgres.catalog import Numbers, Relation
from killick.engines.postgres.commands import Client
from killick.engines.postgres.rows import Measured
from killick.engines.postgres.session import DatabaseError, Session
from killick.errors import AccessDenied

Groups = dict[str, dict[str, str]]
# Rows are counted in the table itself: an index may be the broken part.
_NO_INDEX = "; ".join(f"SET LOCAL enable_{way} = off" for way in ("indexscan", "indexonlyscan", "bitmapscan"))
_UNDEFINED = ("42P01", "42704", "42883", "3F000")  # a table, a type, a function or a schema that there is not
_SCHEMAS = f"""
    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(nspname::text), ', ' ORDER BY nspname::text <> 'public')
    FROM pg_catalog.pg_namespace WHERE {catalog.USER_SCHEMA}"""
_SHOWN = 5  # tables that an error names


def taken(session: Session) -> tuple[Groups, Groups, list[str]]:
    """groups and loose, without what comes from the schema's text; and notes."""
    extensions = catalog.extensions(session)
    settings, role_settings, notes = roles.settings(session)
    objects, objects_owned = catalog.large_objects(session)
    lost = left_out.left_out(session)
    groups = {
        "census": census.count(session),
        "extensions": {name: where for name, _, where in extensions},
        "database": catalog.database(session),
        "settings": settings,
        "role settings": role_settings,
        "materialized views": catalog.materialized_views(session),
        "large objects": {"all": objects},
        "large object grants": {"all": objects_owned},
        "access methods": catalog.placements(session, "amname", "pg_am"),
        "required roles": roles.required(session),
    }
    loose = {
        "extension versions": {name: version for name, version, _ in extensions},
        "not carried": {**catalog.not_carried(session), **lost},
        "tablespaces": catalog.placements(session, "spcname", "pg_tablespace"),
    }
    return groups, loose, [*notes, *left_out.notes(lost)]


def versions(session: Session, client: Client) -> dict[str, str]:
    """Majors: of the server that the data is of, and of the client whose text the schema's fingerprint is."""
    return {"server": str(session.major), "client": str(client.major)}


def refuse_unreadable(session: Session, tables: list[Relation], numbers: list[Numbers]) -> None:
    """Before anything is dumped: all that the role may not read is named, with the cure."""
    role = names.sql(str(session.value("SELECT current_user::text")))
    denied = [t.key for t in tables if not t.readable] + [s.key for s in numbers if not s.readable]
    if denied:
        cure = f"GRANT pg_read_all_data TO {role}" if session.major >= 14 else f"GRANT SELECT ON {denied[0]} TO {role}"
        also = f", or GRANT SELECT ON {denied[0]} TO {role} and USAGE on its schema" if session.major >= 14 else ""
        raise AccessDenied(
            f"the role {role} may not read {_some(denied)}", f"as the owner or a superuser: {cure}{also}"
        )
    hidden = [t.key for t in tables if t.filtered]
    if hidden:
        raise AccessDenied(
            f"row security hides rows of {_some(hidden)} from the role {role}",
            f"as a superuser: ALTER ROLE {role} BYPASSRLS",
        )
    if not catalog.large_objects_readable(session):
        raise AccessDenied(
            f"the role {role} may not read every large object; pg_read_all_data does not cover them",
            f"as a superuser: ALTER ROLE {role} SET lo_compat_privileges = on, or GRANT SELECT ON LARGE OBJECT"
            f" … TO {role} for each",
        )


def measure(
    session: Session,
    tables: list[Relation],
    numbers: list[Numbers],
    server: bool,
    told: Callable[[int], None],
    every: bool = True,
) -> dict[str, Measured]:
    """Each table by the server, one after the other; `told` gets the bytes of those that are done.

    Without `every`, only those tables whose lines do not tell all: of sequences, generated columns, `server`.
    """
    tops: dict[int, dict[str, None]] = {}
    for sequence in numbers:
        if sequence.feeds:
            tops.setdefault(sequence.table or 0, {})[sequence.column or ""] = None
    found = {}
    done = 0
    session.execute(f"SAVEPOINT counting; {_NO_INDEX}; SAVEPOINT measuring")
    for i, table in enumerate(tables):
        if i % 100 == 99:
            session.execute("ROLLBACK TO SAVEPOINT measuring")  # gives the locks of indexes back
        if every or server or table.generated or table.oid in tops:
            columns = table.columns if server else ()
            found[table.key] = _measured(session, table, columns, tuple(tops.get(table.oid, ())))
        done += table.bytes
        told(done)
    session.execute("ROLLBACK TO SAVEPOINT counting; RELEASE SAVEPOINT counting")
    return found


def _measured(session: Session, table: Relation, columns: tuple[str, ...], tops: tuple[str, ...]) -> Measured:
    """Functions of the table's indexes are looked into by the planner, and some find their own only by search_path."""
    try:
        return rows.measure(session, table, columns, tops)
    except DatabaseError as error:
        if not error.code.startswith(_UNDEFINED):
            raise
        session.execute("ROLLBACK TO SAVEPOINT measuring")
        session.execute(f"SET LOCAL search_path = pg_catalog, {session.value(_SCHEMAS)}")
        found = rows.measure(session, table, columns, tops)
        session.execute("ROLLBACK TO SAVEPOINT measuring")
        return found


def covering(
    values: dict[str, Sequence], numbers: list[Numbers], tables: list[Relation], found: dict[str, Measured]
) -> dict[str, Sequence]:
    """Tells of each sequence that feeds a column whether it stands at or above the column's maximum."""
    keys = {table.oid: table.key for table in tables}
    told = {}
    for sequence in numbers:
        value = values[sequence.key]
        if sequence.feeds and keys.get(sequence.table or 0) in found:
            top = found[keys[sequence.table or 0]].top.get(sequence.column or "")
            value = replace(value, covers=top is None or value.value >= top)
        told[sequence.key] = value
    return told


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
