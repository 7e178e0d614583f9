"""What a database holds and no dump carries, by name: a warning from the backup on, and never a mismatch."""

from __future__ import annotations

from killick.engines.postgres import names
from killick.engines.postgres.catalog import USER_SCHEMA
from killick.engines.postgres.session import Session

# pg_dump leaves out those that are not valid, but of partitioned tables, whose parts may make them so.
_INDEXES = f"""
    SELECT n.nspname::text, x.relname::text
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = x.relnamespace
    WHERE NOT i.indisvalid AND t.relkind::text IN ('r', 'm') AND t.relpersistence::text <> 't' AND {USER_SCHEMA}
    ORDER BY 1, 2"""
# ALTER TABLE … DISABLE TRIGGER ALL turns them off; pg_dump writes the state of users' triggers only.
_UNCHECKED = f"""
    SELECT DISTINCT n.nspname::text, t.relname::text FROM pg_catalog.pg_trigger g
    JOIN pg_catalog.pg_class t ON t.oid = g.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
    WHERE g.tgisinternal AND g.tgenabled::text = 'D' AND g.tgconstraint <> 0 AND {USER_SCHEMA} ORDER BY 1, 2"""
_GRANTS = """
    SELECT datacl::text FROM pg_catalog.pg_database, pg_catalog.acldefault('d', datdba) usual
    WHERE datname = pg_catalog.current_database()
        AND EXISTS (SELECT pg_catalog.unnest(datacl) EXCEPT SELECT pg_catalog.unnest(usual)
            UNION (SELECT pg_catalog.unnest(usual) EXCEPT SELECT pg_catalog.unnest(datacl)))
        AND datacl IS NOT NULL"""


def left_out(session: Session) -> dict[str, str]:
    """Why, by name. Rows of extensions are told by catalog.not_carried: they mostly are the same in a copy."""
    found = {f"INDEX {names.key(*index)}": "there and not valid" for index in session.rows(_INDEXES)}
    found |= {f"TABLE {names.key(*table)}": "without checks of its foreign keys" for table in session.rows(_UNCHECKED)}
    for (grants,) in session.rows(_GRANTS):
        found["DATABASE"] = f"granted {grants}"
    return found


def notes(found: dict[str, str]) -> list[str]:
    return [f"not carried by a dump: {name} is {state}" for name, state in found.items()]
