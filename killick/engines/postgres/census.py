"""An independent count, by kind, of the objects that a dump carries: beside the schema's text, which pg_dump wrote."""

from __future__ import annotations

from killick.engines.postgres.catalog import USER_SCHEMA
from killick.engines.postgres.session import Session

_SCHEMAS = f"(SELECT oid FROM pg_catalog.pg_namespace WHERE {USER_SCHEMA})"


def _own(catalog: str, oid: str = "x.oid") -> str:
    """Not an extension's."""
    return (
        f"NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.{catalog}'::pg_catalog.regclass"
        f" AND d.objid = {oid} AND d.deptype::text = 'e')"
    )


# Of a composite type it is the type that belongs to an extension, not its relation.
_TABLE = (
    f"{_own('pg_class')} AND (x.relkind::text <> 'c' OR {_own('pg_type', 'x.reltype')})"
    f" AND x.relpersistence::text <> 't' AND x.relnamespace IN {_SCHEMAS}"
)
_KINDS = {
    "'relation ' || x.relkind::text || x.relpersistence::text": (
        f"pg_class x WHERE x.relkind::text IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND {_TABLE}"
    ),
    "'index'": (
        "pg_index i JOIN pg_catalog.pg_class t ON t.oid = i.indrelid"
        " JOIN pg_catalog.pg_class x ON x.oid = i.indrelid"
        f" WHERE (i.indisvalid OR t.relkind::text = 'p') AND {_TABLE}"
    ),
    "'column'": (
        "pg_attribute a JOIN pg_catalog.pg_class x ON x.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped"
        f" AND x.relkind::text IN ('r', 'p', 'v', 'm', 'f', 'c') AND {_TABLE}"
    ),
    "'default'": f"pg_attrdef a JOIN pg_catalog.pg_class x ON x.oid = a.adrelid WHERE {_TABLE}",
    "'constraint ' || k.contype::text": (
        "pg_constraint k LEFT JOIN pg_catalog.pg_class x ON x.oid = k.conrelid"
        " WHERE k.contype::text IN ('c', 'f', 'p', 'u', 'x') AND"
        f" (x.oid IS NULL OR {_TABLE}) AND {_own('pg_constraint', 'k.oid')} AND k.connamespace IN {_SCHEMAS}"
        f" AND (k.contypid = 0 OR {_own('pg_type', 'k.contypid')})"
    ),
    "'trigger ' || g.tgenabled::text": (
        f"pg_trigger g JOIN pg_catalog.pg_class x ON x.oid = g.tgrelid WHERE NOT g.tgisinternal AND {_TABLE}"
    ),
    "'rule'": (
        "pg_rewrite g JOIN pg_catalog.pg_class x ON x.oid = g.ev_class"
        f" WHERE g.rulename::text <> '_RETURN' AND {_TABLE}"
    ),
    "'policy'": f"pg_policy p JOIN pg_catalog.pg_class x ON x.oid = p.polrelid WHERE {_TABLE}",
    "'row security'": f"pg_class x WHERE x.relrowsecurity AND {_TABLE}",
    "'routine ' || x.prokind::text": f"pg_proc x WHERE {_own('pg_proc')} AND x.pronamespace IN {_SCHEMAS}",
    "'type ' || x.typtype::text": (
        f"pg_type x WHERE x.typtype::text IN ('e', 'd', 'r') AND {_own('pg_type')} AND x.typnamespace IN {_SCHEMAS}"
    ),
    "'enum label'": (
        "pg_enum l JOIN pg_catalog.pg_type x ON x.oid = l.enumtypid"
        f" WHERE {_own('pg_type')} AND x.typnamespace IN {_SCHEMAS}"
    ),
    "'child'": (
        "pg_inherits i JOIN pg_catalog.pg_class x ON x.oid = i.inhrelid"
        f" WHERE x.relkind::text IN ('r', 'p', 'f') AND {_TABLE}"
    ),
    "'event trigger'": f"pg_event_trigger x WHERE {_own('pg_event_trigger')}",
    "'publication'": "pg_publication",
    "'extension'": "pg_extension",
    "'schema'": f"pg_namespace x WHERE {USER_SCHEMA} AND {_own('pg_namespace')}",
}
_EMPTY = (
    f"pg_class x WHERE x.relkind::text IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND {_TABLE}",
    f"pg_proc x WHERE {_own('pg_proc')} AND x.pronamespace IN {_SCHEMAS}",
    f"pg_type x WHERE {_own('pg_type')} AND x.typnamespace IN {_SCHEMAS} AND x.typtype::text IN ('e', 'd', 'r')",
    f"pg_namespace x WHERE {USER_SCHEMA} AND x.nspname::text <> 'public' AND {_own('pg_namespace')}"
    " AND x.oid NOT IN (SELECT extnamespace FROM pg_catalog.pg_extension)"
    # Made by the extension, and not its member: the image postgis/postgis is born with it.
    " AND (x.nspname::text <> 'tiger_data' OR NOT EXISTS"
    " (SELECT FROM pg_catalog.pg_extension WHERE extname::text = 'postgis_tiger_geocoder'))",
    "pg_largeobject_metadata",
)


def count(session: Session) -> dict[str, str]:
    query = " UNION ALL ".join(
        f"SELECT {kind}, count(*) FROM pg_catalog.{source} GROUP BY 1" for kind, source in _KINDS.items()
    )
    return {kind: str(number) for kind, number in sorted(session.rows(query))}


def empty(session: Session) -> bool:
    """Whether there is no object of a user's: an extension's, such as PostGIS's tables, do not count."""
    query = " OR ".join(f"EXISTS (SELECT FROM pg_catalog.{source})" for source in _EMPTY)
    return not session.value(f"SELECT {query}")
