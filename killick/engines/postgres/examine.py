"""Damage in what a copy's server stores: amcheck, asked of every table and every btree index.

Its functions are called by ourselves and not by pg_amcheck: that one takes every error for damage, an operator's own
or a lack of memory too, and here the SQLSTATE tells them apart; nor does a container's image have to be like ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from killick.engines import Damage, Examined
from killick.engines.postgres import names, target
from killick.engines.postgres.address import Address
from killick.engines.postgres.catalog import USER_SCHEMA
from killick.engines.postgres.session import DatabaseError, Session, pinned
from killick.watch import Watch

_HEAP = 14  # the major that brought verify_heapam
_UNIQUE = (1, 4)  # the version of the extension that brought checkunique: Postgres 17
_DAMAGED = "XX"  # XX001 data_corrupted, XX002 index_corrupted, XX000 "cannot happen"

_PARTS = f"""
    SELECT c.oid::bigint, c.relkind::text = 'i', n.nspname::text, c.relname::text,
        pg_catalog.pg_table_size(c.oid)::bigint
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_am a ON a.oid = c.relam LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
    WHERE c.relpersistence::text IN ('p', 'u') AND {USER_SCHEMA}
        AND (c.relkind::text IN ('r', 'm') AND a.amname::text = 'heap'
             OR c.relkind::text = 'i' AND a.amname::text = 'btree' AND i.indisvalid AND i.indisready)
    ORDER BY c.relkind::text DESC, n.nspname::text COLLATE "C", c.relname::text COLLATE "C"
"""


@dataclass(frozen=True)
class _Part:
    oid: int
    index: bool
    name: str
    bytes: int


def examine(address: Address, watch: Watch) -> Examined:
    with pinned(target.writing(address)) as server:
        if not server.rows("SELECT 1 FROM pg_catalog.pg_available_extensions WHERE name::text = 'amcheck'"):
            return _without("amcheck is not in the throwaway's server")
        try:
            # a dump's event triggers have no say in this
            server.execute(
                "SET session_replication_role = replica;"
                " CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA pg_catalog;"
                " SET session_replication_role = origin"
            )
        except DatabaseError as error:
            return _without(f"amcheck cannot be installed in the copy (SQLSTATE {error.code})")
        return _examined(server, watch)


def _without(why: str) -> Examined:
    return Examined("", notes=(f"{why}: its tables and indexes were not looked through for damage",))


def _examined(server: Session, watch: Watch) -> Examined:
    ((schema, version),) = server.rows(
        "SELECT n.nspname::text, e.extversion::text FROM pg_catalog.pg_extension e"
        " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname::text = 'amcheck'"
    )
    functions = names.sql(schema)
    unique = tuple(int(part) for part in version.split(".")) >= _UNIQUE
    parts = [_Part(oid, index, names.key(schema, name), size) for oid, index, schema, name, size in server.rows(_PARTS)]
    if server.major < _HEAP:
        parts = [part for part in parts if part.index]
    server.execute("SET default_transaction_read_only = on")
    damages: list[Damage] = []
    notes: list[str] = []
    missed: list[_Part] = []
    done, total = 0, sum(part.bytes for part in parts)
    for part in parts:
        try:
            query = _btree(functions, part, unique) if part.index else _heap(functions, part)
            damages += (Damage(part.name, said) for said in _told(server, query))
        except DatabaseError as error:
            if error.code.startswith(_DAMAGED):
                damages.append(Damage(part.name, error.message.removeprefix("Postgres: ")))
            else:
                notes.append(f"{part.name} was not looked through: amcheck ends with SQLSTATE {error.code}")
                missed.append(part)
        done += part.bytes
        watch(done, total)
    indexes = [part.index for part in parts if part not in missed]
    return Examined(_counted(len(indexes) - sum(indexes), sum(indexes)), tuple(damages), tuple(notes))


def _counted(tables: int, indexes: int) -> str:
    return f"{tables} table{'' if tables == 1 else 's'} and {indexes} index{'' if indexes == 1 else 'es'}"


def _btree(functions: str, part: _Part, unique: bool) -> str:
    """It raises at the first damage, and gives nothing. Whether each row has its entry takes a scan of the table."""
    checkunique = ", checkunique => true" if unique else ""
    return (
        f"SELECT NULL FROM {functions}.bt_index_check(index => {part.oid}::pg_catalog.oid::pg_catalog.regclass,"
        f" heapallindexed => true{checkunique})"
    )


def _heap(functions: str, part: _Part) -> str:
    """Of a table one damage is enough."""
    return (
        f"SELECT pg_catalog.format('block %s: %s', blkno, msg) FROM {functions}.verify_heapam("
        f"relation => {part.oid}::pg_catalog.oid::pg_catalog.regclass, on_error_stop => true, check_toast => true)"
        " LIMIT 1"
    )


def _told(server: Session, query: str) -> Iterator[str]:
    return (str(said) for (said,) in server.rows(query) if said is not None)
