"""What lies beside a folder: one that is being filled, what was in use, a snapshot."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from killick.engines import Notes, Swapped
from killick.engines.files import marks, tree
from killick.engines.files.cloning import clone
from killick.engines.files.dumping import room
from killick.engines.files.places import Places, empty_out, no_mounts, remove
from killick.engines.files.swap import healed, swap
from killick.errors import AccessDenied, NoSpace, NotFound, Refused, SourceError
from killick.figures import size
from killick.names import escaped


@contextmanager
def allowed(root: str) -> Iterator[None]:
    """What the system refuses inside the block, as AccessDenied, NoSpace or SourceError."""
    try:
        with room(root):
            yield
    except PermissionError as error:
        raise AccessDenied(
            f"{escaped(os.fsdecode(error.filename or root))} may not be written",
            "run killick as a user who may write there and beside it, or use --in-place",
        ) from None
    except OSError as error:
        where = f" ({escaped(os.fsdecode(error.filename))})" if error.filename else ""
        raise SourceError(
            f"{escaped(root)} cannot be replaced: {error.strerror}{where}",
            "is something mounted there, or written to? --in-place needs no second folder",
        ) from None


def place(root: str, origin: str, needed: int) -> tuple[str, str]:
    """An empty folder beside, marked as one that is being filled, and the word that tells it from another run's.

    Raises Refused, NoSpace.
    """
    sweep(root)
    places = Places.of(root)
    no_mounts(root)
    for what in ("out", "old"):
        places.check(what)
    _room(places, needed)
    mark = marks.Mark(place="new", origin=origin, run=secrets.token_hex(8))
    return places.make("new", mark), mark.run


def replaced(root: str, origin: str, run: str, copy: bool) -> Swapped:
    """By what was loaded beside; `run` is what `place` gave, "" where nobody knows it.

    Raises NotFound where nothing was, Refused where it is another run's.
    """
    places = Places.of(root)
    healed(places)
    mark = marks.read(places.at("new"))
    if mark.place != "new":
        raise NotFound(f"nothing was loaded beside {escaped(root)}", "restore again")
    if mark.origin != origin or run not in {"", mark.run}:
        raise Refused(f"what is beside {escaped(root)} is another run's", "let one restore end before another begins")
    return _swapped(places, "new", marks.copied(origin, copy), keep_empty=False)


def undone(root: str) -> Notes:
    """Raises NotFound where nothing is kept."""
    notes = sweep(root)
    places = Places.of(root)
    old = marks.read(places.at("old"))
    if old.place != "old":
        raise NotFound(
            f"nothing is kept of what {escaped(root)} held before",
            "it was not replaced, or was empty; killick list shows what can be restored",
        )
    os.makedirs(root, mode=0o700, exist_ok=True)  # noqa: PTH103  # names of any bytes, as everywhere here
    return notes + _swapped(places, "old", old.copy, keep_empty=True).notes


def sweep(root: str) -> Notes:
    """Ends a swap that was interrupted, and removes what was never finished."""
    places = Places.of(root)
    notes = healed(places)
    new = places.at("new")
    if marks.read(new).place == "snapshot":
        _kept(places)
    begun = tree.empty(new) and (marks.ours(new) or (places.inside and os.path.lexists(new)))  # not marked yet
    if begun or marks.read(new).place == "new":
        remove(new)
        notes += (f"{escaped(new)} was not finished, and is gone",)
    if places.inside:
        marks.in_use(root, marks.read(root).copy)
    return notes


def clear(root: str, origin: str, copy: bool) -> None:
    """What the last swap kept goes too: room is wanted, and it is not what `undo` would be expected to bring."""
    sweep(root)
    Places(root, inside=True).check("new")
    os.makedirs(root, mode=0o700, exist_ok=True)  # noqa: PTH103
    old = Places.of(root).at("old")
    if marks.read(old).place == "old":
        remove(old)
    empty_out(root)
    marks.in_use(root, marks.copied(origin, copy))


def snapshot(name: str, root: str) -> Notes:
    """`name` is the source's, for errors."""
    notes = sweep(root)
    places = Places.of(root)
    no_mounts(root)
    places.check("snapshot")
    new = places.make("new", marks.Mark(place="new"))
    notes += clone(name, root, new)
    os.sync()
    marks.write(new, marks.Mark(marks.read(root).copy, "snapshot"))
    _kept(places)
    return (*notes, f"{escaped(root)} is kept as it is in {escaped(places.at('snapshot'))}")


def _kept(places: Places) -> None:
    """What was copied to `new`, whole, is the snapshot."""
    remove(places.at("snapshot"))
    os.rename(places.at("new"), places.at("snapshot"))  # noqa: PTH104


def reset(name: str, root: str) -> Notes:
    """Raises NotFound where there is no snapshot."""
    notes = sweep(root)
    places = Places.of(root)
    kept = marks.read(places.at("snapshot"))
    if kept.place != "snapshot":
        raise NotFound(f"there is no snapshot of {escaped(root)}", "killick snapshot makes one")
    no_mounts(root)
    for what in ("out", "old"):
        places.check(what)
    new = places.make("new", marks.Mark(place="new"))
    notes += clone(name, places.at("snapshot"), new)
    return notes + _swapped(places, "new", kept.copy, keep_empty=False).notes


def _swapped(places: Places, what: str, copy: marks.Copy | None, *, keep_empty: bool) -> Swapped:
    root = places.root
    if what == "new":
        os.sync()  # all of it is on the disk before it is in use
    kept = swap(places, what, copy, keep_empty=keep_empty)
    notes = []
    if places.inside:
        notes.append(f"{escaped(root)} cannot be renamed: what is in it was exchanged, one entry after the other")
    if kept:
        notes.append(f"what was in {escaped(root)} is kept in {escaped(places.at('old'))}")
    return Swapped(kept, tuple(notes))


def _room(places: Places, needed: int) -> None:
    folder = os.path.dirname(places.at("new"))  # noqa: PTH120
    while not os.path.isdir(folder):  # noqa: PTH112
        folder = os.path.dirname(folder)  # noqa: PTH120
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NoSpace(
            f"{escaped(folder)} has {size(free)} free, and {size(needed)} would go in beside {escaped(places.root)}",
            "free some space, or use --in-place, which empties the folder first",
        )
