"""A folder as a stream of tar, which stock tools read, and back.

Written here rather than by tar(1) for four things at once: the bytes are hashed as they pass; each file is deleted
as soon as it has gone by, so that scratch never holds everything twice; the owners in the headers are those that the
source had, though the copy was made by somebody without the right to give files away; and holes stay holes
(GNU's sparse format 1.0 in pax headers). Read back by GNU tar, which knows how to be careful.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from killick.contents import Contents
from killick.errors import CommandFailed, Corrupt, KillickError, NoSpace
from killick.names import escaped
from killick.process import Command, write_to

_CHUNK = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_HOLE = 1 << 16  # smaller holes are written as zeros: they cost less than their place in the map


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a header says instead of what the file in scratch says. `mtime` in nanoseconds."""

    mode: int
    uid: int
    gid: int
    mtime: int


AttributesOf = Callable[[str], Attributes | None]


def attributes_of(contents: Contents) -> AttributesOf:
    """What an engine recorded of paths under files/: the group "attributes", "<mode> <uid> <gid> <mtime in ns>".

    The names in it are escaped (names.py); "." is the folder itself.
    """
    recorded = contents.groups.get("attributes", {})

    def of(path: str) -> Attributes | None:
        top, _, below = path.partition("/")
        entry = recorded.get(escaped(below) or ".") if top == "files" else None
        if entry is None:
            return None
        mode, uid, gid, mtime = entry.split()[:4]
        return Attributes(int(mode, 8), int(uid), int(gid), int(mtime))

    return of


def pack(
    folder: Path, first: tuple[str, bytes], attributes: AttributesOf = lambda _path: None, *, remove: bool = True
) -> Iterator[bytes]:
    """The folder as tar, sorted by name, with one member made of `first` (its name and bytes) before all others.

    `attributes` is asked with each path relative to `folder`. With `remove` what has been written is deleted.
    """
    name, data = first
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o644, 0
    yield _header(info, {})
    yield from _padded([data], len(data))
    seen: dict[tuple[int, int], str] = {}
    yield from _pack(folder, "", attributes, seen, remove)
    yield b"\0" * (2 * _BLOCK)


def _pack(
    folder: Path, prefix: str, attributes: AttributesOf, seen: dict[tuple[int, int], str], remove: bool
) -> Iterator[bytes]:
    for entry in sorted(os.scandir(folder), key=lambda e: os.fsencode(e.name)):
        path = f"{prefix}{entry.name}"
        at = entry.stat(follow_symlinks=False)
        given = attributes(path)
        info = tarfile.TarInfo(path)
        mtime = at.st_mtime_ns if given is None else given.mtime
        info.mode = stat.S_IMODE(at.st_mode if given is None else given.mode)
        info.uid, info.gid = (at.st_uid, at.st_gid) if given is None else (given.uid, given.gid)
        info.mtime = mtime // 1_000_000_000
        pax = {"mtime": f"{mtime // 1_000_000_000}.{mtime % 1_000_000_000:09d}"} if mtime % 1_000_000_000 else {}
        if entry.is_dir(follow_symlinks=False):
            info.type = tarfile.DIRTYPE
            yield _header(info, pax)
            yield from _pack(Path(entry.path), f"{path}/", attributes, seen, remove)
            if remove:
                Path(entry.path).rmdir()
            continue
        if entry.is_symlink():
            info.type, info.linkname = tarfile.SYMTYPE, os.readlink(entry.path)  # noqa: PTH115  # may hold any bytes
            yield _header(info, pax)
        elif (at.st_dev, at.st_ino) in seen:  # its count of links is down to 1 once the others were removed
            info.type, info.linkname = tarfile.LNKTYPE, seen[at.st_dev, at.st_ino]
            yield _header(info, pax)
        else:
            if at.st_nlink > 1:
                seen[at.st_dev, at.st_ino] = path
            yield from _file(Path(entry.path), info, at.st_size, pax)
        if remove:
            Path(entry.path).unlink()


def _file(path: Path, info: tarfile.TarInfo, size: int, pax: dict[str, str]) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        extents = _extents(file.fileno(), size)
        held = sum(length for _at, length in extents)
        if held == size:
            info.size = size
            yield _header(info, pax)
            yield from _padded(_read(file, [(0, size)]), size)
            return
        # the map: a count, then offset and length of each piece, in decimal, padded to a block; it ends at the end
        extents = [*extents, (size, 0)]
        table = "".join(f"{n}\n" for n in [len(extents), *(n for extent in extents for n in extent)]).encode()
        table += b"\0" * (-len(table) % _BLOCK)
        pax = {
            **pax,
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": info.name,
            "GNU.sparse.realsize": str(size),
        }
        info.size = len(table) + held
        folder, _, base = info.name.rpartition("/")
        info.name = f"{folder}/GNUSparseFile.0/{base}" if folder else f"GNUSparseFile.0/{base}"
        yield _header(info, pax)
        yield table
        yield from _padded(_read(file, extents), held)


def _extents(descriptor: int, size: int) -> list[tuple[int, int]]:
    """(offset, length) of what is data; small holes are joined. [(0, size)] where the file system cannot tell."""
    found: list[tuple[int, int]] = []
    at = 0
    while at < size:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                break
            return [(0, size)]
        end = min(size, os.lseek(descriptor, begin, os.SEEK_HOLE))
        if found and begin - sum(found[-1]) < _HOLE:
            found[-1] = (found[-1][0], end - found[-1][0])
        else:
            found.append((begin, end - begin))
        at = end
    if found and found[0][0] < _HOLE:
        found[0] = (0, sum(found[0]))
    if found and size - sum(found[-1]) < _HOLE:
        found[-1] = (found[-1][0], size - found[-1][0])
    return found


def _read(file: io.FileIO, extents: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    for at, length in extents:
        file.seek(at)
        left = length
        while left:
            chunk = file.read(min(_CHUNK, left))
            if not chunk:
                raise KillickError(
                    f"{file.name!r} shrank while it was packed", "nothing else may write into SCRATCH_DIR"
                )
            left -= len(chunk)
            yield chunk


def _padded(data: Iterable[bytes], size: int) -> Iterator[bytes]:
    yield from data
    if size % _BLOCK:
        yield b"\0" * (-size % _BLOCK)


def _header(info: tarfile.TarInfo, pax: dict[str, str]) -> bytes:
    info.pax_headers = pax
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def unpack(data: Iterable[bytes], folder: Path) -> None:
    """Extracts a stream of tar into `folder`, as ourselves: no owner is set, modes and times are.

    Raises Corrupt when it is not a whole tar, NoSpace, or what `data` raises.
    """
    command = Command(
        ("tar", "--extract", "--file", "-", "--directory", str(folder), "--no-same-owner", "--preserve-permissions",
         "--delay-directory-restore", "--no-ignore-command-error", "--warning=no-unknown-keyword")
    )  # fmt: skip
    try:
        with write_to(command) as sink:
            for chunk in data:
                sink.write(chunk)
    except NoSpace:
        raise
    except CommandFailed as error:
        if error.program != "tar":  # the codec before it
            raise
        raise Corrupt(
            f"the archive does not hold a whole tar: {error.stderr}", "restore the backup before it"
        ) from None
