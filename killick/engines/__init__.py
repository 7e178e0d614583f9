"""What an engine is: something that can be backed up. One module each; the URL's scheme names the module.

A module of this package is an engine when it has
    SCHEMES: tuple[str, ...]                 the URL schemes it answers to
    def connect(source: Source) -> Engine    cheap: nothing is reached before a method is called
and, where a dump can be told to be whole without a server,
    def inspect(folder: Path) -> None        reads all of what `dump` wrote; raises Corrupt
Drivers are imported inside functions: `killick --help` and the sidecar's loop load none.
The contract suite (tests/contract/test_engines.py) runs over every such module.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from killick.contents import Contents
from killick.errors import SettingsError
from killick.plugins import gather
from killick.watch import Watch


@dataclass(frozen=True)
class Source:
    """Something to back up, or to restore into. `url` never holds the password.

    `exclude`: globs of files that are left out. `evidence`: "dump", or "server" for a second checksum by the server.
    `owners`: load keeps owners, grants and roles (a verification); False for a developer's copy.
    """

    name: str
    url: str
    password: str = field(default="", repr=False)
    exclude: tuple[str, ...] = ()
    evidence: str = "dump"
    owners: bool = False


@dataclass(frozen=True)
class Facts:
    """What is known of a source before it is dumped.

    `identity` is the cluster's (Postgres: system_identifier; MongoDB: replica set id), "" where it has none.
    `bytes` is the size of all data and `largest` that of its largest table, as the server tells them: what scratch
    space is checked against. `copy` tells that the database bears killick's mark of a copy. `details` are shown and
    recorded: encoding, locale, extensions…
    """

    engine: str
    server_version: str
    client_version: str
    database: str
    identity: str
    bytes: int
    largest: int = 0
    empty: bool = False
    copy: bool = False
    details: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Check:
    """One line of `doctor`: what was looked at, whether it is well, and the cure where it is not."""

    what: str
    ok: bool
    cure: str = ""


Notes = tuple[str, ...]
"""Sentences for a person about a load: roles that were made, settings that were left out."""


@runtime_checkable
class Engine(Protocol):
    """Errors: SourceError and its kinds, CommandFailed, EmptyDump from `dump`, RestoreError from `load`."""

    def facts(self) -> Facts:
        """Server, version, identity, size; raises Unreachable, AccessDenied, Unsupported."""

    def dump(self, folder: Path, jobs: int, watch: Watch) -> Contents:
        """Fills the empty `folder`; gives rows and checksums of that very snapshot."""

    def load(
        self, folder: Path, jobs: int, contents: Contents, watch: Watch, only: Collection[str] | None = None
    ) -> Notes:
        """Loads what `dump` wrote into an empty database; the database is made when it is not there."""

    def contents(self, like: Contents | None = None) -> Contents:
        """The same facts, read from a live database. `like` names the columns' order and the optional checksums."""

    def checks(self) -> list[Check]:
        """What `doctor` asks of this source: reachable, rights, client programs."""


def modules() -> dict[str, ModuleType]:
    """Every engine's module by its URL schemes."""
    return gather(__name__, __path__)


def name(url: str) -> str:
    """What manifests call the engine that answers to this URL: its module's name; "" where none does."""
    module = modules().get(urlsplit(url).scheme)
    return module.__name__.rpartition(".")[2] if module else ""


def connect(source: Source) -> Engine:
    """Raises SettingsError for a scheme that no engine answers to."""
    scheme = urlsplit(source.url).scheme
    module = modules().get(scheme)
    if module is None:
        known = ", ".join(sorted(modules()))
        raise SettingsError(
            f"source {source.name}: no engine for {scheme or 'a URL without a scheme'}:// (there are {known})"
        )
    engine: Engine = module.connect(source)
    return engine


def inspect(engine: str, folder: Path) -> None:
    """Reads the dump in `folder` through, where the engine (by its name in manifests) can. Raises Corrupt."""
    for module in set(modules().values()):
        if module.__name__.rpartition(".")[2] == engine and hasattr(module, "inspect"):
            module.inspect(folder)
