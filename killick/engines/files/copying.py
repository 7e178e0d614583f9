"""One file: read once, hashed and written as it passes, holes left as holes.

By read and write: a source and the scratch folder are different mounts, where no file system shares blocks, and what
copy_file_range moves would have to be read again for its hash.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from killick.contents import Table

_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)
_FICLONE = 0x40049409  # linux/fs.h


@dataclass(frozen=True, slots=True)
class Copied:
    """What was stored; `changed` tells that the file was written to meanwhile."""

    table: Table
    changed: bool


def copy(source: int, target: str) -> Copied:
    """The open file `source` to the new file `target`, up to the size that it has now. Raises OSError."""
    before = os.fstat(source)
    to = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        digest = hashlib.sha256(usedforsecurity=False)
        at = 0
        for offset, piece in _pieces(source, before.st_size):
            _hash_zeros(digest, offset - at)
            digest.update(piece)
            _write(to, piece, offset)
            at = offset + len(piece)
        after = os.fstat(source)
        size = max(at, min(before.st_size, after.st_size))
        _hash_zeros(digest, size - at)
        os.ftruncate(to, size)
    finally:
        os.close(to)
    changed = (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns)
    return Copied(Table(size, digest.hexdigest()), changed)


def cloned(source: int, target: str) -> None:
    """The same without a hash: the blocks are shared where the file system can, until one of the two is changed."""
    to = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.ioctl(to, _FICLONE, source)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise
        os.unlink(target)  # noqa: PTH108  # names of any bytes
        copy(source, target)
    finally:
        os.close(to)


def taken(path: str) -> Table:
    """Size and hash of a file as it is."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        digest = hashlib.sha256(usedforsecurity=False)
        at = 0
        for offset, piece in _pieces(file, size):
            _hash_zeros(digest, offset - at)
            digest.update(piece)
            at = offset + len(piece)
        _hash_zeros(digest, size - at)
        return Table(size, digest.hexdigest())
    finally:
        os.close(file)


def _pieces(file: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Data with its offset, without the holes; ends early where the file was cut."""
    at = 0
    while at < size:
        start, end = _extent(file, at, size)
        if start >= size:
            return
        at = start
        while at < end:
            piece = os.pread(file, min(_CHUNK, end - at), at)
            if not piece:
                return
            yield at, piece
            at += len(piece)


def _extent(file: int, at: int, size: int) -> tuple[int, int]:
    """The next stretch of data; file systems that know no holes tell one that reaches to the end."""
    if size <= _CHUNK >> 8:
        return at, size  # no room for a hole that is worth two calls
    try:
        start = os.lseek(file, at, os.SEEK_DATA)
        return start, min(size, os.lseek(file, start, os.SEEK_HOLE))
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size, size
        if error.errno == errno.EINVAL:
            return at, size
        raise


def _hash_zeros(digest: hashlib._Hash, count: int) -> None:
    while count > 0:
        digest.update(_ZEROS[: min(count, _CHUNK)])
        count -= _CHUNK


def _write(file: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
