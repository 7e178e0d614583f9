"""What a move is about: a TOML file that a person writes, checked as a whole before anything is asked of a server."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from deploy.move.table import Table
from killick.errors import SettingsError

T = TypeVar("T")
PROVIDERS = ("cloudflare", "hand")
SITE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}"
"""A site's name: it is a folder's, too."""


@dataclass(frozen=True)
class Server:
    """`host`: "local", or ssh://USER@NAME[:PORT] for the system's own ssh (its configuration and known_hosts hold).

    `address` is where its web server answers, "10.0.0.11" or "10.0.0.11:8080". `directory` holds the project's files.
    """

    host: str
    address: str
    directory: str
    project: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Proxy:
    """HAProxy before both servers. `host` as a Server's; `socket` a path there, `config` the file that it starts with.

    `map` says which backends are read-only, by the backend's name: "shop 1". `reload` is a command on `host`, and so is
    `test`, which gets a configuration's path as its last word.
    """

    host: str
    socket: str
    config: str
    backend: str
    old: str
    new: str
    map: str
    reload: str
    test: str


@dataclass(frozen=True)
class Forwarder:
    """nginx on the old server: two files that it includes, which nothing else writes. `reload` and `test` are commands
    there."""

    read_only: str
    upstream: str
    reload: str
    test: str


@dataclass(frozen=True)
class Names:
    """DNS. `provider` is cloudflare or hand. The token is read from the file or the variable named, and never kept."""

    provider: str
    zone: str = ""
    token_file: str = ""
    token_variable: str = ""


@dataclass(frozen=True)
class Check:
    """`paths` have to answer with a status below 400, asked by the real name. `marker` is a header of the answers that
    tells the servers apart ("X-Served-By"), "" where there is none. `write` is what the prober writes to, "{id}" in it
    is another one each time; "" where it may not write: then it asks whether writes are refused."""

    paths: tuple[str, ...]
    marker: str = ""
    write: str = ""


@dataclass(frozen=True)
class Jobs:
    """Jenkins' own, by name: what has to be disabled, moved to the new node, run once afterwards. Done by hand."""

    freeze: tuple[str, ...] = ()
    move: tuple[str, ...] = ()
    run: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """`sources` maps a source of the sidecar to the compose service that holds it, databases as ("db", "db"), folders
    as ("uploads", ""). `apps` are the services that write. `purge` is all, names or off. `limit` is the longest that
    writes may be refused, in seconds; `digest` the SHA-256 of what the file says, whatever its layout."""

    site: str
    environment: str
    names: tuple[str, ...]
    old: Server
    new: Server
    sidecar: str
    apps: tuple[str, ...]
    sources: tuple[tuple[str, str], ...]
    proxy: Proxy | None
    forwarder: Forwarder | None
    dns: Names
    purge: str
    check: Check
    jobs: Jobs
    limit: float
    digest: str


