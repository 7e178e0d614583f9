"""One deploy of a project at a time on this host."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy import frozen
from killick.errors import Busy, KillickError

_PAUSE = 1.0


@contextmanager
def alone(project: str, wait: float = 0.0) -> Iterator[None]:
    """Holds the project by flock, whichever folder it is deployed from. Ends with the process, however that ends.

    Raises Busy when another deploy goes on longer than `wait` seconds, KillickError where another user began one,
    Refused while the project is moved to another server.
    """
    path = Path(tempfile.gettempdir()) / f"killick-deploy-{project}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KillickError(f"{path}: {error.strerror}", "deploy as the user who did it before, or remove it") from None
    try:
        _take(descriptor, project, wait)
        frozen.refuse(project)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, project: str, wait: float) -> None:
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                raise Busy(
                    f"another deploy of {project} goes on, on this host", "wait for its end, or give --wait 10m"
                ) from None
            time.sleep(_PAUSE)
        else:
            return
