"""What the project's sidecar backs up, as its own settings say: a move carries just that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from deploy.move.site import Site
from deploy.move.step import Move
from killick import engines
from killick.errors import Refused
from killick.settings import urls


@dataclass(frozen=True)
class Held:
    """`service` holds it, "" for a folder; `engine` is killick's name of it. `variable` names its URL to the sidecar.

    `url` holds no password. `path` is a folder's, in the sidecar; `database` the name in the URL.
    """

    source: str
    service: str
    engine: str
    variable: str
    url: str = ""
    database: str = ""
    path: str = ""

    @property
    def password(self) -> str:
        """The variable of its password."""
        return self.variable.replace("DATABASE_URL", "DATABASE_PASSWORD")

    def as_user(self, user: str) -> str:
        """The URL with another user in it. MongoDB's own users are then known to its database `admin`."""
        parts = urlsplit(self.url)
        hosts = parts.netloc.rpartition("@")[2]
        query = parts.query
        if self.engine == "mongodb":
            kept = [each for each in query.split("&") if each and not each.lower().startswith("authsource=")]
            query = "&".join([*kept, "authSource=admin"])
        return urlunsplit((parts.scheme, f"{quote(user, safe='')}@{hosts}", parts.path or "/", query, ""))


@lru_cache(maxsize=8)
def held(move: Move) -> tuple[Held, ...]:
    """All of the spec, databases first; asked once a move. Raises Refused where the sidecar's settings do not tell."""
    given = environment(move.old)
    found = [_held(given, source, service, move.old.sidecar) for source, service in move.spec.sources]
    return tuple(sorted(found, key=lambda each: each.engine == "files"))


def databases(move: Move) -> list[Held]:
    return [each for each in held(move) if each.engine != "files"]


def folders(move: Move) -> list[Held]:
    return [each for each in held(move) if each.engine == "files"]


def environment(site: Site) -> Mapping[str, str]:
    """The sidecar's. It may hold secrets."""
    service: Mapping[str, Any] = site.config()["services"].get(site.sidecar) or {}
    return {name: value or "" for name, value in (service.get("environment") or {}).items()}


def _held(given: Mapping[str, str], source: str, service: str, sidecar: str) -> Held:
    folder = given.get(f"FILES_{source.upper()}", "")
    if folder:
        return Held(source, "", "files", f"FILES_{source.upper()}", path=folder)
    names = [*(["DATABASE_URL"] if source == "db" else []), f"DATABASE_URL_{source.upper()}"]
    for name in names:
        if given.get(name):
            address = urls.split(given[name])
            engine = engines.name(address.url)
            return Held(source, service, engine, name, address.url, address.database)
    if source == "db" and given.get("POSTGRES_HOST"):
        user = given.get("POSTGRES_USER") or "postgres"
        database = given.get("POSTGRES_DB") or user
        host = f"{given['POSTGRES_HOST']}:{given.get('POSTGRES_PORT') or 5432}"
        url = f"postgres://{quote(user, safe='')}@{host}/{quote(database, safe='')}"
        return Held(source, service, "postgres", "DATABASE_URL", url, database)
    raise Refused(
        f"the settings of {sidecar} do not tell where the source {source} is",
        f"set {names[0]} there, without its password; what {names[0]}_FILE says is not read",
    )
