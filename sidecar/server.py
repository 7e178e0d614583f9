"""What the sidecar and the fleet answer over HTTP: sidecar.site, in threads, its pages behind a password."""

from __future__ import annotations

import hmac
import time
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from killick.errors import KillickError, SettingsError
from sidecar.night import Night
from sidecar.page import POLICY
from sidecar.site import Answer, Board, Site, readiness

__all__ = ["Board", "Site", "readiness", "serve"]

TIMEOUT = 10  # seconds that a client may take to say what it wants


def _unread(_project: str, _source: str, _day: date) -> Night:
    raise KillickError("nobody here reads single nights", "killick show")


@contextmanager
def serve(shown: Board | Site, port: int, password: str = "") -> Iterator[int]:
    """Answers in threads until the block is left; gives the port (a free one for 0). Raises SettingsError."""
    site = shown if isinstance(shown, Site) else Site(shown, _unread)
    handler = type("Bound", (_Handler,), {"site": site, "password": password})
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
    site: Site
    password: str
    timeout = TIMEOUT
    server_version = "killick"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if self.site.open(path) or self._allowed():
            self._send(self.site.answer(path, time.time()))
        else:
            self._send(Answer(HTTPStatus.UNAUTHORIZED, b"a password is needed\n"), challenge=True)

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

    def _send(self, answer: Answer, challenge: bool = False) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        if challenge:
            self.send_header("WWW-Authenticate", 'Basic realm="killick", charset="UTF-8"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """A scrape is no news."""
