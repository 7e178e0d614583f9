"""nginx before the Docker engine, with a configuration of docs/security.md."""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.request import urlopen

from tests.lab import debian
from tests.lab.server import HOST, Server, free_ports


class Nginx(Server):
    """It listens on a port of this machine's own; `environment()` sends killick through it."""

    name = "nginx"

    def __init__(self, configuration: str) -> None:
        self.unpacked = debian.unpack("nginx-light")
        super().__init__()
        (self.port,) = free_ports(1)
        ours = re.sub(r"\blisten 2375;", f"listen {HOST}:{self.port};", configuration).replace(
            "/tmp/", f"{self.folder}/"
        )
        assert ours != configuration
        self.configuration = self.folder / "nginx.conf"
        self.configuration.write_text(ours)

    def argv(self) -> Sequence[str | Path]:
        # the folder of the prefix is where it looks for its log before it has read where that is to be
        return [
            self.unpacked / "usr/sbin/nginx", "-g", "daemon off;", "-e", "stderr", "-p", self.folder,
            "-c", self.configuration,
        ]  # fmt: skip

    def surroundings(self) -> dict[str, str]:
        return {**super().surroundings(), "LD_LIBRARY_PATH": debian.libraries(self.unpacked)}

    def ready(self) -> None:
        urlopen(f"http://{HOST}:{self.port}/version", timeout=5).close()

    def environment(self) -> dict[str, str]:
        return {"DOCKER_HOST": f"tcp://{HOST}:{self.port}"}
