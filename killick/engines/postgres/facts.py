"""What is known of a database before it is dumped."""

from __future__ import annotations

from killick.engines import Facts
from killick.engines.postgres import catalog, census, commands
from killick.engines.postgres.address import Address
from killick.engines.postgres.session import Session, pinned
from killick.errors import SourceError

MARK = "killick: copy"
"""How the comment on a database begins that killick made as a copy, and so may replace and sweep."""

_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin", "d": "default"}
_FLAVOURS = ("timescaledb", "citus", "postgis", "vector")  # extensions that ask for an image of their own
# pg_table_size would wait for a table that is locked exclusively, as a stuck target may be: the pages last known do.
_LARGEST = """
    SELECT coalesce(max(CASE WHEN c.oid IN (
            SELECT relation FROM pg_catalog.pg_locks WHERE mode::text = 'AccessExclusiveLock' AND relation IS NOT NULL)
        THEN c.relpages::bigint * pg_catalog.current_setting('block_size')::bigint
        ELSE pg_catalog.pg_table_size(c.oid) END), 0)::bigint
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind::text IN ('r', 'm') AND n.nspname::text !~ '^pg_' AND n.nspname::text <> 'information_schema'"""


def facts(address: Address) -> Facts:
    """Raises Unreachable, AccessDenied, DatabaseMissing, Unsupported."""
    with pinned(address) as session:
        client = commands.client_for(session.version)
        extensions = catalog.extensions(session)
        flavour = next((f for f in _FLAVOURS if f in {name for name, _, _ in extensions}), "postgres")
        place = catalog.database(session)
        place["provider"] = _PROVIDERS.get(place["provider"], place["provider"])
        warnings = list(client.warnings)
        replica = bool(session.value("SELECT pg_catalog.pg_is_in_recovery()"))
        if replica:
            warnings.append("the server is a replica: rows of unlogged tables are not in its dumps")
        return Facts(
            engine="postgres",
            server_version=commands.version(session.version),
            client_version=client.version,
            database=address.database,
            identity=identity(session),
            bytes=int(session.value("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())")),
            largest=int(session.value(_LARGEST)),
            empty=census.empty(session),
            copy=comment(session).startswith(MARK),
            sessions=_sessions(session),
            details={
                **{name: value for name, value in place.items() if value},
                "extensions": ", ".join(f"{name} {version}" for name, version, _ in extensions),
                "flavour": flavour,
                **({"replica": "yes"} if replica else {}),
            },
            warnings=tuple(warnings),
        )


def identity(session: Session) -> str:
    """The cluster's, which its replicas share; "" where a provider keeps it from us."""
    try:
        return str(session.value("SELECT system_identifier::text FROM pg_catalog.pg_control_system()"))
    except SourceError:
        return ""


def _sessions(session: Session) -> int:
    """Workers of the server do not count; their kind is hidden from a weak role."""
    try:
        return int(
            session.value(
                "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database() AND"
                " usesysid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'"
                " AND pid <> pg_catalog.pg_backend_pid()"
            )
        )
    except SourceError:
        return 0


def comment(session: Session) -> str:
    return str(
        session.value(
            "SELECT coalesce(pg_catalog.shobj_description(oid, 'pg_database'), '') FROM pg_catalog.pg_database"
            " WHERE datname = pg_catalog.current_database()"
        )
    )
