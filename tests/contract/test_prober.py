"""The prober against a real server that refuses, cuts connections and goes away."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from deploy.move.prober import Prober
from deploy.move.spec import Check
from deploy.move.windows import REFUSED, UNKNOWN, Kind, Sample
from tests.kit import wait_for

CHECK = Check(paths=("/health",), marker="X-Served-By", write="/canary?id={id}")


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str, str]] = []
        self.connections: set[tuple[str, int]] = set()
        self.cut = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server
    answers: ClassVar[dict[str, int]] = {"GET": 200, "POST": 503}

    def log_message(self, *args: object) -> None:
        pass

    def _any(self) -> None:
        self.server.asked.append((self.command, self.path, self.headers["Host"]))
        self.server.connections.add(self.client_address)
        if self.server.cut:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response(self.answers[self.command])
        self.send_header("X-Served-By", "old")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = _any


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


def seen(prober: Prober, kind: Kind) -> list[Sample]:
    return [sample for sample in prober.samples() if sample.kind == kind]


def test_reads_and_writes_by_every_way(server: Server) -> None:
    before = time.time()
    with Prober({"public": (server.address, "shop.test"), "old": (server.address, "other.test")}, CHECK) as prober:
        wait_for(lambda: len(seen(prober, "write")) > 12 and len(seen(prober, "read")) > 12)
    assert {(s.way, s.status, s.served_by) for s in seen(prober, "read")} == {
        ("public", 200, "old"), ("old", 200, "old")
    }  # fmt: skip
    assert {s.status for s in seen(prober, "write")} == {503}
    assert {host for _, _, host in server.asked} == {"shop.test", "other.test"}
    assert all(before <= s.at <= time.time() and 0 <= s.took < 5 for s in prober.samples())
    writes = [path for method, path, _ in server.asked if method == "POST"]
    assert len(set(writes)) == len(writes)
    assert all(path.startswith("/canary?id=killick-") for path in writes)


def test_some_connections_are_kept_and_some_are_not(server: Server) -> None:
    with Prober({"public": (server.address, "shop.test")}, CHECK) as prober:
        wait_for(lambda: len(prober.samples()) > 20)
    fresh = len(server.asked) - len(server.connections)
    assert 2 < len(server.connections) < len(server.asked)
    assert fresh > 4


def test_nobody_is_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with Prober({"public": (address, "shop.test")}, CHECK) as prober:
            wait_for(lambda: bool(seen(prober, "write") and seen(prober, "read")))
    assert {sample.status for sample in prober.samples()} == {REFUSED}


def test_a_connection_that_is_cut_after_sending_is_unknown_and_a_write_is_not_sent_again(server: Server) -> None:
    server.cut = True
    with Prober({"public": (server.address, "shop.test")}, CHECK) as prober:
        wait_for(lambda: len(seen(prober, "write")) > 4)
    assert {sample.status for sample in prober.samples()} == {UNKNOWN}
    writes = [path for method, path, _ in server.asked if method == "POST"]
    assert len(set(writes)) == len(writes)


def test_where_it_may_not_write_it_asks_for_what_no_app_has(server: Server) -> None:
    with Prober({"public": (server.address, "shop.test")}, Check(paths=("/",))) as prober:
        wait_for(lambda: len(seen(prober, "write")) > 2)
    writes = [path for method, path, _ in server.asked if method == "POST"]
    assert all(path.startswith("/.well-known/killick-move/killick-") for path in writes)
