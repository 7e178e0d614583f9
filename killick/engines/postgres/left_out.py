"""What a database holds and no dump carries, by name: a warning from the backup on, and never a mismatch."""

from __future__ import annotations

from collections.abc import Iterator

from killick.engines.postgres import marks, names
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
_USUAL = "default administrative connection database"  # initdb's comment on the database postgres


def left_out(session: Session) -> dict[str, str]:
    """Why, by name. Rows of extensions are told by catalog.not_carried: they mostly are the same in a copy."""
    found = {f"INDEX {names.key(*index)}": "there and not valid" for index in session.rows(_INDEXES)}
    found |= {f"TABLE {names.key(*table)}": "without checks of its foreign keys" for table in session.rows(_UNCHECKED)}
    if state := [*(f"granted {grants}" for (grants,) in session.rows(_GRANTS)), *_itself(session)]:
        found["DATABASE"] = ", ".join(state)
    return found


def _itself(session: Session) -> Iterator[str]:
    """What belongs to the database. A copy is owned by who makes it, which mostly is our role, or the first superuser.

    A limit below -1 is not one: the server marks databases so that it could not drop.
    """
    rules = "daticurules" if session.major >= 16 else "NULL"
    owner, usual, comment, limit, icu = session.rows(
        "SELECT pg_catalog.pg_get_userbyid(datdba)::text, datdba = 10 OR pg_catalog.pg_get_userbyid(datdba)::text ="
        f" current_user::text, pg_catalog.shobj_description(oid, 'pg_database'), datconnlimit, {rules}::text"
        " FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
    )[0]
    if not usual:
        yield f"owned by {names.key(owner)}"
    if (own := marks.own(comment)) and own != _USUAL and marks.read(own) is None:
        yield f"commented {own!r}"
    if limit >= 0:
        yield f"limited to {limit} connections"
    if icu:
        yield f"of the ICU rules {icu!r}"


def notes(found: dict[str, str]) -> list[str]:
    return [f"not carried by a dump: {name} is {state}" for name, state in found.items()]
