"""HAProxy before two servers, as an ordinary process with a configuration such as docs/move.md has."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from deploy.move.spec import Proxy
from tests.lab import debian
from tests.lab.server import HOST, Server, free_ports

CONFIGURATION = """\
global
    stats socket {folder}/admin.sock mode 600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option idle-close-on-response
frontend edge
    bind {address}
    default_backend shop
backend shop
    # keyed by the backend, since a name that was forgotten would be left open
    acl frozen be_name,map({folder}/read_only.map,0) -m str 1
    http-request return status 503 content-type text/plain string "read-only" hdr Retry-After 30 if frozen !{{ method GET HEAD OPTIONS }}
    http-response set-header X-Lab "#1"
    server old {old} check inter 1s # serves
    server new {new} check inter 1s disabled # waits
"""  # noqa: E501


class Haproxy(Server):
    """`old` and `new` are addresses. Debian's program; `bin` has a wrapper of that name, for the PATH."""

    name = "haproxy"

    def __init__(self, old: str, new: str) -> None:
        self.unpacked = debian.unpack("haproxy")
        super().__init__()
        (port,) = free_ports(1)
        self.address = f"{HOST}:{port}"
        self.configuration, self.map = self.folder / "haproxy.cfg", self.folder / "read_only.map"
        self.configuration.write_text(CONFIGURATION.format(folder=self.folder, address=self.address, old=old, new=new))
        self.map.write_text("other 0\nshop 0\n")
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        wrapper = self.bin / "haproxy"
        libraries = debian.libraries(self.unpacked)
        wrapper.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={shlex.quote(libraries)} exec "{self._program}" "$@"\n')
        wrapper.chmod(0o755)

    @property
    def _program(self) -> Path:
        return self.unpacked / "usr/sbin/haproxy"

    @property
    def proxy(self) -> Proxy:
        """As a spec names it, while it runs."""
        assert self.process is not None
        return Proxy(
            host="local",
            socket=str(self.folder / "admin.sock"),
            config=str(self.configuration),
            backend="shop",
            old="old",
            new="new",
            map=str(self.map),
            reload=f"kill -USR2 {self.process.pid}",
            test="haproxy -c -q -f",
        )

    def argv(self) -> Sequence[str | Path]:
        return [self._program, "-W", "-db", "-f", self.configuration]

    def surroundings(self) -> dict[str, str]:
        return {**super().surroundings(), "LD_LIBRARY_PATH": debian.libraries(self.unpacked)}

    def ready(self) -> None:
        with suppress(HTTPError):  # it answers
            urlopen(f"http://{self.address}/", timeout=5).close()
