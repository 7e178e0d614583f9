"""nginx as an old server's own proxy, with the two files that a move edits."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.request import urlopen

from deploy.move.spec import Forwarder
from tests.lab import debian
from tests.lab.server import HOST, Server, free_ports

CONFIGURATION = """\
pid {folder}/nginx.pid;
error_log stderr;
worker_processes 1;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $request_method $write {{ default 1; GET 0; HEAD 0; OPTIONS 0; }}
    include {folder}/read_only.inc;
    upstream shop {{ include {folder}/upstream.inc; }}
    server {{
        listen {address};
        location / {{
            if ($refused) {{ return 503; }}
            proxy_pass http://shop;
            proxy_set_header Host $host;
            proxy_next_upstream off;
        }}
        error_page 503 @refused;
        location @refused {{ internal; add_header Retry-After 30 always; return 503 "read-only"; }}
    }}
}}
"""


class Forwarding(Server):
    """`bin` has a wrapper called nginx, which knows the configuration: a server's own knows it too."""

    name = "forwarder"

    def __init__(self, upstream: str) -> None:
        self.unpacked = debian.unpack("nginx-light")
        super().__init__()
        (port,) = free_ports(1)
        self.address = f"{HOST}:{port}"
        self.configuration = self.folder / "nginx.conf"
        self.read_only, self.upstream = self.folder / "read_only.inc", self.folder / "upstream.inc"
        self.configuration.write_text(CONFIGURATION.format(folder=self.folder, address=self.address))
        self.read_only.write_text("map $write $refused { default 0; }\n")
        self.upstream.write_text(f"server {upstream};\n")
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        wrapper = self.bin / "nginx"
        libraries = shlex.quote(debian.libraries(self.unpacked))
        words = shlex.join(map(str, self._words()))
        wrapper.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {words} "$@"\n')
        wrapper.chmod(0o755)

    @property
    def files(self) -> Forwarder:
        return Forwarder(str(self.read_only), str(self.upstream), f"{self.bin}/nginx -s reload", "nginx -t -q")

    def _words(self) -> list[str | Path]:
        return [self.unpacked / "usr/sbin/nginx", "-e", "stderr", "-p", self.folder, "-c", self.configuration]

    def argv(self) -> Sequence[str | Path]:
        return [*self._words(), "-g", "daemon off;"]

    def surroundings(self) -> dict[str, str]:
        return {**super().surroundings(), "LD_LIBRARY_PATH": debian.libraries(self.unpacked)}

    def ready(self) -> None:
        urlopen(f"http://{self.address}/", timeout=5).close()
