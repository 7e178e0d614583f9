"""What the catalogs tell of a database: tables, sequences, and everything that a schema's text leaves out.

Every operand is cast to a built-in type, since users may define operators of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from killick.contents import Sequence
from killick.engines.postgres import names
from killick.engines.postgres.session import Session
from killick.errors import AccessDenied

USER_SCHEMA = "nspname::text !~ '^pg_' AND nspname::text <> 'information_schema'"
_EXTENSION_OF = """
    LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
        AND d.objsubid = 0 AND d.deptype::text = 'e'
        AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
    LEFT JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    LEFT JOIN LATERAL (
        SELECT coalesce(e.extcondition[i], '')::text AS condition
        FROM pg_catalog.generate_subscripts(e.extconfig, 1) i WHERE e.extconfig[i] = c.oid
    ) config ON true"""

_ANCESTORS = """
        ARRAY(
            WITH RECURSIVE above(oid, steps) AS (
                SELECT inhparent, 1 FROM pg_catalog.pg_inherits WHERE inhrelid = c.oid
                UNION SELECT i.inhparent, steps + 1 FROM pg_catalog.pg_inherits i JOIN above ON i.inhrelid = above.oid)
            SELECT ARRAY[an.nspname::text, a.relname::text] FROM above JOIN pg_catalog.pg_class a ON a.oid = above.oid
            JOIN pg_catalog.pg_namespace an ON an.oid = a.relnamespace ORDER BY above.steps, 1)"""

_TABLES = rf"""
    SELECT c.oid::bigint, n.nspname::text, c.relname::text, config.condition, c.relpersistence::text = 'u',
        pg_catalog.pg_table_size(c.oid)::bigint,
        ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
              AND NOT a.attisdropped AND a.attgenerated::text = '' ORDER BY a.attnum),
        ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
              AND NOT a.attisdropped AND a.attgenerated::text = 's' ORDER BY a.attname::text COLLATE "C"),
        pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT'),
        pg_catalog.row_security_active(c.oid), {_ANCESTORS}
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace {_EXTENSION_OF}
    WHERE c.relkind::text = 'r' AND c.relpersistence::text IN ('p', 'u') AND {USER_SCHEMA}
        AND (e.oid IS NULL OR config.condition IS NOT NULL)
    ORDER BY n.nspname::text COLLATE "C", c.relname::text COLLATE "C" """

_SEQUENCES = rf"""
    SELECT n.nspname::text, c.relname::text, s.seqincrement::bigint, s.seqcycle, o.refobjid::bigint, a.attname::text,
        pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid {_EXTENSION_OF}
    LEFT JOIN pg_catalog.pg_depend o ON o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND o.objid = c.oid
        AND o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND o.refobjsubid > 0
        AND o.deptype::text IN ('a', 'i')
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
        AND a.atttypid::pg_catalog.regtype::text IN ('smallint', 'integer', 'bigint')
    WHERE c.relpersistence::text IN ('p', 'u') AND {USER_SCHEMA}
        AND (e.oid IS NULL OR config.condition IS NOT NULL)
    ORDER BY n.nspname::text COLLATE "C", c.relname::text COLLATE "C" """

_NOT_CARRIED = rf"""
    SELECT n.nspname::text, c.relname::text, e.extname::text, coalesce(config.condition, '')
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace {_EXTENSION_OF}
    WHERE c.relkind::text = 'r' AND e.oid IS NOT NULL AND (config.condition IS NULL OR config.condition <> '')
        AND c.relpersistence::text <> 't'
        AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
    ORDER BY 1, 2"""


@dataclass(frozen=True)
class Relation:
    """A table whose rows a dump carries. `condition` is an extension's own WHERE clause for its table, if any.

    `columns` in the table's order, without generated ones; `generated` in the order of their names.
    `filtered`: row security would hide rows from our role. `ancestors` as in contents.Table.
    """

    oid: int
    schema: str
    name: str
    condition: str
    unlogged: bool
    bytes: int
    columns: tuple[str, ...]
    generated: tuple[str, ...]
    readable: bool
    filtered: bool
    ancestors: tuple[str, ...]

    @property
    def key(self) -> str:
        return names.key(self.schema, self.name)

    @property
    def sql(self) -> str:
        return names.sql(self.schema, self.name)

    def copy(self, columns: Iterable[str]) -> str:
        """The COPY that pg_dump itself would run."""
        listed = ", ".join(names.sql(column) for column in columns)
        if self.condition:
            return f"COPY (SELECT {listed} FROM {self.sql} {self.condition}) TO STDOUT"
        return f"COPY {self.sql} ({listed}) TO STDOUT" if listed else f"COPY {self.sql} TO STDOUT"


@dataclass(frozen=True)
class Numbers:
    """A sequence. `table` is the oid of the table whose integer column it feeds, or None."""

    schema: str
    name: str
    increment: int
    cycle: bool
    table: int | None
    column: str | None
    readable: bool

    @property
    def feeds(self) -> bool:
        return self.table is not None and self.column is not None and self.increment > 0

    @property
    def key(self) -> str:
        return names.key(self.schema, self.name)

    @property
    def sql(self) -> str:
        return names.sql(self.schema, self.name)


def relations(session: Session) -> list[Relation]:
    return [
        Relation(
            oid, schema, name, condition or "", unlogged, size, tuple(columns), tuple(made), may, hidden, _keys(above)
        )
        for oid, schema, name, condition, unlogged, size, columns, made, may, hidden, above in session.rows(_TABLES)
    ]


def _keys(tables: list[list[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names.key(*parts) for parts in tables))


def sequences(session: Session) -> list[Numbers]:
    return [Numbers(*row) for row in session.rows(_SEQUENCES)]


def sequence_values(session: Session, wanted: list[Numbers]) -> dict[str, Sequence]:
    """As they stand now: sequences know no snapshot. One that RESTART moves at that very moment is read where it lay,
    gives no row, and is not among them."""
    found: dict[str, Sequence] = {}
    for start in range(0, len(wanted), 200):
        part = wanted[start : start + 200]
        query = " UNION ALL ".join(f"SELECT {i}, last_value, is_called FROM {s.sql}" for i, s in enumerate(part))
        for i, value, called in session.rows(query):
            found[part[i].key] = Sequence(value, called, part[i].increment, part[i].cycle)
    return found


def not_carried(session: Session) -> dict[str, str]:
    """Rows of extensions that no dump holds: tables that are not configuration, standard rows of those that are."""
    found = {}
    for schema, name, extension, condition in session.rows(_NOT_CARRIED):
        inside = condition.strip().removeprefix("WHERE").removeprefix("where")
        rest = f"WHERE NOT coalesce(({inside}), false)" if inside else ""
        rows, total = session.rows(
            "SELECT count(*), sum(pg_catalog.hashtextextended(x::text, 0))"
            f" FROM ONLY {names.sql(schema, name)} x {rest}"
        )[0]
        found[f"{names.key(schema, name)} ({extension})"] = f"{rows} {total or 0}"
    return found


def extensions(session: Session) -> list[tuple[str, str, str]]:
    """Name, version, schema of each."""
    return session.rows(
        "SELECT e.extname::text, e.extversion::text, n.nspname::text FROM pg_catalog.pg_extension e"
        " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY 1"
    )


def database(session: Session) -> dict[str, str]:
    """Encoding, collation, character type, locale provider and its locale: what CREATE DATABASE needs."""
    locale = {15: "daticulocale", 16: "daticulocale"}.get(session.major, "datlocale" if session.major > 16 else "NULL")
    provider = "datlocprovider::text" if session.major >= 15 else "'c'"
    row = session.rows(
        f"SELECT pg_catalog.pg_encoding_to_char(encoding)::text, datcollate::text, datctype::text, {provider},"
        f" coalesce({locale}::text, '') FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
    )[0]
    return dict(zip(("encoding", "collate", "ctype", "provider", "locale"), row, strict=True))


def materialized_views(session: Session) -> dict[str, str]:
    return {
        names.key(schema, name): "populated" if populated else "empty"
        for schema, name, populated in session.rows(
            "SELECT n.nspname::text, c.relname::text, c.relispopulated FROM pg_catalog.pg_class c"
            " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind::text = 'm' ORDER BY 1, 2"
        )
    }


def placements(session: Session, column: str, catalog: str) -> dict[str, str]:
    """Tables and indexes that do not lie in the default tablespace, or not in the table access method heap."""
    return {
        names.key(schema, name): place
        for schema, name, place in session.rows(
            "SELECT n.nspname::text, c.relname::text, p.place FROM pg_catalog.pg_class c"
            " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
            f" JOIN (SELECT oid, {column}::text AS place FROM pg_catalog.{catalog}) p"
            f" ON p.oid = {'c.reltablespace' if catalog == 'pg_tablespace' else 'c.relam'}"
            f" WHERE {USER_SCHEMA} AND c.relpersistence::text <> 't'"
            + (" AND c.relkind::text IN ('r', 'm', 'p') AND p.place <> 'heap'" if catalog == "pg_am" else "")
        )
    }


def large_objects(session: Session) -> tuple[str, str]:
    """How many and a sum over contents and comments; a sum over owners and grants. "0 0" where there are none.

    Read in chunks of 16 MiB: pages differ after a restore where an object has holes.
    """
    row = session.rows("""
        SELECT count(*),
            coalesce(sum(pg_catalog.hashtextextended(concat_ws(':', oid, size, digest, comment), 0)), 0),
            coalesce(sum(pg_catalog.hashtextextended(concat_ws(':', oid, owner, grants), 0)), 0)
        FROM (
            SELECT m.oid::text, m.size::text, pg_catalog.pg_get_userbyid(m.lomowner)::text AS owner,
                coalesce(pg_catalog.obj_description(m.oid, 'pg_largeobject'), '') AS comment,
                (SELECT pg_catalog.string_agg(a::text, ',' ORDER BY a::text COLLATE "C")
                    FROM pg_catalog.unnest(coalesce(m.lomacl, pg_catalog.acldefault('L', m.lomowner))) a) AS grants,
                (SELECT pg_catalog.string_agg(pg_catalog.md5(pg_catalog.lo_get(m.oid, o, 16777216)), '' ORDER BY o)
                    FROM pg_catalog.generate_series(0, greatest(m.size - 1, 0), 16777216) o) AS digest
            FROM (SELECT oid, lomowner, lomacl, pg_catalog.lo_lseek64(pg_catalog.lo_open(oid, 262144), 0, 2) AS size
                  FROM pg_catalog.pg_largeobject_metadata OFFSET 0) m OFFSET 0
        ) each""")[0]
    return f"{row[0]} {row[1]}", f"{row[0]} {row[2]}"


def large_objects_readable(session: Session) -> bool:
    """lo_open looks at the grants; it is closed again at once."""
    session.execute("SAVEPOINT opening")
    try:
        session.rows(
            "SELECT count(pg_catalog.lo_close(pg_catalog.lo_open(oid, 262144))) FROM pg_catalog.pg_largeobject_metadata"
        )
    except AccessDenied:
        return False
    finally:
        session.execute("ROLLBACK TO SAVEPOINT opening")
    return True
