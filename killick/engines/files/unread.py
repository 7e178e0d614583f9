"""Files that cannot be read: all are counted, some are named, and the source fails with the cure."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from dataclasses import dataclass, field

from killick.engines.files import tree
from killick.errors import AccessDenied, SourceError
from killick.names import escaped

_NAMED = 5
_TOLD = 80  # letters of a path that is too long


def some(found: Collection[str]) -> str:
    """The first few, and how many more there are."""
    names = sorted(found)
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


@dataclass
class Unread:
    """`vanished` were deleted between being seen and being read: that is no error. `long` are paths that the system
    does not take as one (4,095 bytes), in the folder or in the dump, which lies deeper."""

    source: str
    root: str
    denied: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    long: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.denied or self.broken or self.long)

    def told(self, path: str, error: OSError) -> None:
        if isinstance(error, PermissionError):
            self.denied.append(escaped(path))
        elif isinstance(error, FileNotFoundError | NotADirectoryError):
            self.vanished.append(escaped(path))
        elif error.errno == errno.ENAMETOOLONG:
            self.long.append(f"{escaped(path)[:_TOLD]}…")
        else:
            self.broken.append(f"{escaped(path)} ({error.strerror})")

    def tries(self, path: str) -> None:
        """Whether a file can be opened."""
        try:
            os.close(opened(tree.joined(self.root, path)))
        except OSError as error:
            self.told(path, error)

    def check(self) -> None:
        """Raises AccessDenied or SourceError when one could not be read."""
        if self.denied:
            raise AccessDenied(
                f"source {self.source}: {len(self.denied):,} files or folders in {self.root} cannot be read: "
                f"{some(self.denied)}",
                "run killick as user 0:0 with cap_drop: [ALL] and cap_add: [DAC_READ_SEARCH], "
                f"or leave them out with EXCLUDE_{self.source.upper()}",
            )
        if self.long:
            raise SourceError(
                f"source {self.source}: {len(self.long):,} paths in {self.root} are too long to be copied: "
                f"{some(self.long)}",
                "give SCRATCH_DIR a short name such as /s, mount the folder at a short one, or leave them out with "
                f"EXCLUDE_{self.source.upper()}",
            )
        if self.broken:
            raise SourceError(
                f"source {self.source}: {len(self.broken):,} files in {self.root} cannot be read: {some(self.broken)}",
                "look at the disk that they lie on",
            )


def opened(path: str) -> int:
    """A descriptor of a file, never of what a link points to; does not wait for the writer of a pipe."""
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
