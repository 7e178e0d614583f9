"""A proxy before the S3 server that does what networks and providers do on bad days, when told to.

    faults.add(Answer(503), method="PUT", times=2)      the first two PUTs are answered 503
    faults.add(CutDownload(after=1000), method="GET")   every GET ends after 1000 bytes of its body
    faults.seen["PUT"]                                  how many PUTs came, failed ones too

The Host header goes through as it came, so that signatures made for the proxy hold at the server.
"""

import http.client
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.lab.s3 import S3, client, environment

BLOCK = 64 * 1024
Headers = list[tuple[str, str]]


class Cut(Exception):
    """The connection ends here, without a word."""


class Fault:
    """What may go wrong with one request. The base class lets everything pass."""

    unheard = ""
    """A header of the request that the server never hears of."""

    def before(self) -> None:
        """Before anything reaches the server."""

    def answer(self) -> tuple[int, str] | None:
        """A status and an S3 error code instead of asking the server."""
        return None

    def upload(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The request's body on its way up."""
        return blocks

    def headers(self, headers: Headers) -> Headers:
        """The answer's headers on their way down."""
        return headers

    def download(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The answer's body on its way down. It must keep its length, or raise Cut."""
        return blocks


@dataclass(frozen=True)
class Answer(Fault):
    """The proxy answers, the server never hears of it. 403: AccessDenied, 503: SlowDown, 500: InternalError."""

    status: int
    code: str = ""

    def answer(self) -> tuple[int, str]:
        known = {403: "AccessDenied", 404: "NoSuchKey", 412: "PreconditionFailed", 503: "SlowDown"}
        return self.status, self.code or known.get(self.status, "InternalError")


@dataclass(frozen=True)
class CutUpload(Fault):
    """The connection breaks after so many bytes of the request's body."""

    after: int

    def upload(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        yield from _first(blocks, self.after)


@dataclass(frozen=True)
class CutDownload(Fault):
    """The connection breaks after so many bytes of the answer's body."""

    after: int

    def download(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        yield from _first(blocks, self.after)


@dataclass(frozen=True)
class LoseAnswer(Fault):
    """The server does what was asked; the client never learns it."""

    def headers(self, headers: Headers) -> Headers:
        raise Cut


@dataclass(frozen=True)
class Slow(Fault):
    """Seconds before the request goes on, and then so many bytes per second, either way."""

    seconds: float = 0
    rate: int | None = None

    def before(self) -> None:
        time.sleep(self.seconds)

    def upload(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            if self.rate:
                time.sleep(len(block) / self.rate)
            yield block

    download = upload


@dataclass(frozen=True)
class Flip(Fault):
    """One byte of the answer's body is another one."""

    at: int = 0

    def download(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        start = 0
        for block in blocks:
            if start <= self.at < start + len(block):
                changed = bytearray(block)
                changed[self.at - start] ^= 1
                block = bytes(changed)
            start += len(block)
            yield block


@dataclass(frozen=True)
class Lie(Fault):
    """The answer bears this header with this value, whatever the server said; None leaves it out.

    Content-Length is believed only where no body follows: with method="HEAD".
    """

    header: str
    value: str | None

    def headers(self, headers: Headers) -> Headers:
        others = [(name, value) for name, value in headers if name.lower() != self.header.lower()]
        return others if self.value is None else [*others, (self.header, self.value)]


@dataclass(frozen=True)
class Ignore(Fault):
    """The server does not know this header of requests: Range (it gives all of the object, and 200), If-Match."""

    unheard: str


@dataclass(frozen=True)
class Skew(Fault):
    """The server's clock is so many seconds ahead: in Date, in Last-Modified, in listings."""

    seconds: float

    def headers(self, headers: Headers) -> Headers:
        return [
            (name, self._http(value) if name.lower() in {"date", "last-modified"} else value) for name, value in headers
        ]

    def download(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        body = b"".join(blocks)
        if body.startswith(b"<?xml"):
            body = re.sub(rb"(?<=<LastModified>)[^<]*", self._iso, body)
        yield body

    def _http(self, value: str) -> str:
        return format_datetime(parsedate_to_datetime(value) + timedelta(seconds=self.seconds), usegmt=True)

    def _iso(self, match: re.Match[bytes]) -> bytes:
        told = datetime.fromisoformat(match[0].decode()) + timedelta(seconds=self.seconds)
        # As long as before, whatever the fraction: the answer's length is already on its way.
        return told.strftime("%Y-%m-%dT%H:%M:%S.%f").encode()[: len(match[0]) - 1].ljust(len(match[0]) - 1, b"0") + b"Z"


@dataclass
class _Rule:
    fault: Fault
    method: str | None
    path: str
    ranged: bool
    left: float

    def takes(self, seen: "Seen") -> bool:
        if self.left <= 0 or self.method not in (None, seen.method) or not re.search(self.path, seen.path):
            return False
        if self.ranged and not seen.range:
            return False
        self.left -= 1
        return True


@dataclass
class Seen:
    """One request, as it came. `path` has the query; `status` is None when the connection was cut.

    `range` is what it asked for, "" for all; `sent` how many bytes of the answer's body went down.
    """

    method: str
    path: str
    range: str = ""
    status: int | None = None
    sent: int = 0


@dataclass
class Faults:
    """The proxy; `with` runs it. Requests go to `upstream` unless a rule takes them, the oldest rule first."""

    upstream: S3
    requests: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rules: list[_Rule] = []
        self._guard = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def add(
        self,
        fault: Fault,
        *,
        method: str | None = None,
        path: str = "",
        ranged: bool = False,
        times: float = float("inf"),
    ) -> None:
        """Let this happen to the next `times` requests with that method, whose path and query match `path`.

        `ranged`: only to those that ask for a range.
        """
        with self._guard:
            self._rules.append(_Rule(fault, method, path, ranged, times))

    def clear(self) -> None:
        """No more faults; the record of requests stays."""
        with self._guard:
            self._rules.clear()

    @property
    def seen(self) -> Counter[str]:
        """How many requests came, by method."""
        return Counter(request.method for request in list(self.requests))

    def environment(self) -> dict[str, str]:
        """As S3.environment, by way of the proxy."""
        return environment(self.endpoint, self.upstream.access_key, self.upstream.secret_key)

    def client(self, *, retries: int = 2) -> Any:
        return client(self.environment(), retries=retries)

    def fault_for(self, seen: Seen) -> Fault:
        with self._guard:
            return next((rule.fault for rule in self._rules if rule.takes(seen)), Fault())

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], faults: Faults) -> None:
        self.faults = faults
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is nothing to print a traceback for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one(self) -> None:
        faults, seen = self.server.faults, Seen(self.command, self.path, self.headers.get("Range", ""))
        faults.requests.append(seen)
        self.close_connection = True
        fault = faults.fault_for(seen)
        try:
            fault.before()
            given = fault.answer()
            if given is None:
                self._forward(fault, seen)
            else:
                for _ in self._body():
                    pass
                seen.status = given[0]
                self._refuse(*given)
        except Cut:
            # A reset, not an orderly end: that is what a broken network looks like.
            with suppress(OSError):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

    def _forward(self, fault: Fault, seen: Seen) -> None:
        upstream = urlsplit(self.server.faults.upstream.endpoint)
        connection = http.client.HTTPConnection(str(upstream.hostname), upstream.port, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self._without(fault.unheard):
                if name.lower() not in {"connection", "expect"}:
                    connection.putheader(name, value)
            connection.endheaders()
            for block in fault.upload(self._body()):
                connection.send(block)
            answer = connection.getresponse()
            headers = [
                pair for pair in answer.getheaders() if pair[0].lower() not in {"connection", "transfer-encoding"}
            ]
            headers = fault.headers(headers)
            seen.status = answer.status
            self.send_response_only(answer.status, answer.reason)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                for block in fault.download(iter(lambda: answer.read(BLOCK), b"")):
                    self.wfile.write(block)
                    seen.sent += len(block)
            except Cut:
                seen.status = None
                raise
        finally:
            connection.close()

    def _without(self, unheard: str) -> Headers:
        """The request's headers, signed anew where one is left out."""
        if not unheard:
            return self.headers.items()
        signature = {"authorization", "x-amz-date", "x-amz-content-sha256"}
        kept = {n: v for n, v in self.headers.items() if n.lower() not in {unheard.lower(), *signature}}
        upstream = self.server.faults.upstream
        request = AWSRequest(self.command, f"{self.server.faults.endpoint}{self.path}", headers=kept)
        S3SigV4Auth(Credentials(upstream.access_key, upstream.secret_key), "s3", upstream.region).add_auth(request)
        return list(request.headers.items())

    def _body(self) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            block = self.rfile.read(min(BLOCK, left))
            if not block:
                raise Cut
            left -= len(block)
            yield block

    def _refuse(self, status: int, code: str) -> None:
        body = f"<Error><Code>{code}</Code><Message>a fault of the lab</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: `requests` is the log."""


def _first(blocks: Iterator[bytes], count: int) -> Iterator[bytes]:
    for block in blocks:
        if len(block) >= count:
            yield block[:count]
            raise Cut
        count -= len(block)
        yield block
