"""Where a folder's places are: beside it, or, where it cannot be renamed (it is a volume's mount point), inside it."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from killick.engines.files import marks, renaming, tree
from killick.errors import Refused, SourceError
from killick.names import escaped

_LONGEST = 255  # bytes of a name in Linux' file systems (limits.h, NAME_MAX)


@dataclass(frozen=True)
class Places:
    """`new` is being filled, `out` is what a swap has just taken away, `old` what `undo` brings back."""

    root: str
    inside: bool

    @classmethod
    def of(cls, root: str) -> Places:
        return cls(root, not renaming.can_be_renamed(root))

    def at(self, what: str) -> str:
        if self.inside:
            return f"{self.root}/{marks.NAME}/{what}"
        parent, name = os.path.split(self.root)
        if len(os.fsencode(f"{name}__{what}")) > _LONGEST:
            end = f"_{sha256(os.fsencode(name)).hexdigest()[:8]}__{what}"
            name = os.fsdecode(os.fsencode(name)[: _LONGEST - len(end)]) + end
            return os.path.join(parent, name)  # noqa: PTH118  # names of any bytes, as everywhere here
        return f"{self.root}__{what}"

    @property
    def journal(self) -> str:
        """Of a swap inside: which entries were whose."""
        return f"{self.root}/{marks.NAME}/journal.json"

    def make(self, what: str, mark: marks.Mark) -> str:
        """An empty folder that bears a mark. Raises Refused where somebody else's is there."""
        self.check(what)
        if self.inside:
            marks.write(self.root, marks.read(self.root))
        path = self.at(what)
        os.makedirs(path, mode=0o700, exist_ok=True)  # noqa: PTH103
        marks.write(path, mark)
        return path

    def check(self, what: str) -> None:
        """Raises Refused where something that is not killick's is in that place. An empty folder is nobody's."""
        path = f"{self.root}/{marks.NAME}" if self.inside else self.at(what)
        known = marks.ours(self.root) if self.inside else bool(marks.read(path).place) or _nobodys(path)
        if os.path.lexists(path) and not known:
            raise Refused(f"{escaped(path)} is there, and is not killick's", "rename or remove it, and try again")


def _nobodys(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path) and tree.empty(path)  # noqa: PTH112, PTH114


def remove(path: str) -> None:
    """A place, if it is there; its mark last, so that it is known for killick's until it is gone."""
    if os.path.lexists(path):
        empty_out(path)
        marks.remove(path)
        os.rmdir(path)  # noqa: PTH106


def empty_out(root: str) -> None:
    """Removes what a folder holds. Raises SourceError where something is mounted in it."""
    no_mounts(root)
    writable(root)
    for one in renaming.entries(root, *tree.hidden(root)):
        if one.is_dir(follow_symlinks=False):
            _opened(one.path)
            with suppress(FileNotFoundError):
                shutil.rmtree(one.path)
        else:
            with suppress(FileNotFoundError):
                os.unlink(one.path)  # noqa: PTH108


def no_mounts(root: str) -> None:
    """Raises SourceError for a mount point in a folder: it can neither be moved nor removed."""
    if found := renaming.mounts(root):
        raise SourceError(
            f"{escaped(min(found))} in {escaped(root)} is a mount point, and cannot be replaced",
            "unmount it, and try again",
        )


def writable(folder: str) -> None:
    """Gives us the rights to a folder of our own, without which nothing in it can be moved or removed."""
    at = os.lstat(folder)
    if at.st_uid == os.geteuid() and stat.S_IMODE(at.st_mode) & 0o700 != 0o700:
        os.chmod(folder, stat.S_IMODE(at.st_mode) | 0o700)  # noqa: PTH101


def _opened(folder: str) -> None:
    pending = [folder]
    while pending:
        path = pending.pop()
        writable(path)
        pending += [one.path for one in renaming.entries(path) if one.is_dir(follow_symlinks=False)]
