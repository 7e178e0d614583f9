"""What the target's catalog tells of the columns that are to be masked.

Indexes and constraints come after the rows. They are made on the empty tables first, in a transaction that is rolled
back: so that the server itself tells which columns are unique, and which refer to which.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from killick.engines.postgres import names
from killick.engines.postgres.catalog import USER_SCHEMA
from killick.engines.postgres.masking.values import Column
from killick.engines.postgres.session import DatabaseError, Session
from killick.errors import RestoreError, SourceError

_TABLES = f"""
    SELECT c.oid::bigint, n.nspname::text, c.relname::text,
        ARRAY(SELECT inhparent::bigint FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid ORDER BY inhseqno)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind::text IN ('r', 'p') AND {USER_SCHEMA}"""
_COLUMNS = """
    SELECT attrelid::bigint, attname::text, atttypid::bigint, atttypmod, attnotnull, attgenerated::text <> '',
        pg_catalog.format_type(atttypid, atttypmod)
    FROM pg_catalog.pg_attribute WHERE attrelid IN ({}) AND attnum > 0 AND NOT attisdropped"""
_TYPES = """
    SELECT t.oid::bigint, n.nspname::text, t.typname::text, t.typtype::text = 'd', t.typbasetype::bigint, t.typtypmod,
        t.typnotnull, CASE WHEN t.typcategory::text = 'A' THEN t.typelem::bigint ELSE 0 END
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype::text <> 'c'"""
# Columns of an index itself, and those that its expressions and its condition read.
_UNIQUE = """
    SELECT i.indrelid::bigint, a.attname::text,
        bool_or(i.indnkeyatts = 1 AND i.indkey[0] = a.attnum AND i.indpred IS NULL)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid
    WHERE i.indrelid IN ({}) AND (i.indisunique OR i.indisexclusion) AND a.attnum > 0
        AND (a.attnum = ANY (i.indkey) OR EXISTS (
            SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.objid = i.indexrelid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum))
    GROUP BY 1, 2"""
_REFERENCES = """
    SELECT r.conrelid::bigint, a.attname::text, r.confrelid::bigint, b.attname::text
    FROM pg_catalog.pg_constraint r CROSS JOIN LATERAL pg_catalog.generate_subscripts(r.conkey, 1) i
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.conrelid AND a.attnum = r.conkey[i]
    JOIN pg_catalog.pg_attribute b ON b.attrelid = r.confrelid AND b.attnum = r.confkey[i]
    WHERE r.contype::text = 'f' ORDER BY r.oid, i"""
_FAMILIES = {
    **dict.fromkeys(("text", "varchar"), "text"),
    **dict.fromkeys(("int2", "int4", "int8", "numeric"), "number"),
    **dict.fromkeys(("json", "jsonb"), "json"),
    **dict.fromkeys(("timestamp", "timestamptz"), "timestamp"),
    **{name: name for name in ("uuid", "bytea", "inet", "date")},
    "bpchar": "char",
}
_CONTROL = re.compile(r"^\\(un)?restrict \w+$", re.MULTILINE)
_HEADER = 4  # what a type modifier of text is more than its characters


@dataclass(frozen=True)
class Table:
    """`ancestors` are keys, the nearest first."""

    oid: int
    ancestors: tuple[str, ...]


@dataclass(frozen=True)
class Facts:
    """Of a column. `sql` is its type; `unique`: part of a unique index, or of an exclusion; `alone`: all of one."""

    column: Column
    sql: str
    not_null: bool
    generated: bool
    unique: bool
    alone: bool


@dataclass(frozen=True)
class Reference:
    """A column of a foreign key and what it refers to: a table's key and the column's name each."""

    own: tuple[str, str]
    other: tuple[str, str]


def tables(session: Session) -> dict[str, Table]:
    """By key."""
    rows = session.rows(_TABLES)
    keys = {oid: names.key(schema, name) for oid, schema, name, _ in rows}
    parents = {oid: above for oid, _, _, above in rows}
    found = {}
    for oid, key in keys.items():
        ancestors: dict[int, None] = {}
        todo = list(parents[oid])
        while todo:
            above = todo.pop(0)
            if above not in ancestors:
                ancestors[above] = None
                todo += parents.get(above, ())
        found[key] = Table(oid, tuple(keys[above] for above in ancestors if above in keys))
    return found


def constrain(session: Session, script: str) -> None:
    """Makes indexes and constraints, inside the transaction that is open. Raises RestoreError."""
    try:
        session.execute(_CONTROL.sub("", script) or "SELECT")
    except DatabaseError as error:
        raise RestoreError(
            f"an index or a constraint of the masked tables cannot be made: {error.message}",
            "a restore without MASK into a throwaway shows whether the dump itself is at fault",
        ) from None


def facts(session: Session, oids: Collection[int]) -> dict[tuple[int, str], Facts]:
    """By the table's oid and the column's name."""
    if not oids:
        return {}
    types = _Types(session)
    listed = ", ".join(map(str, oids))
    unique = {(oid, name): alone for oid, name, alone in session.rows(_UNIQUE.format(listed))}
    found = {}
    for oid, name, kind, modifier, not_null, generated, sql in session.rows(_COLUMNS.format(listed)):
        column, never_null = types.column(kind, modifier, sql)
        found[oid, name] = Facts(
            *(column, sql, not_null or never_null, generated),
            unique=(oid, name) in unique,
            alone=unique.get((oid, name), False),
        )
    return found


def references(session: Session, tables: Mapping[str, Table]) -> list[Reference]:
    keys = {table.oid: key for key, table in tables.items()}
    return [
        Reference((keys[own], column), (keys[other], referred))
        for own, column, other, referred in session.rows(_REFERENCES)
        if own in keys and other in keys
    ]


def refused(session: Session, type_sql: str, constant: str) -> str:
    """Why a column of that type does not take the constant, "" when it does: asked by writing it into one.

    A cast would not do: it cuts what is too long.
    """
    session.execute("SAVEPOINT constant")
    try:
        session.execute(f"CREATE TEMPORARY TABLE killick_constant (value {type_sql})")
        session.execute(f"INSERT INTO pg_temp.killick_constant VALUES ({names.literal(constant)})")
    except SourceError as error:
        return error.message
    finally:
        session.execute("ROLLBACK TO SAVEPOINT constant")
    return ""


class _Types:
    """Domains are what they are made of; arrays what their elements are."""

    def __init__(self, session: Session) -> None:
        self._by_oid = {row[0]: row[1:] for row in session.rows(_TYPES)}

    def column(self, oid: int, modifier: int, sql: str) -> tuple[Column, bool]:
        """And whether a domain forbids NULL."""
        oid, modifier, never_null = self._base(oid, modifier)
        element = self._by_oid[oid][-1] if oid in self._by_oid else 0
        if element:
            oid, modifier, _ = self._base(element, modifier)
        schema, name = self._by_oid[oid][:2] if oid in self._by_oid else ("", "")
        family = _FAMILIES.get(name, "") if schema == "pg_catalog" else "citext" if name == "citext" else ""
        limited = family in ("text", "char") and modifier > _HEADER
        return Column(sql, family, bool(element), modifier - _HEADER if limited else 0), never_null

    def _base(self, oid: int, modifier: int) -> tuple[int, int, bool]:
        never_null = False
        while oid in self._by_oid and self._by_oid[oid][2]:
            _, _, _, base, own, strict, _ = self._by_oid[oid]
            oid, modifier = base, own if own >= 0 else modifier
            never_null = never_null or strict
        return oid, modifier, never_null
