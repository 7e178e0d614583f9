"""What belongs to a database and not to what is in it: owner, grants on it, settings, limit, tablespace."""

from __future__ import annotations

from dataclasses import dataclass

from killick.engines.postgres import names
from killick.engines.postgres.roles import replay
from killick.engines.postgres.session import Session
from killick.errors import SourceError


@dataclass(frozen=True)
class Belongings:
    """`settings` are keys and values as roles.replay takes them. `grants`: to whom, what, and whether it may be passed
    on; None where nobody ever changed them. `tablespace` is "" for the server's own, or where the role may not use it.
    """

    owner: str
    limit: int
    tablespace: str
    settings: tuple[tuple[str, str], ...]
    grants: tuple[tuple[str, str, bool], ...] | None

    def statements(self, database: str) -> list[str]:
        """Give `database` this owner, limit and grants; all can be part of one transaction."""
        name, owner = names.sql(database), names.sql(self.owner)
        return [
            f"ALTER DATABASE {name} OWNER TO {owner}",
            f"ALTER DATABASE {name} CONNECTION LIMIT {self.limit}",
            f"REVOKE ALL ON DATABASE {name} FROM PUBLIC, {owner}",
            *(
                f"GRANT {privilege} ON DATABASE {name} TO {role}{' WITH GRANT OPTION' if further else ''}"
                for role, privilege, further in self._granted()
            ),
        ]

    def _granted(self) -> tuple[tuple[str, str, bool], ...]:
        if self.grants is not None:
            return self.grants
        return (("PUBLIC", "CONNECT, TEMPORARY", False), (names.sql(self.owner), "ALL", False))


def of(server: Session, database: str) -> Belongings:
    wanted = names.literal(database)
    owner, limit, tablespace, changed = server.rows(
        "SELECT pg_catalog.pg_get_userbyid(datdba)::text, greatest(datconnlimit, -1), CASE WHEN"
        " t.spcname::text <> 'pg_default' AND pg_catalog.has_tablespace_privilege(t.oid, 'CREATE')"
        " THEN t.spcname::text ELSE '' END, datacl IS NOT NULL FROM pg_catalog.pg_database d"
        f" JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace WHERE datname = {wanted}"
    )[0]
    grants = server.rows(
        "SELECT coalesce(r.rolname::text, ''), a.privilege_type::text, pg_catalog.bool_or(a.is_grantable)"
        " FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a"
        f" LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee WHERE d.datname = {wanted}"
        " AND (r.oid IS NOT NULL OR a.grantee = 0) GROUP BY 1, 2 ORDER BY 1, 2"
    )
    settings = server.rows(
        "SELECT coalesce(r.rolname::text, ''), pg_catalog.unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s"
        " JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole"
        f" WHERE d.datname = {wanted}"
    )
    return Belongings(
        owner,
        limit,
        tablespace,
        tuple(
            (f"{names.key(role)} {name}" if role else name, value)
            for role, (name, _, value) in ((role, setting.partition("=")) for role, setting in settings)
        ),
        tuple((names.sql(role) if role else "PUBLIC", privilege, further) for role, privilege, further in grants)
        if changed
        else None,
    )


def replay_settings(server: Session, database: str, belongings: Belongings) -> list[str]:
    """Gives `database` the settings, which win over its own; notes of those that the role may not make."""
    notes = []
    for key, value in belongings.settings:
        try:
            server.execute(replay(database, key, value))
        except SourceError as error:
            notes.append(f"the setting {key} could not be kept: {error.message}")
    return notes


def placed(tablespace: str) -> str:
    """What CREATE DATABASE is told of it."""
    return f" TABLESPACE {names.sql(tablespace)}" if tablespace else ""
