"""Archives that were fetched, kept for a while: the second restore of a backup downloads nothing.

Each lies in a folder of its own, whose name is its SHA-256 and whose time is that of its last use. An unfinished
download lies there too, and is gone on with. Whoever reads an archive holds its folder by flock, together with others
who read it; whoever downloads or removes it holds it alone. Nothing else in the cache's folder is touched.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import random
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from killick import bring
from killick.errors import Corrupt, NoSpace
from killick.figures import size
from killick.manifest import Manifest
from killick.stores import Store, Stored
from killick.stream import Measure, measure, write_whole
from killick.watch import Phases

_NAME = re.compile(r"[0-9a-f]{64}")
_TOGETHER, _ALONE = fcntl.LOCK_SH, fcntl.LOCK_EX


@dataclass(frozen=True)
class _Wanted:
    """`name` is the folder's, `file` that of the archive in it. `check` raises Corrupt for what is not the archive."""

    name: str
    file: str
    bytes: int
    fetch: Callable[[Path], None]
    check: Callable[[Path], None]


class _Kept(NamedTuple):
    """A folder of the cache: those that were used least recently come first."""

    used: float
    bytes: int
    folder: Path


@dataclass(frozen=True)
class Cache:
    """`max_age` in seconds since the last use, `max_size` in bytes of all archives together."""

    folder: Path
    max_age: float
    max_size: int

    @contextmanager
    def archive(self, store: Store, manifest: Manifest, phases: Phases) -> Iterator[Path]:
        """A backup's archive, fetched unless it is here, checked either way, and kept from expiry by the block.

        Raises Corrupt as `bring.fetch` does, and then keeps nothing; NoSpace; what the store raises, and then keeps
        what came.
        """
        archive = bring.archive_of(manifest)
        if not _NAME.fullmatch(archive.sha256):
            raise Corrupt(f"the manifest of {manifest.id} names no SHA-256", "restore the backup before it")
        wanted = _Wanted(
            archive.sha256,
            _file(archive.key),
            archive.bytes,
            lambda path: bring.download(store, manifest, path, phases),
            lambda path: bring.check(path, manifest, phases),
        )
        with self._held(wanted, phases) as path:
            yield path

    @contextmanager
    def object(self, store: Store, stored: Stored, phases: Phases) -> Iterator[Path]:
        """The same for what no manifest describes: an object as the store lists it, with its etag.

        What came first is believed when its size is right; later it is compared with that.
        """

        def fetch(path: Path) -> None:
            with phases.phase("download") as watch:
                store.get(stored.key, path, watch=watch)

        def check(path: Path) -> None:
            with phases.phase("check") as watch:
                _compare(path, stored, measure(path, watch))

        with self._held(_Wanted(name(stored), _file(stored.key), stored.bytes, fetch, check), phases) as path:
            yield path

    def forget(self, name: str) -> None:
        """Removes an archive, by its SHA-256 or the object's `name`; one that somebody reads, when that has ended."""
        if not _removed(self.folder / name):
            with suppress(OSError):
                os.utime(self.folder / name, (0, 0))

    def expire(self, room: int = 0) -> list[str]:
        """Removes what nobody used for too long, then the least recently used until `room` more bytes fit.

        Never what somebody holds. Gives the names of what went.
        """
        found = [_kept(folder) for folder in self._folders()]
        total, gone = sum(kept.bytes for kept in found), []
        for kept in sorted(found):
            full = total + room > self.max_size or self._free() < room
            if (full or time.time() - kept.used > self.max_age) and _removed(kept.folder):
                total -= kept.bytes
                gone.append(kept.folder.name)
        return gone

    def _folders(self) -> list[Path]:
        with suppress(OSError):
            return [path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)]
        return []

    def _free(self) -> int:
        return shutil.disk_usage(self.folder).free

    @contextmanager
    def _held(self, wanted: _Wanted, phases: Phases) -> Iterator[Path]:
        while True:  # until nobody removed the folder while we waited for it, and nobody was quicker
            with self._opened(wanted.name) as hold:
                path = hold.folder / wanted.file
                here = hold.together(phases) and _sound(path, wanted)
                if not here and hold.alone():
                    self._fill(path, wanted)
                    here = hold.together(phases)
                if here:
                    os.utime(hold.folder)
                    yield path
                    break
        self.expire()

    @contextmanager
    def _opened(self, name: str) -> Iterator[_Hold]:
        folder, descriptor = self.folder / name, -1
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            while descriptor < 0:
                with suppress(FileExistsError):
                    folder.mkdir(mode=0o700)
                with suppress(FileNotFoundError):  # removed just now
                    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            os.fchmod(descriptor, 0o700)
        except OSError as error:
            raise self._unwritable(error.strerror) from None
        try:
            yield _Hold(folder, descriptor)
        finally:
            os.close(descriptor)

    def _fill(self, path: Path, wanted: _Wanted) -> None:
        """Fetches the archive, unless another run did so while we waited for it."""
        if _sound(path, wanted):
            return
        if path.exists():
            for file in path.parent.iterdir():
                file.unlink()
        self._make_room(wanted.bytes - _kept(path.parent).bytes)
        try:
            wanted.fetch(path)
            wanted.check(path)
        except Corrupt:
            shutil.rmtree(path.parent)
            raise
        except OSError as error:
            raise self._unwritable(error.strerror) from None
        except NoSpace:
            raise self._unwritable("no space left") from None

    def _make_room(self, needed: int) -> None:
        self.expire(needed)
        free = self._free()
        if free < needed:
            raise self._unwritable(f"{size(needed)} are needed, and {size(free)} are free")

    def _unwritable(self, why: str | None) -> NoSpace:
        return NoSpace(
            f"the cache {self.folder} cannot be filled: {why}",
            f"make room there for uid {os.getuid()}, or set CACHE_DIR to another place",
        )


