"""A way into a container that has no network: a Unix socket of ours, each of whose connections is a `docker exec`.

Nothing is shared with the container, neither a folder nor a volume, so it needs the API alone: the same on Docker's own
host, in a container that the socket is mounted into, and behind a socket proxy. A shared folder would need a name that
both sides know (paths of a container mean nothing to the engine), and the right to mount, which is a right to the
host's files.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

from killick.errors import Unverifiable
from killick.throwaway import _docker

_CHUNK = 1 << 18
_WARM = 30.0  # seconds between signs of life: proxies cut connections that are silent
_UPGRADED = 101

# To a port of the container's own, since bash knows no Unix sockets. Until its server listens it waits there, which is
# cheaper than to come again. Whichever side ends, the other does.
_FORWARD = (
    "until exec 3<>/dev/tcp/127.0.0.1/$0; do sleep 0.02; done 2>/dev/null;"
    " exec 4<&0; cat <&3 & cat <&4 >&3 & wait -n; kill $(jobs -p); wait"
)
_LEASE = "cat >/dev/null; kill -$0 1"


@contextmanager
def relay(api: Any, container: str, port: int, path: Path) -> Iterator[None]:
    """Meanwhile whoever connects to the socket at `path` reaches that port inside the container.

    A connection ends when the container does.
    """
    calls: list[_Call] = []

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            call = _Call(api, container, port, client)
            calls.append(call)
            call.start()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(64)
        accepting = Thread(target=accept, name="relay", daemon=True)
        accepting.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for call in calls:
                call.hang_up()
            for call in calls:
                call.join()


@contextmanager
def lease(api: Any, container: str, end: str) -> Iterator[None]:
    """Whatever becomes of us, the container's first process gets the signal `end` when this connection breaks.

    Raises Unverifiable where connections cannot be kept open.
    """
    held = _attached(api, container, "bash", "-c", _LEASE, end)
    over = Event()

    def beat() -> None:
        with suppress(OSError):
            while not over.wait(_WARM):
                held.sendall(b"\n")

    beating = Thread(target=beat, name="lease", daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()
        held.close()


def output(api: Any, container: str, *argv: str) -> bytes:
    """What a program in the container prints. Raises Unverifiable, OSError; it has ten seconds for each piece."""
    with _attached(api, container, *argv) as connection:
        connection.settimeout(10)
        with connection.makefile("rb") as framed:
            return b"".join(_unframed(framed))


class _Call(Thread):
    """One client's connection, and the one inside the container that stands for it."""

    def __init__(self, api: Any, container: str, port: int, client: socket.socket) -> None:
        super().__init__(name="relay-call", daemon=True)
        self._attach: Callable[[], socket.socket] = lambda: _attached(api, container, "bash", "-c", _FORWARD, str(port))
        self._ends = [client]

    def run(self) -> None:
        client = self._ends[0]
        with client, suppress(Unverifiable), self._attach() as server:
            self._ends.append(server)
            up = Thread(target=self._up, args=(client, server), daemon=True)
            up.start()
            with suppress(OSError), BufferedReader(server.makefile("rb", 0), _CHUNK) as framed:
                for payload in _unframed(framed):
                    client.sendall(payload)
            self.hang_up()
            up.join()

    def hang_up(self) -> None:
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while chunk := client.recv(_CHUNK):
                server.sendall(chunk)
        self.hang_up()


def _unframed(stream: IO[bytes]) -> Iterator[bytes]:
    """What was written to stdout: Docker puts eight bytes before each piece, the last four of them its length."""
    while len(header := stream.read(8)) == 8:
        length = int.from_bytes(header[4:], "big")
        if header[0] == 1:
            yield stream.read(length)
        else:
            stream.read(length)


def _attached(api: Any, container: str, *argv: str) -> socket.socket:
    """A program's stdin and (framed) stdout in the container, as one connection. Raises Unverifiable."""
    with _docker.told():
        answer = api.exec_start(api.exec_create(container, argv, stdin=True, stderr=False), socket=True)
    response = answer._response
    try:
        if response.status_code != _UPGRADED:
            raise Unverifiable(
                f"what stands before Docker at {_docker.host()} does not let a connection be upgraded",
                "docs/security.md shows a proxy that does (HAProxy from 2.4 on did not for some years)",
            )
        connection = socket.socket(fileno=os.dup(answer.fileno()))
    finally:
        response.close()
    connection.settimeout(None)
    return connection
