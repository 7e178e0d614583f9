"""Programs of the project's against the copy in a container: in the app's own image beside it, or beside killick.

The app's container shares the network of the copy's, which has none but its own loopback, where the server listens. So
the copy is all that it can reach: no network of Docker's, not even an internal one, has to be made or closed. It shares
the processes too: they end with the copy's first one, also when killick is killed.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from killick.errors import Unverifiable
from killick.figures import size
from killick.manifest import Manifest
from killick.throwaway import App, Ended, Terms, _beside, _docker, _images, _server
from killick.throwaway._contained import Contained
from killick.throwaway._images import Image
from killick.throwaway._orphans import ended
from killick.throwaway._place import place, user
from killick.throwaway._relay import relay

_LOOK = 0.1  # seconds between two looks at whether it has ended
_ROOM = "size=64m,mode=1777"  # of each folder that it may write to; it counts as memory
_TMP = "/tmp"  # noqa: S108  # the container's


@dataclass(frozen=True)
class Apps:
    """Those of one copy: of its container's `name` and `labels`, with what it takes to be let in."""

    api: Any
    name: str
    manifest: Manifest
    server: Contained
    password: str = field(repr=False)
    labels: dict[str, str]
    terms: Terms
    scratch: Path
    kind: str

    def run(self, app: App, seconds: float | None) -> Ended:
        """See Copy.run."""
        return self._in_image(app, seconds) if app.image else self._beside(app, seconds)

    def _beside(self, app: App, seconds: float | None) -> Ended:
        """By a socket of its own: the program is another user than killick's root."""
        who = user()
        with (
            ended(),
            place(self.scratch, who, self.kind) as folder,
            _server.cell(folder, who, self.terms) as cell,
            relay(self.api, self.name, self.server.port, folder / "s" / self.server.socket),
        ):
            if who.other:
                os.chown(folder / "s" / self.server.socket, *who.other)
            reach = self.server.reach(self.manifest, str(folder / "s"), self.password)
            return _beside.run(cell, app, reach, seconds)

    def _in_image(self, app: App, seconds: float | None) -> Ended:
        name = _docker.APP + self.name.removeprefix(_docker.PREFIX)
        until = time.monotonic() + seconds if seconds is not None else None
        with _docker.told():
            image = _images.named(self.api, app.image, "docker pull it on that host, or correct VERIFY_APP_IMAGE")
            try:
                made = self.api.create_container(**self._asked(name, app, image))
                self._start(made["Id"], app)
                status = self._awaited(name, until)
            finally:
                _docker.end(name)
        return Ended(
            status, f"in a container of {app.image}", "the copy's own, which has no other (Docker)",
            f"its own only (Docker, the image {app.image})",
        )  # fmt: skip

    def _asked(self, name: str, app: App, image: Image) -> dict[str, Any]:
        """Without the image's entry point: those wait for other services, and often migrate."""
        folders = dict.fromkeys((_TMP, *image.volumes), _ROOM)  # a volume would be one of the host's disk
        reach = self.server.reach(self.manifest, "", self.password)
        return {
            "name": name, "image": image.name, "entrypoint": [app.argv[0]], "command": list(app.argv[1:]),
            "environment": {**reach, "HOME": _TMP, "TMPDIR": _TMP}, "labels": self.labels,
            "healthcheck": {"test": ["NONE"]},
            "host_config": self.api.create_host_config(
                network_mode=f"container:{self.name}", pid_mode=f"container:{self.name}", tmpfs=folders,
                log_config={"type": "none"},  # what it says may hold rows
                **_docker.bounds(self.terms),
            ),
        }  # fmt: skip

    def _start(self, id: str, app: App) -> None:
        """Raises Unverifiable where the image has no such program."""
        from docker.errors import APIError

        try:
            self.api.start(id)
        except APIError as error:
            if error.status_code != 400:
                raise
            raise Unverifiable(
                f"{app.argv[0]} is not in the image {app.image}, or may not be run there",
                "VERIFY_COMMAND names a program of VERIFY_APP_IMAGE, whose entry point is not used",
            ) from None

    def _awaited(self, name: str, until: float | None) -> int:
        """Its exit status. Raises Unverifiable when it ran out of memory, TimeoutError."""
        while (state := self.api.inspect_container(name)["State"])["Running"]:
            if until is not None and time.monotonic() > until:
                raise TimeoutError(f"{name} still runs")
            time.sleep(_LOOK)
        if state["OOMKilled"]:
            raise Unverifiable(
                f"the program ran out of memory: its container has {size(self.terms.memory)}", "raise VERIFY_MEMORY",
                reason="memory",
            )  # fmt: skip
        return int(state["ExitCode"])
