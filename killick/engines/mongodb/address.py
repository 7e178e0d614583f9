"""The parts of a connection string. The database in it names what is backed up, and where the user is known."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from killick.errors import SettingsError

SYSTEM = frozenset({"admin", "config", "local", "killick"})
"""Databases that are no data of the project's: the server's own, and the one with killick's mark."""


@dataclass(frozen=True)
class Address:
    """`url` names no database and holds no password; the user's own database is kept in its authSource."""

    url: str
    database: str
    host: str
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, url: str, password: str = "") -> Address:
        """Raises SettingsError for a database name that MongoDB would not take."""
        parts = urlsplit(url)
        database = unquote(parts.path.strip("/"))
        if any(c in database for c in '/\\. "$*<>:|?\0'):
            raise SettingsError(
                f'{database!r} is no name of a MongoDB database: one of / \\ . " $ * < > : | ? is in it'
            )
        user, at, host = parts.netloc.rpartition("@")
        query = parts.query
        # A seed list found by DNS may bring its own authSource: there the default is left alone.
        known = any(o.lower().startswith(("authsource=", "authmechanism=")) for o in query.split("&"))
        if database and at and not known and parts.scheme == "mongodb":
            query = f"{query}&authSource={parts.path.strip('/')}".lstrip("&")
        netloc = user.partition(":")[0] + at + host
        return cls(urlunsplit((parts.scheme, netloc, "/", query, "")), database, host, password)

    @property
    def named(self) -> str:
        """The URL with the database in it, and without the password."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc, f"/{quote(self.database)}", parts.query, ""))

    @property
    def secret(self) -> str:
        """The URL with the password in it: for the environment of a child."""
        parts = urlsplit(self.url)
        user, at, host = parts.netloc.rpartition("@")
        password = f":{quote(self.password, safe='')}" if at and self.password else ""
        return urlunsplit((parts.scheme, f"{user}{password}{at}{host}", "/", parts.query, ""))


@contextmanager
def password_file(address: Address) -> Iterator[Path]:
    """A file for --config, readable by us alone, gone with the block."""
    with tempfile.TemporaryDirectory(prefix="killick-mongo-") as folder:
        path = Path(folder, "tools.yml")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            if address.password:
                file.write(f"password: {json.dumps(address.password)}\n")  # JSON's strings are YAML's
        yield path
