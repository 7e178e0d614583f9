"""A download that can stop and go on: `<path>.part`, where each byte has its place, and beside it what came so far.

The record is written after the bytes are on the disk, so that it never says too much, whatever ended the download.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Self

from killick.errors import NoSpace, StoreError
from killick.stores._threads import Cancelled
from killick.stream import sync_folder, write_whole

EVERY = 1.0  # seconds from one record to the next, at least


@dataclass(frozen=True, order=True)
class Span:
    """The bytes from `start` up to `end`."""

    start: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.start


class Partial:
    """One unfinished download: a block that is left records what came, however it ends.

    `etag` and `size` are those of the object that it is a part of; "" where there is nothing to go on with.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = path.with_name(f"{path.name}.part")
        self.record = path.with_name(f"{path.name}.part.json")
        self.etag, self.size = "", 0
        self._done: list[Span] = []
        self._file: int | None = None
        self._recorded = 0.0
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        with suppress(OSError, ValueError, TypeError, LookupError):
            record = json.loads(self.record.read_text(encoding="utf-8"))
            done = joined(Span(start, end) for start, end in record["done"])
            if done[-1].end <= self.part.stat().st_size:
                self._begin(str(record["etag"]), int(record["size"]), done)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is None:
            return
        with suppress(OSError, NoSpace):  # what ended the block is the one to tell
            if self._done:
                self._write_record()
            else:
                self.drop()
        self._close()

    def begin(self, etag: str, size: int) -> None:
        """What comes is of this object: a part of another one is dropped."""
        if (self.etag, self.size) != (etag, size):
            self.drop()
            self._begin(etag, size, [])

    @property
    def have(self) -> int:
        """How many bytes came, those of earlier runs too."""
        with self._guard:
            return sum(span.size for span in self._done)

    def missing(self, most: int) -> Iterator[Span]:
        """What is still to come, in pieces of at most so many bytes."""
        at = 0
        for there in [*self._done, Span(self.size, self.size)]:
            for start in range(at, there.start, most):
                yield Span(start, min(start + most, there.start))
            at = there.end

    def write(self, at: int, data: bytes) -> None:
        """From any thread. Raises NoSpace, and Cancelled once the block was left."""
        with self._guard, self._room():
            if self._file is None:
                raise Cancelled
            left = memoryview(data)
            while left:
                left = left[os.pwrite(self._file, left, at + len(data) - len(left)) :]
            self._done = joined([*self._done, Span(at, at + len(data))])

    def keep(self) -> None:
        """Records what came, now and then: for the one who waits for others' bytes, since it waits for the disk."""
        if time.monotonic() - self._recorded >= EVERY:
            self._write_record()

    def finish(self, key: str) -> None:
        """Gives the file its name. Raises StoreError when it is not whole, and drops it."""
        have, size = self.have, self.size
        if self._file is None or not have == size == os.fstat(self._file).st_size:
            self.drop()
            raise StoreError(f"{key}: {have} bytes came, and the store said {size}", "try again")
        with self._room():
            os.fsync(self._file)
        self._close()
        self.part.replace(self.path)
        self.record.unlink(missing_ok=True)
        sync_folder(self.path.parent)

    def drop(self) -> None:
        """The record goes first: it never stands beside a part that it does not describe."""
        self._close()
        self.record.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def _begin(self, etag: str, size: int, done: list[Span]) -> None:
        with self._room():
            self._file = os.open(self.part, os.O_WRONLY | os.O_CREAT, 0o600)
        self.etag, self.size, self._done = etag, size, done
        self._recorded = time.monotonic()

    def _write_record(self) -> None:
        with self._guard:
            done, file = [astuple(span) for span in self._done], self._file
        if file is None:
            return
        with self._room():
            os.fdatasync(file)
            write_whole(self.record, json.dumps({"etag": self.etag, "size": self.size, "done": done}).encode())
        self._recorded = time.monotonic()

    def _close(self) -> None:
        with self._guard:
            if self._file is not None:
                os.close(self._file)
            self.etag, self.size, self._done, self._file = "", 0, [], None

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise NoSpace(f"no space left for {self.part}", "free some; SCRATCH_DIR can lie elsewhere") from None


def joined(spans: Iterable[Span]) -> list[Span]:
    """The same bytes in as few spans as can be, ordered."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found
