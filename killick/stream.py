"""Bytes on their way: hashing, counting, and the scratch space that they pass through."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from killick.errors import NoSpace
from killick.watch import Watch, unwatched

CHUNK = 1 << 20
_SMALL = 1 << 16  # below it a chunk is hashed sooner than it is handed to a thread
_RUN = "run-"


@dataclass
class Measure:
    """Counts and hashes what passes; `sha256` in hex."""

    size: int = 0

    def __post_init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.size += len(chunk)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def measure(path: Path, watch: Watch = unwatched) -> Measure:
    """Reads a whole file."""
    total = path.stat().st_size
    seen = Measure()
    with path.open("rb") as file:
        for chunk in chunks(file):
            seen.update(chunk)
            watch(seen.size, total)
    return seen


def measured(data: Iterable[bytes], into: Measure) -> Iterator[bytes]:
    """The same chunks; at the end `into` has seen them all.

    A chunk is hashed by a second thread (hashlib lets go of the interpreter's lock) while whoever took it writes it
    and the next one is read: as quick as the slower of the two, and never more than one chunk waits.
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    with ThreadPoolExecutor(1, "hash") as beside:
        hashing: Future[None] | None = None
        for chunk in data:
            if hashing:
                hashing.result()
            if len(chunk) < _SMALL:
                into.update(chunk)
                hashing = None
            else:
                hashing = beside.submit(into.update, chunk)
            yield chunk
        if hashing:
            hashing.result()


def chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Whole or absent: beside, fsync, rename, fsync the folder."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Scratch:
    """A root for what one run needs for a while. Each run has a folder that it holds by flock.

    What a run that was killed left behind is recognised by its free lock, and swept by the next.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A folder of mode 0700, gone afterwards. Raises NoSpace where it cannot be made."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._alone():
                folder = Path(tempfile.mkdtemp(prefix=_RUN, dir=self.root))
                held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(held, fcntl.LOCK_EX)
        except OSError as error:
            raise NoSpace(
                f"no scratch folder can be made in {self.root}: {error.strerror}",
                f"make {self.root} writable for uid {os.getuid()}, or set SCRATCH_DIR",
            ) from None
        try:
            yield folder
        finally:
            with suppress(OSError):  # whatever is left is swept by the next run
                _force_remove(folder)
            os.close(held)

    def sweep(self) -> list[str]:
        """Removes what dead runs left; gives the names of their folders: none where we may not look."""
        with suppress(OSError):
            return [folder.name for folder in sorted(self.root.glob(f"{_RUN}*")) if self._swept(folder)]
        return []

    def _swept(self, folder: Path) -> bool:
        with suppress(OSError), self._alone():
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _force_remove(folder)
                return True
            finally:
                os.close(held)
        return False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody sweeps a folder between its making and its being held."""
        held = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
        finally:
            os.close(held)

    def free(self) -> int:
        """Bytes that may be written under the root, or where it would be made."""
        for place in (self.root, *self.root.parents):
            with suppress(OSError):
                return shutil.disk_usage(place).free
        return 0


def _force_remove(folder: Path) -> None:
    """rmtree that first gives itself the right to: a restored tree may hold folders without it."""
    for at, names, _files in os.walk(folder):
        for name in names:
            inner = Path(at, name)
            if not inner.is_symlink():
                inner.chmod(0o700)
    shutil.rmtree(folder)
