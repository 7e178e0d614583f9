"""What a dump demands of the server that it goes into: a version, extensions. Refused before anything is made."""

from __future__ import annotations

from collections.abc import Iterable

from killick.contents import Contents
from killick.engines.postgres import commands, names
from killick.engines.postgres.commands import Client
from killick.engines.postgres.listing import Listing
from killick.errors import RestoreError, Unsupported

CRON = "pg_cron"
TIMEOUTS = 17  # from this major on clients say SET transaction_timeout, which older servers do not know
# Of their projects' pages on Docker Hub. {version} is the extension's own, its first two numbers.
_IMAGES = {
    "timescaledb": "timescale/timescaledb:latest-pg{major}",
    "citus": "citusdata/citus",
    "postgis": "postgis/postgis:{major}-{version}",
    "vector": "pgvector/pgvector:pg{major}",
}


def image(contents: Contents) -> str:
    """The image of a server that can hold this backup: the official one, or that of an extension that needs its own."""
    major = contents.loose.get("versions", {}).get("server", "")
    versions = contents.loose.get("extension versions", {})
    for extension, name in _IMAGES.items():
        if extension in contents.groups.get("extensions", {}):
            version = ".".join(versions.get(extension, "").split(".")[:2])
            return name.format(major=major, version=version) if major and version else name.partition(":")[0]
    return f"postgres:{major}" if major else "postgres"


def client(version: int, contents: Contents) -> Client:
    """The client for a server of this server_version_num. Raises Unsupported when the server is too old for the dump.

    pg_restore must be as new as the pg_dump that wrote.
    """
    of, by = (int(contents.loose.get("versions", {}).get(what, 0)) for what in ("server", "client"))
    here = version // 10000
    if of > here:
        raise Unsupported(
            f"the dump is of Postgres {of} and the server here is {commands.version(version)}",
            f"restore into Postgres {of} or newer: use the image {image(contents)} for the service",
        )
    if by >= TIMEOUTS > here:
        raise Unsupported(
            f"the dump was written by pg_dump {by}, and the server here is {commands.version(version)}",
            f"restore into Postgres {TIMEOUTS} or newer, and back up with the clients of {of}",
        )
    return commands.client_for(version, max(by, here))


def refuse_missing(needed: Iterable[str], available: set[str], contents: Contents) -> None:
    """Raises RestoreError when `needed` extensions are not `available`; none at all: we are not told.

    The reason is that of a restore which runs into it, so that a verification tells both alike.
    """
    missing = sorted(set(needed) - available) if available else []
    if missing:
        cure = f"use the image that the source's service runs on: {image(contents)}, if nothing was added to it"
        if missing == [CRON]:
            cure = "pg_cron can be in the one database that cron.database_name names, where the server preloads it"
        plural = "s" if len(missing) > 1 else ""
        raise RestoreError(
            f"the server here lacks the extension{plural} {', '.join(map(names.sql, missing))} of the dump",
            cure,
            "missing-extension",
        )


def extensions(listing: Listing) -> dict[int, str]:
    """Names of the extensions that a dump makes, by the entries that make them."""
    return {number: entry.title.removeprefix("- ").strip() for number, entry in listing.of("EXTENSION")}
