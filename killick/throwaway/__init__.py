"""What a throwaway is: an empty server (or folder) of the source's version, cut off, and gone afterwards.

A module of this package is a kind of throwaway when it has
    KIND: str                                         its name in VERIFY_IN
    ENGINES: tuple[str, ...]                          for which engines it has servers
    def lacking() -> Unverifiable | None              why there is none of it here; quick, and loads no driver
    def missing(manifest: Manifest) -> Unverifiable | None
                                                      why it cannot hold this backup here
    def start(manifest: Manifest, scratch: Path, terms: Terms) -> AbstractContextManager[Copy]
                                                      raises Unverifiable; leaves nothing behind, whatever happens
    def sweep(scratch: Path) -> list[str]             removes what runs that were killed left; names of it
The contract suite (tests/contract/test_throwaways.py) runs over every such module.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from killick.engines import Source
from killick.errors import Unverifiable
from killick.limits import Limits
from killick.manifest import Manifest

AUTO = ("process", "container")
"""In which order the kinds are tried: a process needs no Docker socket."""


_SERVERLESS = "files"
"""Put back by ourselves, running nobody's code: in a process's folder, wherever servers are to run."""


@dataclass(frozen=True)
class Terms:
    """What a throwaway may use: `memory` in bytes, `cpus` as processors (0: all that there are).

    `images` are images by the official ones that they stand for: VERIFY_IMAGES.
    """

    memory: int = 512 << 20
    cpus: float = 0.0
    images: Mapping[str, str] = field(default_factory=dict)

    def within(self, use: Limits) -> Limits:
        """What is left of `use`: a part of a processor is a whole one."""
        return Limits(min(use.memory, self.memory), min(use.cpus, math.ceil(self.cpus)) if self.cpus else use.cpus)


@dataclass(frozen=True)
class App:
    """A program of the project's, to be run against a copy. `image`: the one that holds it; "" for beside killick."""

    argv: tuple[str, ...] = field(repr=False)
    image: str = ""


@dataclass(frozen=True)
class Ended:
    """How an App ended: its exit status (negative: the signal), where it ran, and how it was cut off, as a Copy is."""

    status: int
    where: str
    network: str
    files: str


@dataclass(frozen=True)
class Copy:
    """A throwaway that is up and empty. `source` is connected to like any other.

    `network` and `files` say how it is cut off, and by what; "open: …" with the reason where it is not.
    `kill` ends the server at once, from any thread; whoever waits for it gets an error.
    `run` runs an App that reaches this copy and nothing else, for so many seconds at most (None: as long as it takes);
    what it says goes nowhere. Raises Unverifiable where it cannot be started, TimeoutError. None: there is no server.
    """

    source: Source
    where: str
    version: str
    network: str
    files: str
    user: str
    notes: tuple[str, ...] = ()
    kill: Callable[[], None] = field(default=lambda: None, repr=False)
    run: Callable[[App, float | None], Ended] | None = field(default=None, repr=False)


@contextmanager
def throwaway(manifest: Manifest, scratch: Path, where: str = "auto", terms: Terms | None = None) -> Iterator[Copy]:
    """An empty throwaway for this backup. `where`: a kind, or auto. Raises Unverifiable when there can be none."""
    with pick(manifest, where).start(manifest, scratch, terms or Terms()) as copy:
        yield copy


def pick(manifest: Manifest, where: str) -> ModuleType:
    """Raises Unverifiable, naming what each kind lacks."""

    def lack(kind: ModuleType) -> Unverifiable | None:
        if manifest.engine not in kind.ENGINES:
            return Unverifiable(f"none for {manifest.engine}", reason="version")
        problem: Unverifiable | None = kind.missing(manifest)
        return problem

    kinds = _kinds(where)
    if manifest.engine == _SERVERLESS:
        kinds = _kinds("process")
    return _first(kinds, lack, f"no throwaway for {manifest.engine} {manifest.server_version} here")


def first(where: str = "auto") -> str:
    """The kind that would be tried first here. Raises Unverifiable where none could hold anything."""
    return str(_first(_kinds(where), lambda kind: kind.lacking(), "no throwaway here").KIND)


def _kinds(where: str) -> list[ModuleType]:
    """In the order that they are asked. Raises Unverifiable for one that there is not."""
    kinds = modules()
    if where == "auto":
        return [kinds[name] for name in AUTO]
    if where not in kinds:
        raise Unverifiable(f"there is no throwaway {where!r}", f"VERIFY_IN is one of auto, {', '.join(sorted(kinds))}")
    return [kinds[where]]


def _first(kinds: list[ModuleType], lack: Callable[[ModuleType], Unverifiable | None], none: str) -> ModuleType:
    """Raises Unverifiable that begins with `none`; its cure and reason are those of the kind that was asked first."""
    problems = {}
    for kind in kinds:
        problem = lack(kind)
        if problem is None:
            return kind
        problems[kind.KIND] = problem
    why = "; ".join(f"{name}: {problem.message}" for name, problem in problems.items())
    foremost = problems[kinds[0].KIND]
    raise Unverifiable(f"{none} ({why})", foremost.hint, reason=foremost.reason)


def sweep(scratch: Path) -> list[str]:
    """Removes what verifications that were killed left behind, of every kind."""
    return [name for kind in modules().values() for name in kind.sweep(scratch)]


def modules() -> dict[str, ModuleType]:
    """Every kind by its name."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        if not info.name.startswith("_") and info.name != "confine":
            module = importlib.import_module(f"{__name__}.{info.name}")
            found[module.KIND] = module
    return found
