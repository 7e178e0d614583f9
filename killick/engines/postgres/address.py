"""Where a database is, as libpq is told of it, and why it does not answer."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from killick.engines import Source
from killick.errors import AccessDenied, DatabaseMissing, KillickError, SettingsError, Unreachable

DEFAULTS = {"connect_timeout": "10", "application_name": "killick", "keepalives_idle": "60"}
_SECRET = ("password", "sslpassword")
MAINTENANCE = ("template1", "postgres")  # template1 first: a project's own database is often called postgres


@dataclass(frozen=True)
class Address:
    """`options` are libpq's connection parameters; none of them is a password."""

    options: Mapping[str, str]
    password: str = field(default="", repr=False)

    @property
    def database(self) -> str:
        return self.options["dbname"]

    def __str__(self) -> str:
        host = self.options.get("host", "localhost")
        return f"{host}:{self.options.get('port', '5432')}"

    def at(self, database: str) -> Address:
        """Another database of the same server."""
        return replace(self, options={**self.options, "dbname": database})

    def saying(self, option: str) -> Address:
        """The same with one more server option, such as -c lc_messages=C."""
        said = f"{self.options.get('options', '')} {option}".strip()
        return replace(self, options={**self.options, "options": said})

    def conninfo(self) -> str:
        """Never a bare name: a database may be called a=b or postgres://x, and libpq would look into it."""
        return " ".join(f"{name}={_quoted(value)}" for name, value in self.options.items())

    def environment(self) -> dict[str, str]:
        return {"PGPASSWORD": self.password} if self.password else {}


def parse(source: Source) -> Address:
    """Raises SettingsError for a URL that libpq does not understand."""
    import psycopg2
    from psycopg2.extensions import parse_dsn

    _, _, rest = source.url.partition(":")
    try:
        options: dict[str, str] = parse_dsn(f"postgresql:{rest}")
    except psycopg2.ProgrammingError as error:
        raise SettingsError(f"source {source.name}: {_line(error)}") from None
    password = source.password or options.get("password", "")
    for name in (*_SECRET, "client_encoding"):
        options.pop(name, None)
    options.setdefault("host", os.environ.get("PGHOST") or _socket_folder())
    if "user" not in options and "PGUSER" in os.environ:
        options["user"] = os.environ["PGUSER"]
    if "dbname" not in options:
        options["dbname"] = options.get("user") or "postgres"
    return Address({**DEFAULTS, **options}, password)


def renamed(url: str, database: str) -> str:
    """The same URL with another database in it."""
    before, _, query = url.partition("?")
    place = re.match(r"[^:]*:(//[^/]*)?", before)
    kept = [option for option in query.split("&") if option and not option.startswith("dbname=")]
    return f"{place[0] if place else before}/{quote(database, safe='')}{'?' if kept else ''}{'&'.join(kept)}"


def connect(address: Address) -> Any:
    """A psycopg2 connection in autocommit. Raises Unreachable, AccessDenied, DatabaseMissing."""
    try:
        return _connect(address)
    except KillickError:
        raise
    except Exception as error:
        raise _reason(address, _line(error)) from None


def maintenance(address: Address) -> Any:
    """A connection to the server's template1, or postgres: for what cannot be done from inside the database."""
    try:
        return connect(address.at(MAINTENANCE[0]))
    except (Unreachable, AccessDenied, DatabaseMissing):
        return connect(address.at(MAINTENANCE[1]))


def _connect(address: Address) -> Any:
    import psycopg2

    connection = psycopg2.connect(address.conninfo(), **({"password": address.password} if address.password else {}))
    connection.autocommit = True
    return connection


def _reason(address: Address, said: str) -> KillickError:
    user = address.options.get("user", "")
    where = f"Postgres at {address}"
    if re.search(r"(Peer|Ident|GSSAPI|SSPI|[Cc]ertificate) authentication failed", said):
        return AccessDenied(
            f"{where} asks user {user} for no password: {_fatal(said)}",
            "let a line of the server's pg_hba.conf ask for one (scram-sha-256), for this host and user",
        )
    if re.search(r"authentication failed|no password supplied", said):
        return AccessDenied(
            f"{where} refuses the password of user {user}",
            "set DATABASE_PASSWORD (or the file that DATABASE_PASSWORD_FILE names) to the one that the server knows",
        )
    if re.search(r"no pg_hba\.conf entry|pg_hba\.conf rejects", said):
        plain = "no encryption" in said and address.options.get("sslmode") == "disable"
        return AccessDenied(
            f"{where} lets user {user} not connect to {address.database} from here",
            ("take ?sslmode=disable out of the URL; or " if plain else "")
            + "add a line for this host and user to the server's pg_hba.conf, above any that rejects them",
        )
    if re.search(r'role ".*" does not exist|permission denied for database|is not permitted to log in', said):
        return AccessDenied(f"{where}: {_fatal(said)}", f"create the role, or GRANT CONNECT: user {user}")
    if "FATAL" in said and (there := _databases(address)) is not None and address.database not in there:
        near = difflib.get_close_matches(address.database, there, n=3, cutoff=0.5) or sorted(there)[:5]
        known = ", ".join(near) if near else "none but templates"
        return DatabaseMissing(
            f"{where} has no database {address.database}", f"check the URL; databases there: {known}"
        )
    return Unreachable(
        f"{where} cannot be reached: {_fatal(said)}",
        "is the service up and healthy, on this network, and the host and port of the URL right?",
    )


def _databases(address: Address) -> Iterable[str] | None:
    """Names of the server's databases, None when nobody lets us ask."""
    for name in MAINTENANCE:
        if name == address.database:
            continue
        with suppress(Exception):  # the first failure is told, not this one
            connection = _connect(address.at(name))
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT datname::text FROM pg_catalog.pg_database WHERE NOT datistemplate")
                    return {row[0] for row in cursor.fetchall()}
            finally:
                connection.close()
    return None


def _socket_folder() -> str:
    """Named always: psycopg2's libpq and the clients' were built with different defaults."""
    place = Path("/var/run/postgresql")
    return str(place) if place.is_dir() else "localhost"


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _fatal(said: str) -> str:
    return said.rsplit("FATAL: ", 1)[-1].strip()
