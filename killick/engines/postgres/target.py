"""The database that a dump goes into: made, or made anew out of template0, and never taken from anybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from killick.contents import Contents
from killick.engines.postgres import address as addresses
from killick.engines.postgres import catalog, census, names
from killick.engines.postgres.address import Address
from killick.engines.postgres.session import DatabaseError, Session, session
from killick.errors import AccessDenied, DatabaseMissing, Refused, RestoreError

_KEPT = """
    SELECT pg_catalog.pg_get_userbyid(datdba)::text, datconnlimit, pg_catalog.shobj_description(oid, 'pg_database'),
        ARRAY(SELECT x::text FROM pg_catalog.unnest(datacl) x)
    FROM pg_catalog.pg_database WHERE datname = {}"""


def prepare(address: Address, contents: Contents) -> list[str]:
    """An empty database stands at `address` afterwards. Gives notes.

    Raises Refused when one is there that is not empty, AccessDenied when we may not make one.
    """
    try:
        with session(address) as found:
            if not census.empty(found):
                raise Refused(
                    f"the database {address.database} at {address} is not empty",
                    "restore into another name, or let killick restore put the copy beside it and swap",
                )
            if _as_wanted(found, contents):
                return []
    except DatabaseMissing:
        with _server(address) as server:
            return _create(server, address.database, contents)
    try:
        with _server(address) as server:
            return _anew(server, address.database, contents)
    except (AccessDenied, DatabaseError) as error:
        return [f"the empty database {address.database} was used as it is: {error.message}"]


def require(address: Address, contents: Contents) -> None:
    """Raises RestoreError when the server lacks an extension of the dump, before anything is made."""
    with _reached(address) as found:
        there = {row[0] for row in found.rows("SELECT name::text FROM pg_catalog.pg_available_extensions")}
        missing = sorted(contents.groups.get("extensions", {}).keys() - there)
        if missing:
            raise RestoreError(
                f"the server at {address} lacks the extension {', '.join(missing)}, which the dump needs",
                f"use a server that has it: an image such as postgis/postgis:{found.major} for PostGIS",
                "missing-extension",
            )


def version(address: Address) -> int:
    """server_version_num of the server, whether the database is there or not."""
    with _reached(address) as found:
        return found.version


def writing(address: Address) -> Address:
    """The same, where default_transaction_read_only does not bind us: a courtesy of the database or the role."""
    with _reached(address) as found:
        courteous = found.value("SHOW default_transaction_read_only") == "on"
    return address.saying("-c default_transaction_read_only=off") if courteous else address


@contextmanager
def _reached(address: Address) -> Iterator[Session]:
    """A session in the database, or beside it where it is not there yet."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(session(address))
        except DatabaseMissing:
            found = stack.enter_context(_server(address))
        yield found


def _as_wanted(found: Session, contents: Contents) -> bool:
    """Nothing but what template0 brings, and the source's encoding and locale."""
    others = [name for name, _, _ in catalog.extensions(found) if name != "plpgsql"]
    return not others and catalog.database(found) == dict(contents.groups.get("database") or catalog.database(found))


class _server:  # noqa: N801  # used as a context manager only
    """A session in template1, or postgres."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def __enter__(self) -> Session:
        self.connection = addresses.maintenance(self.address)
        return Session(self.connection)

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def _create(server: Session, database: str, contents: Contents) -> list[str]:
    """With the source's encoding and locale; a locale that this server lacks is replaced by its own, with a note."""
    place = contents.groups.get("database", {})
    try:
        server.execute(f"CREATE DATABASE {names.sql(database)} TEMPLATE template0{_options(server, place)}")
    except AccessDenied:
        raise AccessDenied(
            f"the role may not make the database {database}",
            "ALTER ROLE … CREATEDB, or set RESTORE_URL to a role that may",
        ) from None
    except DatabaseError as error:
        if error.code not in {"42809", "22023"} and "locale" not in error.message:
            raise
        encoding = names.literal(place["encoding"])
        server.execute(
            f"CREATE DATABASE {names.sql(database)} TEMPLATE template0 ENCODING {encoding} LC_COLLATE 'C' LC_CTYPE 'C'"
            if place["encoding"] != "UTF8"
            else f"CREATE DATABASE {names.sql(database)} TEMPLATE template0 ENCODING 'UTF8'"
        )
        return [f"this server has no locale {place.get('locale') or place.get('collate')}: its own was taken"]
    return []


def _options(server: Session, place: Any) -> str:
    if not place:
        return ""
    text = "".join(
        f" {word} {names.literal(place[name])}"
        for word, name in (("ENCODING", "encoding"), ("LC_COLLATE", "collate"), ("LC_CTYPE", "ctype"))
    )
    locale = place.get("locale", "")
    if place.get("provider") == "i" and server.major >= 15:
        text += f" LOCALE_PROVIDER icu ICU_LOCALE {names.literal(locale)}"
    elif place.get("provider") == "b" and server.major >= 17:
        text += f" LOCALE_PROVIDER builtin BUILTIN_LOCALE {names.literal(locale)}"
    elif server.major >= 15:
        text += " LOCALE_PROVIDER libc"
    return text


@dataclass(frozen=True)
class _Kept:
    """What belongs to the database and not to what is in it."""

    owner: str
    limit: int
    comment: str | None
    settings: list[tuple[str, str]]
    grants: list[tuple[str, str]]


def _anew(server: Session, database: str, contents: Contents) -> list[str]:
    """Dropped, when nobody is in it, and made again out of template0; owner, grants, settings and limit are kept."""
    kept = _keep(server, database)
    server.execute(f"DROP DATABASE {names.sql(database)}")
    notes = _create(server, database, contents)
    name = names.sql(database)
    server.execute(f"ALTER DATABASE {name} OWNER TO {names.sql(kept.owner)}")
    server.execute(f"ALTER DATABASE {name} CONNECTION LIMIT {kept.limit}")
    if kept.comment:
        server.execute(f"COMMENT ON DATABASE {name} IS {names.literal(kept.comment)}")
    if kept.grants:
        server.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    for grantee, privilege in kept.grants:
        server.execute(f"GRANT {privilege} ON DATABASE {name} TO {grantee}")
    from killick.engines.postgres.roles import replay

    for key, value in kept.settings:
        server.execute(replay(database, key, value))
    return [*notes, f"the empty database {database} was made anew out of template0"]


def _keep(server: Session, database: str) -> _Kept:
    wanted = names.literal(database)
    owner, limit, comment = server.rows(
        "SELECT pg_catalog.pg_get_userbyid(datdba)::text, datconnlimit,"
        f" pg_catalog.shobj_description(oid, 'pg_database') FROM pg_catalog.pg_database WHERE datname = {wanted}"
    )[0]
    grants = server.rows(
        "SELECT coalesce(r.rolname::text, ''), a.privilege_type::text FROM pg_catalog.pg_database d,"
        " pg_catalog.aclexplode(d.datacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee"
        f" WHERE d.datname = {wanted}"
    )
    settings = server.rows(
        "SELECT coalesce(r.rolname::text, ''), pg_catalog.unnest(s.setconfig) FROM pg_catalog.pg_db_role_setting s"
        " JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole"
        f" WHERE d.datname = {wanted}"
    )
    return _Kept(
        owner,
        limit,
        comment,
        [
            (f"{names.key(role)} {name}" if role else name, value)
            for role, (name, _, value) in ((role, setting.partition("=")) for role, setting in settings)
        ],
        [(names.sql(role) if role else "PUBLIC", privilege) for role, privilege in grants],
    )
