"""What a role has to be allowed to replace a database: asked before anything is made or anybody is sent away."""

from __future__ import annotations

from killick.engines.postgres import names
from killick.engines.postgres.session import Session
from killick.errors import AccessDenied

_ELSE = "or set RESTORE_URL to a role that may"


def refuse_powerless(server: Session, database: str) -> None:
    """`database` need not be there. Raises AccessDenied with the cure."""
    user, creates = server.rows(
        "SELECT current_user::text, rolsuper OR rolcreatedb FROM pg_catalog.pg_roles WHERE rolname = current_user"
    )[0]
    if not creates:
        raise AccessDenied(
            f"the role {names.key(user)} may make no database beside {database}",
            f"ALTER ROLE {names.sql(user)} CREATEDB, {_ELSE}",
        )
    # It has to act as the owner, and to give a database to it.
    become = "SET" if server.major >= 16 else "MEMBER"
    for owner, may in server.rows(
        "SELECT pg_catalog.pg_get_userbyid(datdba)::text, pg_catalog.pg_has_role(datdba, 'USAGE')"
        f" AND pg_catalog.pg_has_role(datdba, '{become}') FROM pg_catalog.pg_database"
        f" WHERE datname = {names.literal(database)}"
    ):
        if not may:
            raise AccessDenied(
                f"the role {names.key(user)} may not replace the database {database}, which is {names.key(owner)}'s",
                f"GRANT {names.sql(owner)} TO {names.sql(user)}, {_ELSE}",
            )
