"""What lies in a tar: its plain files, taken out so that none can land outside of the folder."""

from __future__ import annotations

import errno
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tarfile import TarFile, TarInfo

from killick.errors import Corrupt, NoSpace
from killick.names import escaped
from killick.older.layers import head
from killick.stream import CHUNK

_HINT = "take another backup: killick list"


def is_tar(path: Path) -> bool:
    """A tar of nothing is one too: blocks of zeros."""
    first = head(path, tarfile.BLOCKSIZE)
    if len(first) < tarfile.BLOCKSIZE:
        return False
    try:
        TarInfo.frombuf(first, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return not any(first)
    return True


def unpack(path: Path, folder: Path) -> list[Path]:
    """The files that were in it, in the order of their names. Links and devices are passed over.

    Raises Corrupt where the tar is cut or a name leads out of it, NoSpace.
    """
    with _whole(path) as tar:
        try:
            for member in tar:
                if member.isreg():
                    _take(tar, member, folder)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace("scratch is full", "give SCRATCH_DIR a larger volume") from None
            raise Corrupt(f"a name in it cannot be that of a file: {error.strerror}", _HINT) from None
    return sorted(found for found in folder.rglob("*") if found.is_file())


def check(path: Path) -> None:
    """Raises Corrupt where the tar is cut; nothing is taken out."""
    with _whole(path) as tar:
        for _member in tar:
            pass


@contextmanager
def _whole(path: Path) -> Iterator[TarFile]:
    """For a block that reads every member."""
    try:
        with tarfile.open(path, "r:") as tar:
            yield tar
            end = tar.offset
    except tarfile.TarError as error:
        raise Corrupt(f"it is no whole tar: {error}", _HINT) from None
    with path.open("rb") as file:
        file.seek(end)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):  # where Python's reader ends, and says nothing
            raise Corrupt("it is no whole tar: its end is missing", _HINT)


def _take(tar: TarFile, member: TarInfo, folder: Path) -> None:
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise Corrupt(f"a name in it leads out of the tar: {escaped(member.name)}", _HINT)
    target = folder.joinpath(*parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None  # noqa: S101  # it is a plain file
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file, CHUNK)
        if file.tell() != member.size:
            raise Corrupt(f"it is no whole tar: it ends inside {escaped(member.name)}", _HINT)
