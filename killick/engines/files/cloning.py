"""A folder as it is, into another: what a snapshot is made of, and what comes back from it."""

from __future__ import annotations

import errno
import os

from killick.engines import Notes
from killick.engines.files import copying, tree
from killick.engines.files.dumping import attributes
from killick.engines.files.loading import give
from killick.engines.files.unread import Unread, opened, some
from killick.names import escaped


def clone(name: str, source: str, root: str) -> Notes:
    """Into `root`, which is there and empty; `name` is the source's, for errors.

    Raises AccessDenied where something cannot be read, after looking at all. What vanishes meanwhile is left out.
    """
    unread = Unread(name, source)
    made: list[tuple[str, str]] = []
    special: list[str] = []
    first: dict[tuple[int, ...], str] = {}
    for entry in tree.walk(source, failed=unread.told):
        if not (entry.folder or entry.link or entry.file):
            special.append(escaped(entry.path))
            continue
        try:
            _cloned(source, root, entry, first)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise
            unread.told(entry.path, error)
            continue
        made.append((entry.path, attributes(entry.at)))
    unread.check()
    for path, own in reversed(
        made
    ):  # what is in a folder before the folder itself, whose time and rights it would need
        give(root, path, own)
    return (f"{len(special):,} files are sockets, pipes or devices, and are left out: {some(special)}",) * bool(special)


def _cloned(source: str, root: str, entry: tree.Entry, first: dict[tuple[int, ...], str]) -> None:
    from_, to = tree.joined(source, entry.path), tree.joined(root, entry.path)
    if entry.link:
        os.symlink(os.readlink(from_), to)  # noqa: PTH115, PTH211  # names of any bytes
    elif entry.folder and entry.path != ".":
        os.mkdir(to, 0o700)  # noqa: PTH102
    elif entry.file:
        same = first.get(entry.shared)
        if same is not None:
            os.link(same, to, follow_symlinks=False)
            return
        file = opened(from_)
        try:
            copying.cloned(file, to)
        finally:
            os.close(file)
        if entry.shared:
            first[entry.shared] = to
