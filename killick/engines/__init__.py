"""What an engine is: something that can be backed up. One module each; the URL's scheme names the module.

A module of this package is an engine when it has
    SCHEMES: tuple[str, ...]                 the URL schemes it answers to
    def connect(source: Source) -> Engine    cheap: nothing is reached before a method is called
and, where a dump can be told to be whole without a server,
    def inspect(folder: Path) -> None        reads all of what `dump` wrote; raises Corrupt
and, where people call what is in a backup by other names than its keys in Contents,
    def parts(contents: Contents) -> Mapping[str, Iterable[str]]   what `load(only=…)` takes, each with its other names
and, where dumps that others made can be taken up,
    def adopt(found: Path, folder: Path, wanted: str, watch: Watch) -> Adopted | None
and, where a dump can be written as a script,
    def script(folder: Path, only: Collection[str] | None, rows: bool) -> AbstractContextManager[Iterator[bytes]]
Drivers are imported inside functions: `killick --help` and the sidecar's loop load none.
The contract suite (tests/contract/test_engines.py) runs over every such module.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from urllib.parse import urlsplit

from killick import pick as picking
from killick.contents import Contents
from killick.errors import SettingsError
from killick.plugins import gather
from killick.watch import Watch

if TYPE_CHECKING:
    from killick.masking import Mask


@dataclass(frozen=True)
class Source:
    """Something to back up, or to restore into. `url` never holds the password.

    `exclude`: globs of files that are left out. `evidence`: "dump", or "server" for a second checksum by the server.

    How `load` fills it: `owners` keeps owners, grants and roles (a verification, a disaster's recovery; False for a
    developer's copy), `rows=False` brings the schema alone, `mask` hides personal data before a row reaches the server.
    """

    name: str
    url: str
    password: str = field(default="", repr=False)
    exclude: tuple[str, ...] = ()
    evidence: str = "dump"
    owners: bool = False
    rows: bool = True
    mask: Mask | None = None


@dataclass(frozen=True)
class Facts:
    """What is known of a source before it is dumped.

    `identity` is the cluster's (Postgres: system_identifier; MongoDB: replica set id), "" where it has none.
    `bytes` is the size of all data and `largest` that of its largest table, as the server tells them: what scratch
    space is checked against. `copy` tells that the database bears killick's mark of a copy, `sessions` how many others
    are connected to it. `details` are shown and recorded: encoding, locale, extensions…
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
    sessions: int = 0
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


@dataclass(frozen=True)
class Adopted:
    """A dump that killick did not make, laid into a folder so that `load` takes it. Versions are "" where none is told.

    `contents` names tables and counts rows, without checksums; `database` is the one that was dumped, if that is told.
    """

    contents: Contents
    server_version: str = ""
    client_version: str = ""
    database: str = ""
    notes: Notes = ()


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


@dataclass(frozen=True)
class Swapped:
    """What became of a swap. `kept`: what was in use stays beside, so that `undo` can bring it back."""

    kept: bool
    notes: Notes = ()


@runtime_checkable
class Replaceable(Protocol):
    """An engine's optional role: what is in use is replaced by a copy that was made beside it, and can be put back.

    Whenever it is interrupted, by kill -9 and power too, what is in use is one of the two, whole; what was left beside
    is marked, and swept by the next `beside` or `sweep`. Nothing that does not bear killick's mark is ever removed.
    """

    def beside(self, origin: str, needed: int) -> Engine:
        """The engine of an empty place beside what is in use, marked as unfinished; leftovers there are removed first.

        `origin` is the backup's id, for the mark; `needed` the bytes that will go in. Raises NoSpace where it can be
        seen that both do not fit, AccessDenied where the role may make none, Refused when something that is not ours
        bears its name.
        """

    def swap(self, origin: str, *, copy: bool = True) -> Swapped:
        """What is beside takes the place of what is in use, which is kept for `undo` unless it was empty.

        `copy` leaves the mark of a copy (`Facts.copy`), which is never backed up; False for production itself.
        Raises SourceError when sessions do not end in time, naming them; then nothing has changed.
        """

    def undo(self) -> Notes:
        """Exchanges what is in use with what the last swap kept: undone twice, it is as it was. Raises NotFound."""

    def sweep(self) -> Notes:
        """Removes what runs that were killed left beside; a sentence for each."""

    def clear(self, origin: str, *, copy: bool = True) -> None:
        """Empties what is in use, for lack of room, so that `load` can fill it; the mark as in `swap`. No way back."""


@runtime_checkable
class Demanding(Protocol):
    """An engine's optional role: it can tell that a backup will not go in, before anything of what is there goes."""

    def refuse_unfit(self, contents: Contents, folder: Path | None = None) -> None:
        """`folder` is the dump's, once it is there. Raises Unsupported, RestoreError, as `load` would."""


@runtime_checkable
class Settling(Protocol):
    """An engine's optional role: what was loaded is made ready for use, as ANALYZE does."""

    def settle(self) -> None: ...


@runtime_checkable
class Rewindable(Protocol):
    """An engine's optional role: a state that one comes back to."""

    def snapshot(self) -> Notes:
        """Keeps a copy of what is in use, instead of the one that was kept before."""

    def reset(self) -> Notes:
        """What is in use is again as `snapshot` kept it; `undo` brings back what it replaced. Raises NotFound."""


@runtime_checkable
class Identified(Protocol):
    """An engine's optional role: its server is known though the database is not there."""

    def server(self) -> str:
        """What `Facts.identity` would be. Raises Unreachable, AccessDenied."""


@runtime_checkable
class Scripted(Protocol):
    """An engine's optional role: it runs the scripts of a restore (`restore.d`)."""

    SCRIPTS: tuple[str, ...]
    """The endings that it knows: .sql, .js"""

    def script(self, path: Path) -> None:
        """Runs a file inside the database. Raises RestoreError with the place of the error, CommandFailed."""

    def environment(self) -> dict[str, str]:
        """What a shell script needs to reach it: DATABASE_URL without a password, and the client's own variables."""


@runtime_checkable
class Equipped(Protocol):
    """An engine's optional role: its scripts need a program of their own."""

    def equipped(self) -> None:
        """Raises Unsupported where it is not installed: to be asked before a restore begins."""


Answer = bool | int | float
"""What a check gives: whether it holds, or a number."""


@runtime_checkable
class Askable(Protocol):
    """An engine's optional role: it answers a project's questions about its data (`checks.d`)."""

    SCRIPTS: tuple[str, ...]
    """The endings of the files that hold them, as in `Scripted`."""

    def ask(self, question: str, snapshot: str, seconds: float) -> Answer:
        """`question` is a file's text, `snapshot` the moment that the data is of, which it can read.

        Raises SourceError with a sentence about "it" where there is not one value, or one that is neither a boolean
        nor a number; TimeoutError after so many `seconds`.
        """


@dataclass(frozen=True)
class Damage:
    """`part` is a table, an index or a collection; `said` what is wrong with it, without a row's content."""

    part: str
    said: str


@dataclass(frozen=True)
class Examined:
    """`looked` says at what, as in "3 tables and 1 index"; "" where nothing here can do it, which a note tells."""

    looked: str
    damages: tuple[Damage, ...] = ()
    notes: Notes = ()


@runtime_checkable
class Examinable(Protocol):
    """An engine's optional role: its server looks for damage in what it stores.

    Of a copy: what it takes is installed there.
    """

    EXAMINER: str
    """By what, in the server's own words."""

    def examine(self, watch: Watch) -> Examined: ...


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
    for module in _called(engine):
        if hasattr(module, "inspect"):
            module.inspect(folder)


def writes_script(engine: str) -> bool:
    """Whether dumps of this engine (by its name in manifests) can be written as a script."""
    return any(hasattr(module, "script") for module in _called(engine))


@contextmanager
def script(engine: str, folder: Path, only: Collection[str] | None, rows: bool) -> Iterator[Iterator[bytes]]:
    """The dump in `folder` as chunks of a script, whose end means that it is whole. Raises SettingsError."""
    for module in _called(engine):
        if hasattr(module, "script"):
            with module.script(folder, only, rows) as chunks:
                yield chunks
            return
    raise SettingsError(f"a dump of {engine} is no script", "killick fetch gives its files")


def pick(engine: str, contents: Contents, typed: Iterable[str]) -> frozenset[str]:
    """What `load(only=…)` is to be given for the names that somebody typed; a parent means its partitions too.

    Raises SettingsError for a name that can mean several, NotFound (with what comes near) for one that means none.
    """
    parts: Mapping[str, Iterable[str]] = dict.fromkeys(contents.tables, ())
    for module in _called(engine):
        if hasattr(module, "parts"):
            parts = module.parts(contents)
    return picking.pick(typed, parts, contents)


def _called(engine: str) -> list[ModuleType]:
    """The module with this name in manifests, or none."""
    return [module for module in set(modules().values()) if module.__name__.rpartition(".")[2] == engine]


def adopt(found: Path, folder: Path, wanted: str, watch: Watch) -> tuple[str, Adopted] | None:
    """The engine whose dump the file or folder `found` is, by its name in manifests; None where it is nobody's.

    `found` may be moved into `folder`, which is as `dump` would have filled it then. Of several databases in it the
    one called `wanted` is taken. Raises Corrupt where the dump is not whole, or is what a program said instead of one;
    only after that Refused, for what must not be loaded.
    """
    for module in dict.fromkeys(modules().values()):
        if hasattr(module, "adopt"):
            adopted = module.adopt(found, folder, wanted, watch)
            if adopted is not None:
                return module.__name__.rpartition(".")[2], adopted
    return None
