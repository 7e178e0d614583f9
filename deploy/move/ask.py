"""What a site answers, asked as its users ask: by its real name, at any address."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

from deploy.move.spec import Spec
from killick.errors import Unreachable

REFUSED = 503
PUBLIC = "public"
_SECONDS = 10.0
_PAUSE = 0.1
_MOMENT = 0.2
_MOVED = (301, 302, 307, 308)


@dataclass(frozen=True)
class Answer:
    """`headers` by their names in lower case."""

    status: int
    headers: Mapping[str, str]

    def __str__(self) -> str:
        return str(self.status or "nothing")


def ask(address: str, name: str, method: str = "GET", path: str = "/") -> Answer:
    """`address` is a host with or without a port. Raises Unreachable."""
    return _ask(http.client.HTTPConnection(address, timeout=_SECONDS), name, method, path)


def public(name: str, method: str = "GET", path: str = "/") -> Answer:
    """As the world asks: wherever the name leads, and over TLS where it sends us there. Raises Unreachable."""
    found = ask(name, name, method, path)
    to = urlsplit(found.headers.get("location", ""))
    if found.status in _MOVED and to.scheme == "https" and to.hostname == name.lower():
        return _ask(http.client.HTTPSConnection(to.netloc, timeout=_SECONDS), name, method, path)
    return found


def ways(spec: Spec) -> Mapping[str, Callable[[str, str, str], Answer]]:
    """The ways by which users reach the site, as functions of name, method and path: wherever the names lead, as far
    as they can be reached from here, and the old server's own address. The latter not behind a proxy when nothing on
    the old server can forward: then users do not come there, and the fence is what holds."""
    found: dict[str, Callable[[str, str, str], Answer]] = {}
    if all(_leads_somewhere(name) for name in spec.names):
        found[PUBLIC] = public
    if spec.forwarder or not spec.proxy:
        found[spec.old.address] = lambda name, method, path: ask(spec.old.address, name, method, path)
    return found


def nowhere() -> str:
    """A path at which no app has anything: whether writes are refused can be asked without a write."""
    return f"/.well-known/killick-move/{uuid4()}"


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Whether it became true in time. It is asked at least once."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(_PAUSE)
    return True


def holds(true: Callable[[], bool], seconds: float) -> bool:
    """Whether it became true in time, and was so a moment later too: where nginx reloads, the workers of before take
    requests for 0.1 s beside the new ones (its ngx_master_process_cycle)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and until(true, end - time.monotonic()):
        time.sleep(_MOMENT)
        if true():
            return True
    return False


def _leads_somewhere(name: str) -> bool:
    try:
        socket.create_connection((name, 80), _SECONDS).close()
    except OSError:
        return False
    return True


def _ask(connection: http.client.HTTPConnection, name: str, method: str, path: str) -> Answer:
    try:
        connection.request(method, path, headers={"Host": name, "User-Agent": "killick-move", "Connection": "close"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(
            f"{name} gives no answer at {connection.host}:{connection.port}: {error or type(error).__name__}",
            "is its web server there, and may this machine reach it?",
        ) from None
    finally:
        connection.close()
    return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()})
