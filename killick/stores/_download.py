"""An object of S3 fetched in ranges, a few at a time; memory stays flat, since a range is written as it is read.

The first answer tells how large the object is: a small one is one request. Every request after it names the etag of
the first, so that no file is ever made of two objects.
"""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from killick.errors import StoreError
from killick.stores._partial import Partial, Span
from killick.stores._s3_errors import status
from killick.stores._threads import THREADS, Cancelled, running
from killick.stream import CHUNK
from killick.watch import Watch

RANGE = 16 << 20
_ALL = 1 << 62  # one range, whatever the size


class _Changed(Exception):
    """The object is another one than that which was begun."""


class _Unranged(Exception):
    """The server gives all of the object, whatever range is asked for."""


def download(client: Any, name: Mapping[str, str], key: str, path: Path, attempts: int, watch: Watch) -> None:
    """`name` is the object's for boto3 (Bucket, Key), `key` for a person.

    Raises boto3's errors, StoreError when what came is not what the store says it has, NoSpace.
    """
    from botocore.exceptions import FlexibleChecksumError

    ranges = [RANGE, RANGE, _ALL]  # the last: a server may give an etag, and not know it again
    while ranges:
        with Partial(path) as partial:
            try:
                _Download(client, name, partial, attempts, watch).run(ranges.pop(0))
                return partial.finish(key)
            except _Changed:
                partial.drop()
            except _Unranged:
                partial.drop()
                ranges = [_ALL]
            except FlexibleChecksumError:
                partial.drop()
                raise StoreError(f"{key}: what came does not have the checksum that the store gives") from None
    raise StoreError(f"{key} is replaced again and again while it is downloaded", "try again when nobody writes it")


@dataclass
class _Download:
    """One way into `partial`. `_told`: 0 for each chunk that was written, 1 for each range that is whole."""

    client: Any
    name: Mapping[str, str]
    partial: Partial
    attempts: int
    watch: Watch
    _told: queue.SimpleQueue[int | BaseException] = field(default_factory=queue.SimpleQueue)
    _cancelled: threading.Event = field(default_factory=threading.Event)

    def run(self, most: int) -> None:
        """Fetches what is missing, in ranges of at most so many bytes. The first error ends it, a signal at once."""
        body = None if self.partial.etag else self._begin()
        spans = list(self.partial.missing(most))
        if not spans:
            self._end(body)
        todo: queue.SimpleQueue[tuple[Span, Any] | None] = queue.SimpleQueue()
        for span in spans:
            todo.put((span, body))
            body = None
        count = min(THREADS, len(spans))
        for _ in range(count):
            todo.put(None)
        left = len(spans)
        with running(lambda: self._work(todo), count, self._cancelled.set):
            while left:
                told = self._told.get()
                if isinstance(told, BaseException):
                    raise told
                left -= told
                self.watch(self.partial.have, self.partial.size)
                self.partial.keep()

    def _begin(self) -> Any:
        """The body of all of it. boto3 compares the checksum that comes along, if it is read to its end."""
        answer = self.client.get_object(**self.name, ChecksumMode="ENABLED")
        self.partial.begin(answer["ETag"], int(answer["ContentLength"]))
        return answer["Body"]

    def _end(self, body: Any) -> None:
        """Nothing is missing of an empty object, nor of one that only lacked its name."""
        if body is not None:
            body.close()
        else:
            head = self.client.head_object(**self.name)
            if (head["ETag"], head["ContentLength"]) != (self.partial.etag, self.partial.size):
                raise _Changed
        self.watch(self.partial.size, self.partial.size)

    def _work(self, todo: queue.SimpleQueue[tuple[Span, Any] | None]) -> None:
        try:
            while (one := todo.get()) is not None and not self._cancelled.is_set():
                self._fetch(*one)
                self._told.put(1)
        except BaseException as error:  # raised again in the thread that waits
            self._told.put(error)

    def _fetch(self, span: Span, body: Any) -> None:
        """All of `span`; `body` begins there, if there is one. boto3 retries requests: what is cut is a body."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        at, failures = span.start, 0
        while at < span.end:
            before = at
            try:
                if body is None:
                    at, body = self._ask(span, at)
                with closing(body):
                    for chunk in _chunks(body, span.end - at):
                        self._write(at, chunk)
                        at += len(chunk)
                    if at == self.partial.size:
                        body.read(1)  # its end, where boto3 compares the checksum
            except (HTTPClientError, IncompleteReadError):
                failures = 1 if at - before >= CHUNK else failures + 1
                if failures >= self.attempts:
                    raise
                if self._cancelled.wait(random.uniform(0, min(20, 2 ** (failures - 1)))):  # noqa: S311  # no secret
                    raise Cancelled from None
            body = None

    def _ask(self, span: Span, at: int) -> tuple[int, Any]:
        """A body of `span` from `at` on, and where it begins: a server without ranges gives all of the object."""
        from botocore.exceptions import ClientError

        try:
            answer = self.client.get_object(**self.name, Range=f"bytes={at}-{span.end - 1}", IfMatch=self.partial.etag)
        except ClientError as error:
            if status(error) in (412, 416):
                raise _Changed from None
            raise
        ranged = "ContentRange" in answer
        if answer["ETag"] == self.partial.etag and (ranged or span.size == self.partial.size):
            return (at if ranged else 0), answer["Body"]
        answer["Body"].close()
        raise _Unranged if answer["ETag"] == self.partial.etag else _Changed

    def _write(self, at: int, chunk: bytes) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        self.partial.write(at, chunk)
        self._told.put(0)


def _chunks(body: Any, size: int) -> Iterator[bytes]:
    """So many bytes of a body. Raises IncompleteReadError where it has fewer."""
    from botocore.exceptions import IncompleteReadError

    left = size
    while left:
        chunk = body.read(min(CHUNK, left))
        if not chunk:
            raise IncompleteReadError(actual_bytes=size - left, expected_bytes=size)
        left -= len(chunk)
        yield chunk
