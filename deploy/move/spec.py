"""What a move is about: a TOML file that a person writes, checked as a whole before anything is asked of a server."""

from __future__ import annotations

from dataclasses import dataclass


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

    `map` says which backends are read-only, by the backend's name: "shop 1". `reload` is a command on `host`.
    """

    host: str
    socket: str
    config: str
    backend: str
    old: str
    new: str
    map: str
    reload: str


@dataclass(frozen=True)
class Forwarder:
    """nginx on the old server: two files that it includes, which nothing else writes. `reload` is a command there."""

    read_only: str
    upstream: str
    reload: str


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
