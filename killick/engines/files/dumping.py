"""A folder into a dump. The copy has modes that we can work with; the true ones are recorded in its contents."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from killick.contents import Contents, Table
from killick.engines.files import copying, tree
from killick.engines.files.unread import Unread, opened, some
from killick.errors import EmptyDump, NoSpace, SettingsError
from killick.names import escaped
from killick.watch import Watch

FOLDER = "files"
HARD_LINKS = "hard links"  # of Contents.groups: the first name of the same file
_SYSTEMS = ("security.selinux", "security.ima", "security.evm")
_STEP = 8 << 20  # bytes between two words of progress


def dump(source: str, root: str, exclude: Iterable[str], folder: Path, watch: Watch) -> Contents:
    if folder.resolve().is_relative_to(Path(root).resolve()):
        raise SettingsError(f"source {source}: the scratch folder {folder} lies in {root}: move SCRATCH_DIR")
    copy = _Copy(root, f"{folder}/{FOLDER}", Unread(source, root), watch)
    with room(folder):
        for entry in tree.walk(root, exclude, copy.unread.told):
            copy.take(entry)
    copy.unread.check()
    if len(copy.attributes) < 2:
        raise EmptyDump(
            f"source {source}: there is nothing in {root}",
            "is the volume mounted? A folder that is meant to be empty can hold a file named .keep",
        )
    return copy.contents()


def attributes(at: os.stat_result) -> str:
    """Mode, owner, group, time of change in nanoseconds: what a tar's header is made of."""
    return f"{stat.S_IMODE(at.st_mode):04o} {at.st_uid} {at.st_gid} {at.st_mtime_ns}"


def extended(path: str) -> bool:
    """Whether it has attributes that somebody gave it, an ACL among them; those of SELinux come from the system."""
    try:
        return any(not name.startswith(_SYSTEMS) for name in os.listxattr(path, follow_symlinks=False))
    except OSError:  # a file system without, or the file has just gone
        return False


@contextmanager
def room(folder: Path | str) -> Iterator[None]:
    """Raises NoSpace where the block found none."""
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise NoSpace(f"no space left for {folder}", "free some space; SCRATCH_DIR can lie elsewhere") from None


class _Copy:
    def __init__(self, root: str, out: str, unread: Unread, watch: Watch) -> None:
        self.root, self.out, self.unread, self.watch = root, out, unread, watch
        self.tables: dict[str, Table] = {}
        self.attributes: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.hard: dict[str, str] = {}
        self.extended: list[str] = []
        self.changed: list[str] = []
        self.special: list[str] = []
        self.done = self.told = 0
        self._first: dict[tuple[int, ...], tuple[str, str]] = {}

    def take(self, entry: tree.Entry) -> None:
        """One entry; one that cannot be read is remembered, and after the first such nothing is copied any more."""
        try:
            self._take(entry, escaped(entry.path), tree.joined(self.out, entry.path))
        except OSError as error:
            theirs = isinstance(error, PermissionError | FileNotFoundError | NotADirectoryError)
            if not theirs and error.errno != errno.ENAMETOOLONG:
                raise
            self.unread.told(entry.path, error)

    def _take(self, entry: tree.Entry, name: str, target: str) -> None:
        if entry.folder:
            os.mkdir(target, 0o700)  # noqa: PTH102  # names of any bytes, as everywhere here
        elif entry.link:
            link = os.readlink(tree.joined(self.root, entry.path))  # noqa: PTH115
            os.symlink(link, target)  # noqa: PTH211
            self.links[name] = escaped(link)
        elif not entry.file:
            self.special.append(name)
            return
        elif self.unread:
            self.unread.tries(entry.path)
            return
        elif not self._file(entry, name, target):
            return
        self.attributes[name] = attributes(entry.at)
        if extended(tree.joined(self.root, entry.path)):
            self.extended.append(name)

    def _file(self, entry: tree.Entry, name: str, target: str) -> bool:
        """False where it is no file any more."""
        first = self._first.get(entry.shared)
        if first:
            os.link(first[0], target)
            self.tables[name] = self.tables[first[1]]
            self.hard[name] = first[1]
            return True
        try:
            file = opened(tree.joined(self.root, entry.path))
        except OSError as error:
            self.unread.told(entry.path, _replaced(error))
            return False
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                self.special.append(name)
                return False
            copied = copying.copy(file, target)
        finally:
            os.close(file)
        self.tables[name] = copied.table
        if copied.changed or copied.table.rows != entry.at.st_size:
            self.changed.append(name)
        if entry.shared:
            self._first[entry.shared] = (target, name)
        self.done += copied.table.rows
        if self.done - self.told >= _STEP:
            self.told = self.done
            self.watch(self.done)
        return True

    def contents(self) -> Contents:
        told = (
            (self.changed, "changed while being read, and are stored as they were read"),
            (self.unread.vanished, "were deleted before they were read"),
            (self.special, "are sockets, pipes or devices, and are left out"),
            (self.extended, "have extended attributes or ACLs, which are not kept"),
        )
        return Contents(
            tables=self.tables,
            groups={"attributes": self.attributes, "links": self.links, HARD_LINKS: self.hard},
            notes=tuple(f"{len(names):,} files {what}: {some(names)}" for names, what in told if names),
        )


def _replaced(error: OSError) -> OSError:
    """A file that has become a link, or a socket, since it was seen is as good as deleted."""
    return FileNotFoundError() if error.errno in {errno.ELOOP, errno.ENXIO} else error
