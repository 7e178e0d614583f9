"""The scripts of a restore: psql runs .sql inside the database, a shell script is told how to reach it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, urlencode

from killick import process
from killick.engines.postgres import address as addresses
from killick.engines.postgres import commands, target
from killick.engines.postgres.address import Address
from killick.engines.postgres.commands import Client
from killick.engines.postgres.failures import restore_error, without_content
from killick.engines.postgres.session import session
from killick.errors import CommandFailed, RestoreError

_PLACE = re.compile(r"^psql:(.+?):(\d+): [^:]+:\s*(.*)$", re.M)
_IN_URL = ("host", "port", "user", "dbname")
_UNLIKE = {  # docs of libpq, "Environment Variables"; the others are called as their option is, without underscores
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "dbname": "PGDATABASE",
}


def run(address: Address, path: Path) -> None:
    """In one transaction. The script may do all that psql can: it is the project's own.

    Raises RestoreError with file and line; what the server quotes of a row is left out, what RAISE says is told.
    """
    client, address = _reached(address)
    try:
        with process.start(client.script(address, path)) as running:
            running.wait()
    except CommandFailed as error:
        told = _PLACE.findall(error.stderr)
        if not told:
            raise restore_error(error) from None
        file, line, said = told[-1]  # notices before it look alike
        raise RestoreError(
            f"{file}, line {line}: {without_content(said)}",
            "mend the script; what it did was undone, unless it commits by itself",
            "script",
        ) from None


def environment(address: Address) -> dict[str, str]:
    """DATABASE_URL without the password, libpq's own variables with it, and a PATH on which psql is found."""
    client, address = _reached(address)
    asked = {name: value for name, value in address.options.items() if addresses.DEFAULTS.get(name) != value}
    folder = str(client.program.path.parent)
    return {
        "DATABASE_URL": _url(asked),
        **{_UNLIKE.get(name, f"PG{name.replace('_', '').upper()}"): value for name, value in asked.items()},
        **address.environment(),
        "PATH": os.pathsep.join(filter(None, (folder, os.environ.get("PATH", "")))),
        **client.program.environment(),
    }


def _reached(address: Address) -> tuple[Client, Address]:
    """The client of the server's major, and the address at which it may write."""
    address = target.writing(address)
    with session(address) as server:
        return commands.client_for(server.version), address


def _url(options: dict[str, str]) -> str:
    """A socket's folder, or several hosts, stand in the query."""
    host, port = options.get("host", ""), options.get("port", "")
    user = f"{quote(options['user'], safe='')}@" if "user" in options else ""
    rest = {name: value for name, value in options.items() if name not in _IN_URL}
    place = f"[{host}]" if ":" in host else host
    if "/" in host or "," in host:
        place, rest = "", {"host": host, **({"port": port} if port else {}), **rest}
    elif port:
        place += f":{port}"
    query = f"?{urlencode(rest, quote_via=quote, safe='')}" if rest else ""
    return f"postgres://{user}{place}/{quote(options['dbname'], safe='')}{query}"
