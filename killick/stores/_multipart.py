"""A file sent in parts, a few at a time; memory stays flat, since a part is read from the file as it is sent."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from killick.stores._threads import THREADS, Cancelled, running
from killick.stream import CHUNK, Measure
from killick.watch import Watch

PART = 16 << 20
MOST_PARTS = 10_000


def part_size(total: int) -> int:
    """Whole MiB, so that 10,000 parts hold `total` bytes: S3's limit, up to its 5 TiB."""
    return max(PART, math.ceil(total / MOST_PARTS / CHUNK) * CHUNK)


class Slice(io.RawIOBase):
    """`size` bytes of an open file from `start`: has its own place, so that threads may share the descriptor."""

    def __init__(self, descriptor: int, start: int, size: int, cancelled: threading.Event) -> None:
        self._descriptor, self._start, self._size, self._cancelled = descriptor, start, size, cancelled
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def __len__(self) -> int:
        return self._size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        if self._cancelled.is_set():
            raise Cancelled("the upload was given up")
        left = self._size - self._at
        data = os.pread(self._descriptor, left if size < 0 else min(size, left), self._start + self._at)
        self._at += len(data)
        return data


@dataclass(frozen=True)
class Part:
    number: int
    body: Slice
    sha256: bytes

    @property
    def checksum(self) -> str:
        return base64.b64encode(self.sha256).decode()


Send = Callable[[Part], str]
"""Sends one part, gives its etag."""


@dataclass
class Parts:
    """What was sent: for the completion, and for the comparison afterwards."""

    etags: dict[int, str] = field(default_factory=dict)
    digests: list[bytes] = field(default_factory=list)
    sha256: str = ""

    def completed(self) -> list[dict[str, Any]]:
        return [
            {"PartNumber": n, "ETag": self.etags[n], "ChecksumSHA256": base64.b64encode(digest).decode()}
            for n, digest in enumerate(self.digests, 1)
        ]

    @property
    def composite(self) -> str:
        """The checksum of a multipart object, as S3 tells it: of the parts' checksums, and how many there are."""
        digest = hashlib.sha256(b"".join(self.digests)).digest()
        return f"{base64.b64encode(digest).decode()}-{len(self.digests)}"


def send_all(path: Path, send: Send, watch: Watch) -> Parts:
    """Sends the file by a few threads. The first error ends it; an exception here (a signal) ends them at once."""
    parts = Parts()
    todo: queue.SimpleQueue[Part | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Part, str | BaseException]] = queue.SimpleQueue()
    cancelled = threading.Event()
    sent = 0

    def stop() -> None:
        cancelled.set()
        for _ in range(THREADS):
            todo.put(None)

    with path.open("rb") as file, running(lambda: _work(todo, done, send), THREADS, stop):
        total = os.fstat(file.fileno()).st_size
        for part in _cut(file, total, parts, cancelled):
            todo.put(part)
            last = part.number * part_size(total) >= total
            while len(parts.digests) - len(parts.etags) > (0 if last else THREADS):
                sent += _settle(parts, *done.get())
                watch(sent, total)
    return parts


def _settle(parts: Parts, part: Part, result: str | BaseException) -> int:
    if isinstance(result, BaseException):
        raise result
    parts.etags[part.number] = result
    return len(part.body)


def _cut(file: IO[bytes], total: int, parts: Parts, cancelled: threading.Event) -> Iterator[Part]:
    whole = Measure()
    size = part_size(total)
    for number, start in enumerate(range(0, total, size), 1):
        body = Slice(file.fileno(), start, min(size, total - start), cancelled)
        own = hashlib.sha256()
        while chunk := body.read(CHUNK):
            own.update(chunk)
            whole.update(chunk)
        body.seek(0)
        parts.digests.append(own.digest())
        parts.sha256 = whole.sha256
        yield Part(number, body, own.digest())


def _work(
    todo: queue.SimpleQueue[Part | None], done: queue.SimpleQueue[tuple[Part, str | BaseException]], send: Send
) -> None:
    while (part := todo.get()) is not None:
        try:
            done.put((part, send(part)))
        except BaseException as error:  # raised again in the thread that waits
            done.put((part, error))
