"""What a throwaway is: an empty server (or folder) of the source's version, cut off, and gone afterwards.

A module of this package is a kind of throwaway when it has
    KIND: str                                         its name in VERIFY_IN
    ENGINES: tuple[str, ...]                          for which engines it has servers
    def missing(manifest: Manifest) -> str            why it cannot hold this backup here, "" when it can
    def start(manifest: Manifest, scratch: Path) -> AbstractContextManager[Copy]
                                                      raises Unverifiable; leaves nothing behind, whatever happens
    def sweep(scratch: Path) -> list[str]             removes what runs that were killed left; names of it
The contract suite (tests/contract/test_throwaways.py) runs over every such module.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from killick.engines import Source
from killick.errors import Unverifiable
from killick.manifest import Manifest

AUTO = ("process", "container")
"""In which order the kinds are tried: a process needs no Docker socket."""


@dataclass(frozen=True)
class Copy:
    """A throwaway that is up and empty. `source` is connected to like any other.

    `network` and `files` say how it is cut off, and by what; "open: …" with the reason where it is not.
    `kill` ends the server at once, from any thread; whoever waits for it gets an error.
    """

    source: Source
    where: str
    version: str
    network: str
    files: str
    user: str
    notes: tuple[str, ...] = ()
    kill: Callable[[], None] = field(default=lambda: None, repr=False)


@contextmanager
def throwaway(manifest: Manifest, scratch: Path, where: str = "auto") -> Iterator[Copy]:
    """An empty throwaway for this backup. `where`: a kind, or auto. Raises Unverifiable when there can be none."""
    with pick(manifest, where).start(manifest, scratch) as copy:
        yield copy


def pick(manifest: Manifest, where: str) -> ModuleType:
    """Raises Unverifiable, naming what each kind lacks."""
    kinds = modules()
    wanted = [kind for kind in AUTO if kind in kinds] if where == "auto" else [where]
    why = []
    for name in wanted:
        kind = kinds.get(name)
        if kind is None:
            raise Unverifiable(
                f"there is no throwaway {where!r}", f"VERIFY_IN is one of auto, {', '.join(sorted(kinds))}"
            )
        if manifest.engine not in kind.ENGINES:
            why.append(f"{name}: none for {manifest.engine}")
            continue
        reason = kind.missing(manifest)
        if not reason:
            return kind
        why.append(f"{name}: {reason}")
    raise Unverifiable(
        f"no throwaway for {manifest.engine} {manifest.server_version} here ({'; '.join(why)})",
        "use the image killick:verify, or install a server of that version and name its folder in PROGRAMS",
        reason="version",
    )


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