@dataclass(frozen=True)
class _Hold:
    """A folder of the cache that is open."""

    folder: Path
    descriptor: int

    def together(self, phases: Phases) -> bool:
        """Holds it with others, and waits for who fills it. False: it was removed meanwhile."""
        try:
            fcntl.flock(self.descriptor, _TOGETHER | fcntl.LOCK_NB)
        except BlockingIOError:
            with phases.phase("wait"):
                fcntl.flock(self.descriptor, _TOGETHER)
        return _is(self.folder, self.descriptor)

    def alone(self) -> bool:
        """Holds it alone instead. False: it was removed, or others hold it: then nothing is held, after a moment.

        It does not wait for them: two who both found nothing hold it together, and the one who fills it goes on to
        read it, perhaps for hours. The moments differ, so that one of them comes first.
        """
        try:
            fcntl.flock(self.descriptor, _ALONE | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(self.descriptor, fcntl.LOCK_UN)
            time.sleep(random.uniform(0.01, 0.2))  # noqa: S311  # no secret
            return False
        return _is(self.folder, self.descriptor)


def name(stored: Stored) -> str:
    """What `Cache.object` calls an object: another content has another name."""
    return hashlib.sha256("\n".join((stored.key, stored.etag, str(stored.bytes))).encode()).hexdigest()


def _file(key: str) -> str:
    """The archive keeps its name, from which its codec is told."""
    last = key.rpartition("/")[2]
    return last if last.strip(".") else "archive"


def _sound(path: Path, wanted: _Wanted) -> bool:
    if not path.exists():
        return False
    try:
        wanted.check(path)
    except (Corrupt, OSError):
        return False
    return True


def _compare(path: Path, stored: Stored, seen: Measure) -> None:
    beside = path.with_name(f"{path.name}.sha256")
    if seen.size != stored.bytes:
        raise Corrupt(f"{stored.key} has {seen.size} bytes, and the store listed {stored.bytes}", "try again")
    if not beside.exists():
        write_whole(beside, seen.sha256.encode())
    elif beside.read_text(encoding="ascii") != seen.sha256:
        raise Corrupt(f"{path} is not what it was when it came", "it is fetched anew")


def _kept(folder: Path) -> _Kept:
    """Nothing of what is removed as we look."""
    used, bytes = 0.0, 0
    with suppress(OSError):
        used = folder.stat().st_mtime
        for file in folder.iterdir():
            bytes += file.stat().st_size
    return _Kept(used, bytes, folder)


def _removed(folder: Path) -> bool:
    """Removes it unless somebody holds it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, _ALONE | fcntl.LOCK_NB)
            if _is(folder, descriptor):
                shutil.rmtree(folder)
                return True
        finally:
            os.close(descriptor)
    return False


def _is(folder: Path, descriptor: int) -> bool:
    """Whether that name still leads to that folder."""
    with suppress(OSError):
        return os.path.samestat(folder.lstat(), os.fstat(descriptor))
    return False
