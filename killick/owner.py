"""Who we are, as far as locks are concerned: a UUID in the scratch volume, and one flock for each source."""

from __future__ import annotations

import fcntl
import os
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from killick import layout
from killick.errors import Busy, KillickError, NoSpace
from killick.stream import write_whole


@dataclass(frozen=True)
class Owner:
    """This machine's scratch volume: what tells our own dead from other hosts' living."""

    folder: Path

    @property
    def id(self) -> str:
        """A UUID, made when first asked for. Raises NoSpace where it cannot be kept."""
        path = self.folder / "owner"
        with self._writable():
            if not path.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                fresh = self.folder / f"owner.{secrets.token_hex(4)}"
                write_whole(fresh, str(uuid.uuid4()).encode())
                with suppress(FileExistsError):
                    os.link(fresh, path)
                fresh.unlink()
            return path.read_text(encoding="ascii")

    @contextmanager
    def alone(self, project: str, source: str) -> Iterator[None]:
        """Holds the source on this machine. Raises Busy."""
        with self._writable():
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / f"{project}.{source}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                who = os.pread(descriptor, 200, 0).decode(errors="replace") or "a process"
                raise Busy(f"{source} is being worked on by {who}, on this machine", "wait for it to end") from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} since {layout.rfc3339(datetime.now(UTC))}".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except KillickError:
            raise
        except OSError as error:
            raise NoSpace(
                f"{self.folder}: {error.strerror}",
                f"make it writable for uid {os.getuid()}, or set SCRATCH_DIR",
            ) from None
