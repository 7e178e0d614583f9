"""Whether what was started works: every service, for a while, and what answers over HTTP."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence

from deploy.containers import Container, Wanted, broken, lacking, signature
from killick.errors import KillickError

_PAUSE = 0.5
_ANSWER = 10.0  # seconds that an address may take


def healthy(
    services: Sequence[Wanted],
    look: Callable[[], list[Container]],
    timeout: float,
    settle: float,
    hint: str = "their last words are above; --timeout gives more time",
) -> list[Container]:
    """Waits until every service is well, and has been so for `settle` seconds without any of them starting anew.

    A service without a health check is well while it runs: only that it goes on running tells it from one that dies
    after two seconds. Raises KillickError with `hint` when one ended, or after `timeout` seconds.
    """
    end = time.monotonic() + timeout
    since, before = time.monotonic(), None
    while True:
        found = look()
        gone = broken(services, found)
        if gone:
            raise KillickError("; ".join(gone), hint)
        problems, now = lacking(services, found), signature(found)
        if problems or now != before:
            since, before = time.monotonic(), now
        elif time.monotonic() - since >= settle:
            return found
        if time.monotonic() >= end:
            said = "; ".join(problems) or "services start again and again"
            raise KillickError(f"not well after {timeout:g} s: {said}", hint)
        time.sleep(_PAUSE)


def answers(url: str, timeout: float) -> int:
    """Waits until `url` answers with a status below 400, which is given. Raises KillickError after `timeout` s."""
    end = time.monotonic() + timeout
    while True:
        said, status = _asked(url)
        if not said:
            return status
        if time.monotonic() >= end:
            raise KillickError(f"{url}: {said}", "is the address right? what it serves says more")
        time.sleep(_PAUSE)


def _asked(url: str) -> tuple[str, int]:
    """What is wrong ("" for nothing), and the status."""
    try:
        with urllib.request.urlopen(url, timeout=_ANSWER) as answer:  # noqa: S310  # http and https: see cli
            return "", answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answers {error.code}", error.code
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        return f"no answer: {reason or type(error).__name__}", 0
