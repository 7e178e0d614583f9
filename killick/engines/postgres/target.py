"""The database that a dump goes into: made, or made anew out of template0, and never taken from anybody."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from killick.contents import Contents
from killick.engines.postgres import belongings, catalog, census, names
from killick.engines.postgres.address import Address
from killick.engines.postgres.server import find, outside
from killick.engines.postgres.session import DatabaseError, Session, session
from killick.errors import AccessDenied, DatabaseMissing, Refused


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
        with outside(address) as server:
            return _create(server, address.database, contents)
    try:
        with outside(address) as server:
            return _anew(server, address.database, contents)
    except (AccessDenied, DatabaseError) as error:
        return [f"the empty database {address.database} was used as it is: {error.message}"]


def version(address: Address) -> int:
    """server_version_num of the server, whether the database is there or not."""
    with _reached(address) as found:
        return found.version


def extensions(address: Address) -> set[str]:
    """Those that could be made in this database; none where the server's provider does not tell.

    pg_cron is one of them only in the one database that cron.database_name names.
    """
    with _reached(address) as found:
        try:
            there = {row[0] for row in found.rows("SELECT name::text FROM pg_catalog.pg_available_extensions")}
        except (AccessDenied, DatabaseError):
            return set()
        try:
            home = found.value("SELECT pg_catalog.current_setting('cron.database_name', true)")
        except AccessDenied:
            home = None
    return there if home == address.database else there - {"pg_cron"}


def writing(address: Address) -> Address:
    """The same, where default_transaction_read_only does not bind us: a courtesy of the database or the role."""
    with _reached(address) as found:
        setting = "SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'default_transaction_read_only'"
        courteous = found.value(setting) == "on"
    return address.saying("-c default_transaction_read_only=off") if courteous else address


@contextmanager
def _reached(address: Address) -> Iterator[Session]:
    """A session in the database, or beside it where it is not there yet."""
    with ExitStack() as stack:
        try:
            found = stack.enter_context(session(address))
        except DatabaseMissing:
            found = stack.enter_context(outside(address))
        yield found


def _as_wanted(found: Session, contents: Contents) -> bool:
    """Nothing but what template0 brings, and the source's encoding and locale."""
    others = [name for name, _, _ in catalog.extensions(found) if name != "plpgsql"]
    return not others and catalog.database(found) == dict(contents.groups.get("database") or catalog.database(found))


def _create(server: Session, database: str, contents: Contents, placed: str = "") -> list[str]:
    """With the source's encoding and locale; a locale that this server lacks is replaced by its own, with a note."""
    place = contents.groups.get("database", {})
    try:
        server.execute(f"CREATE DATABASE {names.sql(database)} TEMPLATE template0{placed}{_options(server, place)}")
    except AccessDenied:
        raise AccessDenied(
            f"the role may not make the database {database}",
            "ALTER ROLE … CREATEDB, or set RESTORE_URL to a role that may",
        ) from None
    except DatabaseError as error:
        if error.code not in {"42809", "22023"} and "locale" not in error.message:
            raise
        encoding = names.literal(place["encoding"])
        bare = f"CREATE DATABASE {names.sql(database)} TEMPLATE template0{placed} ENCODING {encoding}"
        server.execute(bare if place["encoding"] == "UTF8" else f"{bare} LC_COLLATE 'C' LC_CTYPE 'C'")
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


def _anew(server: Session, database: str, contents: Contents) -> list[str]:
    """Dropped, when nobody is in it, and made again out of template0; what belongs to it and its comment are kept."""
    kept, there = belongings.of(server, database), find(server, database)
    server.execute(f"DROP DATABASE {names.sql(database)}")
    notes = _create(server, database, contents, belongings.placed(kept.tablespace))
    if there is not None and there.comment:
        server.execute(f"COMMENT ON DATABASE {names.sql(database)} IS {names.literal(there.comment)}")
    for statement in kept.statements(database):
        server.execute(statement)
    notes += belongings.replay_settings(server, database, kept)
    return [*notes, f"the empty database {database} was made anew out of template0"]
