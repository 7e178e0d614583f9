"""A download that can stop and go on: `<path>.part` and, beside it, the etag that it is a part of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from killick.errors import StoreError
from killick.stream import sync_folder, write_whole


@dataclass(frozen=True)
class Partial:
    """The two files of one unfinished download."""

    path: Path

    @property
    def part(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def tag(self) -> Path:
        return self.path.with_name(f"{self.path.name}.part.etag")

    def etag(self) -> str:
        """Of which object the part is; "" where there is none to go on with."""
        try:
            return self.tag.read_text(encoding="utf-8") if self.part.exists() else ""
        except OSError:
            return ""

    def have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    @contextmanager
    def writing(self, etag: str) -> Iterator[IO[bytes]]:
        """Appends when the part is of `etag`, else starts anew."""
        if self.etag() != etag:
            self.part.unlink(missing_ok=True)
            write_whole(self.tag, etag.encode())
        with os.fdopen(os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    def finish(self, key: str, size: int) -> None:
        """Gives the file its name. Raises StoreError when it is not of that size, and drops it."""
        have = self.have()
        if have != size:
            self.drop()
            raise StoreError(f"{key}: {have} bytes came, and the store said {size}", "try again")
        self.part.replace(self.path)
        self.tag.unlink(missing_ok=True)
        sync_folder(self.path.parent)

    def drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag.unlink(missing_ok=True)
