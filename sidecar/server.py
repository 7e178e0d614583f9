"""What the sidecar answers: /metrics, /healthz (the loop lives), /readyz (backups are fresh) and the page."""

from __future__ import annotations

import hmac
import time
from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from killick.errors import SettingsError
from killick.observers import metrics
from killick.state import State
from sidecar.health import judge
from sidecar.page import POLICY, page

TIMEOUT = 10  # seconds that a client may take to say what it wants


class Board:
    """What the loop writes and the server reads. `beat` is told whenever the loop comes by."""

    LATEST = 180.0  # seconds after which a loop that did not come by counts as dead

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.state: State | None = None
        self._clock = clock
        self._beaten = clock()

    def beat(self) -> None:
        self._beaten = self._clock()

    def alive(self) -> bool:
        return self._clock() - self._beaten < self.LATEST


@contextmanager
def serve(board: Board, port: int, password: str = "") -> Iterator[int]:
    """Answers in threads until the block is left; gives the port (a free one for 0). Raises SettingsError."""
    handler = type("Bound", (_Handler,), {"board": board, "password": password})
    try:
        server = ThreadingHTTPServer(("", port), handler)
    except OSError as error:
        raise SettingsError(
            f"METRICS_PORT: port {port} cannot be opened: {error.strerror}", "choose another, or METRICS_PORT=off"
        ) from None
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    board: Board
    password: str
    timeout = TIMEOUT
    server_version = "killick"
    sys_version = ""

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._send(HTTPStatus.OK, metrics.exposition(self.board.state), metrics.CONTENT_TYPE)
            case "/healthz":
                alive = self.board.alive()
                self._text(alive, "the loop lives" if alive else "the loop does not come by any more")
            case "/readyz":
                self._text(*readiness(self.board.state, time.time()))
            case "/" if self._allowed():
                html = page(self.board.state, time.time()).encode()
                self._send(HTTPStatus.OK, html, "text/html; charset=utf-8")
            case "/":
                self._send(HTTPStatus.UNAUTHORIZED, b"a password is needed\n", challenge=True)
            case _:
                self._send(HTTPStatus.NOT_FOUND, b"there are /, /metrics, /healthz and /readyz\n")

    do_HEAD = do_GET  # noqa: N815  # the name that http.server looks for

    def _allowed(self) -> bool:
        if not self.password:
            return True
        scheme, _, value = (self.headers.get("Authorization") or "").partition(" ")
        try:
            given = b64decode(value, validate=True).partition(b":")[2]
        except Error:
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(given, self.password.encode())

    def _text(self, good: bool, text: str) -> None:
        self._send(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, f"{text}\n".encode())

    def _send(
        self, status: HTTPStatus, body: bytes, kind: str = "text/plain; charset=utf-8", challenge: bool = False
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        if challenge:
            self.send_header("WWW-Authenticate", 'Basic realm="killick", charset="UTF-8"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A scrape is no news."""


def readiness(state: State | None, now: float) -> tuple[bool, str]:
    """Whether every source is fresh, and a line for each."""
    if state is None:
        return False, "the store has not been read yet"
    found = judge(state, now)
    return all(j.fresh for j in found), "\n".join(j.sentence for j in found) or "no source is set"
