"""Renames: one for another in one step, where the system knows how; and what stands in their way."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

_AT_FDCWD = -100  # fcntl.h
_RENAME_EXCHANGE = 2  # linux/fs.h
_UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


def exchange(one: str, other: str) -> bool:
    """Each has the other's name, at one moment; False where the system or the file system cannot. Raises OSError."""
    call = _renameat2()
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), one)


@cache
def _renameat2() -> Any:
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc 2.28, musl 1.2.5
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return call


def can_be_renamed(root: str) -> bool:
    """Whether a folder, or one that is to be there, can change places with another beside it."""
    parent = os.path.dirname(root)  # noqa: PTH120  # names of any bytes, as everywhere here
    if parent == root or os.path.islink(root) or root in mounts():  # noqa: PTH114
        return False
    while not os.path.lexists(parent):
        parent = os.path.dirname(parent)  # noqa: PTH120
    if not os.access(parent, os.W_OK | os.X_OK, effective_ids=True):
        return False
    above = os.stat(parent)  # noqa: PTH116
    if not os.path.lexists(root):
        return True
    at = os.lstat(root)
    sticky = above.st_mode & stat.S_ISVTX and os.geteuid() not in {0, at.st_uid, above.st_uid}
    return at.st_dev == above.st_dev and not sticky


def mounts(below: str = "") -> set[str]:
    """Every mount point, or those below a folder (proc(5), mountinfo). The same device can be mounted twice."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return set()
    found = {os.fsdecode(_plain(line.split(b" ")[4])) for line in lines}
    return {path for path in found if path.startswith(f"{below}/")} if below else found


def _plain(path: bytes) -> bytes:
    """Spaces, tabs, line breaks and backslashes are written as octal numbers."""
    return re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), path)


def entries(root: str, *left_out: str) -> Iterator[os.DirEntry[str]]:
    """What lies at the top of a folder; nothing where there is none."""
    try:
        with os.scandir(root) as found:
            yield from [one for one in found if one.name not in left_out]
    except FileNotFoundError:
        return
