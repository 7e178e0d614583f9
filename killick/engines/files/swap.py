"""What is in a place comes into use, and what was in use goes to a place.

A folder that can be renamed changes places with the other at one moment; where the file system cannot do that, it is
missing for the moment between two renames, and after a crash there the next run puts it back.

A folder that cannot be renamed, being a volume's mount point, keeps its place, and what is at its top is exchanged
entry by entry. A journal says which entry was whose: they are told by their inodes. It has their modes too, since a
folder that we may not write in has to be opened to be moved. A swap that was interrupted is finished by the next run,
and one that meets an error goes back.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from killick.engines import Notes
from killick.engines.files import marks, renaming, tree
from killick.engines.files.dumping import attributes
from killick.engines.files.loading import give
from killick.engines.files.places import Places, remove, writable
from killick.names import escaped


def swap(places: Places, what: str, copy: marks.Copy | None, *, keep_empty: bool) -> bool:
    """`what` is in use instead, and is the `copy` that is named. Tells whether what was in use was kept."""
    if places.inside:
        return _swap_entries(places, what, copy, keep_empty)
    root, coming = places.root, places.at(what)
    marks.write(coming, replace(marks.read(coming), copy=copy))
    if os.path.lexists(root):
        keep = keep_empty or not tree.empty(root)
        marks.write(root, replace(marks.read(root), place="old" if keep else "gone"))
        if not renaming.exchange(coming, root):
            os.rename(root, places.at("out"))  # noqa: PTH104  # names of any bytes, as everywhere here
            os.rename(coming, root)  # noqa: PTH104
    else:
        keep = False
        os.rename(coming, root)  # noqa: PTH104
        remove(places.at("old"))
    _sync_above(root)
    _finish(places)
    return keep


def healed(places: Places) -> Notes:
    """Brings a swap that was interrupted to its one end or the other; a sentence where there was one."""
    root = places.root
    if places.inside:
        journal = _Journal.read(places)
        if journal is None:
            return ()
        journal.finish(places)
        return (f"a swap of {escaped(root)} was interrupted while it exchanged what is in it: it has been finished",)
    if not os.path.lexists(root) and marks.read(places.at("out")).place:
        os.rename(places.at("out"), root)  # noqa: PTH104
        _sync_above(root)
        marks.in_use(root, marks.read(root).copy)
        return (f"a swap of {escaped(root)} was interrupted: {escaped(root)} is as it was",)
    if _finish(places):
        return (f"a swap of {escaped(root)} was interrupted after it had been exchanged: it has been finished",)
    return ()


def unfinished(root: str) -> bool:
    """Whether what is in a folder may be half of one and half of another."""
    return os.path.lexists(Places(root, inside=True).journal)


def _finish(places: Places) -> bool:
    """What was in use goes to where it is kept. Tells whether there was something to do."""
    found = False
    old = places.at("old")
    for path in (places.at("new"), places.at("out")):
        place = marks.read(path).place
        if place in {"old", "gone"}:
            found = True
            remove(old)
            if place == "old":
                os.rename(path, old)  # noqa: PTH104
            else:
                remove(path)
    if os.path.lexists(places.root):
        marks.in_use(places.root, marks.read(places.root).copy)
    _sync_above(places.root)
    return found


def _sync_above(root: str) -> None:
    with suppress(FileNotFoundError, PermissionError):  # a folder that we may write in and not read
        marks.synced(os.path.dirname(root))  # noqa: PTH120


def _swap_entries(places: Places, what: str, copy: marks.Copy | None, keep_empty: bool) -> bool:
    root, coming = places.root, places.at(what)
    journal = _Journal(
        what,
        keep=keep_empty or not tree.empty(root),
        copy=copy,
        was=marks.read(root).copy,
        ours=_entries(root),
        theirs=_entries(coming),
        attributes={"ours": attributes(os.lstat(root)), "theirs": attributes(os.lstat(coming))},
    )
    journal.write(places)
    try:
        journal.move(places)
    except OSError:
        journal.back(places)
        raise
    journal.finish(places)
    return journal.keep


def _entries(root: str) -> dict[str, list[int]]:
    """Inodes and modes."""
    found = {one.name: one.stat(follow_symlinks=False) for one in renaming.entries(root, *tree.hidden(root))}
    return {name: [at.st_ino, at.st_mode] for name, at in found.items()}


@dataclass(frozen=True)
class _Journal:
    """`ours` was in use, `theirs` in the place `what`; `copy` is the mark that `theirs` bears, `was` that of `ours`."""

    what: str
    keep: bool
    copy: marks.Copy | None
    was: marks.Copy | None
    ours: dict[str, list[int]]
    theirs: dict[str, list[int]]
    attributes: dict[str, str]
    moved: bool = False

    @classmethod
    def read(cls, places: Places) -> _Journal | None:
        try:
            with open(places.journal, encoding="utf-8") as file:  # noqa: PTH123
                fields: dict[str, Any] = json.load(file)
        except FileNotFoundError:
            return None
        return cls(**fields)

    def write(self, places: Places) -> None:
        marks.put(places.journal, asdict(self))

    def move(self, places: Places) -> None:
        """Every entry to its new place, from wherever it is."""
        if self.copy is not None:
            marks.write(places.root, marks.Mark(self.copy))  # before the data: a copy must not be taken for production
        with suppress(FileExistsError):
            os.mkdir(places.at("out"), 0o700)  # noqa: PTH102
        marks.write(places.at("out"), marks.Mark(self.was, "old"))
        writable(places.root)
        writable(places.at(self.what))
        for name in sorted(self.ours.keys() | self.theirs.keys()):
            _moved(places, self.what, name, self.ours.get(name), "out", self.theirs.get(name))

    def back(self, places: Places) -> None:
        for name in sorted(self.ours.keys() | self.theirs.keys()):
            _moved(places, self.what, name, self.theirs.get(name), self.what, self.ours.get(name))
        marks.remove(places.at("out"))
        os.rmdir(places.at("out"))  # noqa: PTH106
        marks.write(places.root, marks.Mark(self.was))
        self._give(places.root, "ours")
        self._give(places.at(self.what), "theirs")
        os.unlink(places.journal)  # noqa: PTH108

    def finish(self, places: Places) -> None:
        """From any point on."""
        root, out = places.root, places.at("out")
        if not self.moved:
            self.move(places)
            self._give(root, "theirs")
            self._give(out, "ours")
            marks.synced(root)
            replace(self, moved=True).write(places)
        if os.path.lexists(out):
            remove(places.at(self.what))
            remove(places.at("old"))
            if self.keep:
                os.rename(out, places.at("old"))  # noqa: PTH104
            else:
                remove(out)
        os.unlink(places.journal)  # noqa: PTH108
        marks.in_use(root, self.copy)

    def _give(self, folder: str, whose: str) -> None:
        with suppress(PermissionError):  # a mount point may be somebody else's
            give(folder, ".", self.attributes[whose])


def _moved(
    places: Places, what: str, name: str, leaving: list[int] | None, to: str, arriving: list[int] | None
) -> None:
    """One entry leaves the folder for a place, and another of that name arrives from wherever it is."""
    into, home = f"{places.root}/{name}", f"{places.at(to)}/{name}"
    found = {_inode(path): path for path in (f"{places.at('out')}/{name}", f"{places.at(what)}/{name}", into)}
    now = found.get(leaving[0], "") if leaving else ""
    comes = found.get(arriving[0], "") if arriving else ""
    for path, entry in ((now, leaving), (comes, arriving)):
        if path and entry and stat.S_ISDIR(entry[1]):
            writable(path)
    if now == into and comes and renaming.exchange(comes, into):
        now, comes = comes, into
    if now and now != home:
        os.rename(now, home)  # noqa: PTH104
    if comes and comes != into:
        os.rename(comes, into)  # noqa: PTH104
    for path, entry in ((home, leaving), (into, arriving)):
        if entry and stat.S_ISDIR(entry[1]) and _mode(path) != entry[1]:
            os.chmod(path, stat.S_IMODE(entry[1]))  # noqa: PTH101


def _inode(path: str) -> int:
    """0 where nothing is."""
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return 0


def _mode(path: str) -> int:
    return os.lstat(path).st_mode
