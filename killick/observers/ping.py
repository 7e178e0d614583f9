"""A dead-man's ping: a service that is asked after each success raises the alarm when nobody asked for too long."""

from __future__ import annotations

import urllib.request
from urllib.parse import urlsplit, urlunsplit

from killick import __version__
from killick.events import BackupFailed, BackupFinished, Event

TIMEOUT = 10.0  # seconds


class Ping:
    """Asks `url` after each source's success, and `url`/fail after a failure, as healthchecks.io understands it.

    One address stands for the whole run: once a source failed, a later success of another is not told, or it would
    call the alarm off. (Each run is a process of its own.)
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._failed = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, BackupFailed):
            self._failed = True
            parts = urlsplit(self._url)
            ask(urlunsplit(parts._replace(path=parts.path.rstrip("/") + "/fail")), event.kind)
        elif isinstance(event, BackupFinished) and not self._failed:
            ask(self._url)


def ask(url: str, body: str = "") -> None:
    """GET, or POST when there is something to say. Raises OSError (urllib's URLError and HTTPError are such)."""
    data = body.encode() or None
    request = urllib.request.Request(url, data=data, headers={"User-Agent": f"killick/{__version__}"})  # noqa: S310  # settings allow http and https only
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
        answer.read(1024)