def load(path: Path) -> Spec:
    """Raises SettingsError with everything that is wrong in the file; nothing is asked of anybody."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", "docs/move.md has a whole example") from None
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, UnicodeDecodeError, a number of 5000 digits
        raise SettingsError(f"{path} is no TOML: {error}") from None
    digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode()).hexdigest()
    top = Table("", document)
    spec = _spec(top, digest)
    problems = [*top.problems(), *_together(spec)]
    if problems:
        raise SettingsError([f"{path}: {problem}" for problem in problems], "docs/move.md tells each of them")
    return spec


_PORT = r"(?::(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]))?"
_HOST = rf"local|ssh://(?:\w[\w.-]*@)?(?:\w[\w.-]*|\[[0-9A-Fa-f:]+\]){_PORT}/?"
_ADDRESS = rf"(?:\w[\w.-]*|\[[0-9A-Fa-f:]+\]){_PORT}"
_TOP = r"(?:[A-Za-z]{2,63}|[Xx][Nn]--[A-Za-z0-9-]{0,58}[A-Za-z0-9])"  # .рф is xn--p1ai
_NAME = rf"(?=.{{1,253}}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{{0,61}}[A-Za-z0-9])?\.)+{_TOP}"
_WORD = r"[a-z0-9][a-z0-9_-]*"
_PATH = r"/.*"
_MEANS_PATH = "a path that begins with /"
_URL_PATH = r"/[!-~]*"  # as it is sent: other characters are escaped by whoever writes it
_MEANS_URL_PATH = "a path of a URL: it begins with /, and %20 stands for a blank"


def _spec(top: Table, digest: str) -> Spec:
    return Spec(
        site=top.text("site", like=SITE, means="a name of letters, digits, . _ and -"),
        environment=top.text("environment", like=_WORD, means="an environment, such as prod: it names dc.prod.yml"),
        names=top.texts("names"),
        old=_server(top.table("old", needed=True)),
        new=_server(top.table("new", needed=True)),
        sidecar=top.text("sidecar", "sidecar"),
        apps=top.texts("apps"),
        sources=_sources(top.table("sources", needed=True)),
        proxy=_one(top, "proxy", _proxy),
        forwarder=_one(top, "forwarder", _forwarder),
        dns=_dns(top.table("dns", needed=True)),
        purge=top.text("purge", "off", like="all|names|off", means="all, names or off"),
        check=_check(top.table("check", needed=True)),
        jobs=_jobs(top.table("jobs", needed=False)),
        limit=top.number("limit", 300.0),
        digest=digest,
    )


def _server(table: Table) -> Server:
    return Server(
        host=table.text("host", like=_HOST, means="a host: local, or ssh://USER@NAME", quoted=False),
        address=table.text("address", like=_ADDRESS, means="an address: 10.0.0.11, or 10.0.0.11:8080"),
        directory=table.text("directory", like=_PATH, means=_MEANS_PATH),
        project=table.text(
            "project", like=_WORD, means="a project's name: compose would take the folder's, and start empty volumes"
        ),
        files=table.texts("files"),
    )


def _sources(table: Table) -> tuple[tuple[str, str], ...]:
    found = tuple((name, table.text(name, "")) for name in table.values)
    if table.there and not any(service for _, service in found):
        table.wrong.append('sources has no database: write db = "SERVICE", its service in compose')
    return found


def _proxy(table: Table) -> Proxy:
    return Proxy(
        host=table.text("host", like=_HOST, means="a host: local, or ssh://USER@NAME", quoted=False),
        socket=table.text("socket", like=_PATH, means=_MEANS_PATH),
        config=table.text("config", like=_PATH, means=_MEANS_PATH),
        backend=table.text("backend"),
        old=table.text("old"),
        new=table.text("new"),
        map=table.text("map", like=_PATH, means=_MEANS_PATH),
        reload=table.text("reload"),
        test=table.text("test", "haproxy -c -q -f"),
    )


def _forwarder(table: Table) -> Forwarder:
    return Forwarder(
        table.text("read_only", like=_PATH, means=_MEANS_PATH),
        table.text("upstream", like=_PATH, means=_MEANS_PATH),
        table.text("reload"),
        table.text("test", "nginx -t -q"),
    )


def _dns(table: Table) -> Names:
    found = Names(
        provider=table.text("provider", like="|".join(PROVIDERS), means=f"one of {', '.join(PROVIDERS)}"),
        zone=table.text("zone", "", like=_NAME, means="a zone, such as example.com"),
        token_file=table.text("token_file", "", like=_PATH, means=_MEANS_PATH, quoted=False),
        token_variable=table.text(
            "token_variable", "", like=r"[A-Z][A-Z0-9_]*", means="a variable's name", quoted=False
        ),
    )
    if found.provider == "cloudflare":
        if not found.zone:
            table.wrong.append("dns.zone is missing: the zone that holds the names")
        if bool(found.token_file) == bool(found.token_variable):
            table.wrong.append("dns wants one of token_file and token_variable: where the token is read, never itself")
    return found


def _check(table: Table) -> Check:
    found = Check(
        table.texts("paths"),
        table.text("marker", "", like=r"[A-Za-z0-9-]+", means="a header's name"),
        table.text("write", "", like=_URL_PATH, means=_MEANS_URL_PATH),
    )
    table.wrong += [
        f"check.paths: {path!r} is not {_MEANS_URL_PATH}" for path in found.paths if not re.fullmatch(_URL_PATH, path)
    ]
    return found


def _jobs(table: Table) -> Jobs:
    return Jobs(table.texts("freeze", ()), table.texts("move", ()), table.texts("run", ()))


def _one(top: Table, key: str, make: Callable[[Table], T]) -> T | None:
    table = top.table(key, needed=False)
    return make(table) if key in top.values else None


def _together(spec: Spec) -> Iterable[str]:
    """What is right alone and wrong together."""
    old, new = spec.old, spec.new
    if old.host and _where(old.host) == _where(new.host) and _folder(old) == _folder(new):
        yield "old and new are the same: one host and one directory"
    elif old.address and old.address.removesuffix(":80") == new.address.removesuffix(":80"):
        yield f"old and new answer at the same address, {old.address}"
    elif old.host and _where(old.host) == _where(new.host) and old.project and old.project == new.project:
        yield f"old and new are on one host with one project name, {old.project}: they would share their volumes"
    held = {service for _, service in spec.sources if service}
    yield from (f"apps: {app} holds a source: the move itself works with it" for app in spec.apps if app in held)
    yield from (f"names: {name!r} is no name of a site" for name in spec.names if not re.fullmatch(_NAME, name))
    if spec.dns.zone:
        zone = spec.dns.zone.lower()
        for name in spec.names:
            if name.lower() != zone and not name.lower().endswith(f".{zone}"):
                yield f"names: {name} is not in the zone {zone}"
    if spec.proxy and spec.proxy.old and spec.proxy.old == spec.proxy.new:
        yield f"proxy.old and proxy.new are the same server, {spec.proxy.old}"
    if spec.forwarder and spec.forwarder.read_only and spec.forwarder.read_only == spec.forwarder.upstream:
        yield "forwarder.read_only and forwarder.upstream are the same file"
    if spec.purge != "off" and spec.dns.provider == "hand":
        yield f'purge = "{spec.purge}" needs dns.provider = "cloudflare": with another, purge by hand and write "off"'


def _where(url: str) -> tuple[str, int]:
    if not url.startswith("ssh://"):
        return url, 0
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").lower(), parts.port or 22
    except ValueError:
        return url, 0


def _folder(server: Server) -> str:
    return "/".join(part for part in server.directory.split("/") if part not in ("", "."))
