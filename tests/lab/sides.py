"""Two tiny sites that say which of them answers, and users who never stop asking."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.lab.server import HOST

MARKER = "X-Served-By"


class _Quick(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Side:
    """Answers every path with 200 and its name; keeps what was posted. `headers` go with every answer."""

    def __init__(self, name: str) -> None:
        self.name, self.posted = name, list[str]()
        self.headers: dict[str, str] = {}
        side = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header(MARKER, side.name)
                self.send_header("Content-Length", "2")
                for key, value in side.headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(b"ok")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                side.posted.append(self.path)
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = _Quick((HOST, 0), Handler)
        self.address = f"{HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def users(address: str, many: int = 4) -> Iterator[Counter[str]]:
    """So many of them read over connections that they keep; what they see is counted: "200 old", or an error's name."""
    seen: Counter[str] = Counter()
    lock, stop = threading.Lock(), threading.Event()

    def one() -> None:
        connection = http.client.HTTPConnection(address, timeout=10)
        while not stop.wait(0.002):
            try:
                connection.request("GET", "/", headers={"Host": "shop.example"})
                answer = connection.getresponse()
                answer.read()
                what = f"{answer.status} {answer.getheader(MARKER, '-')}"
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                what = type(error).__name__
            with lock:
                seen[what] += 1
        connection.close()

    threads = [threading.Thread(target=one, daemon=True) for _ in range(many)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def more(seen: Counter[str], than: Counter[str], true: Callable[[str], bool], count: int) -> bool:
    """Whether `count` more answers of a kind were seen."""
    return sum(n for what, n in (seen - than).items() if true(what)) >= count
