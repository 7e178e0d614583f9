"""A throwaway as a container: the source's own image, without a network, bounded in memory, processes and disk."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from killick.errors import Unreachable, Unverifiable
from killick.limits import Limits, limits
from killick.manifest import Manifest
from killick.owner import Owner
from killick.programs import numbers
from killick.throwaway import Copy, Terms, _docker, _images, _place, _server
from killick.throwaway._app import Apps
from killick.throwaway._contained import FOLDER, PASSWORD, SERVERS, Contained
from killick.throwaway._images import Image
from killick.throwaway._place import User, place
from killick.throwaway._postmortem import explained, said
from killick.throwaway._relay import lease, relay

KIND = "container"
ENGINES = tuple(SERVERS)
_UP = 60.0  # seconds that a server may take to answer
_LOG = {"type": "json-file", "config": {"max-size": "1m", "max-file": "1"}}


def lacking() -> Unverifiable | None:
    """Why no containers can be had here, None when Docker listens."""
    return _docker.lacking()


def missing(_manifest: Manifest) -> Unverifiable | None:
    """Whether there is an image turns out when it is asked for."""
    return lacking()


@contextmanager
def start(manifest: Manifest, scratch: Path, terms: Terms) -> Iterator[Copy]:
    """Raises Unverifiable when there is no image, or its server does not start."""
    server = SERVERS[manifest.engine]
    with place(scratch, User("", os.geteuid(), os.getegid()), KIND) as folder, _docker.engine() as api:
        image = _images.found(api, manifest, terms.images)
        run = folder.parent.name
        name = _docker.PREFIX + run.removeprefix("run-")
        labels = {_docker.OWNER: Owner(scratch).id, _docker.RUN: run}
        source = server.source(manifest, folder, secrets.token_urlsafe(24))
        with ExitStack() as held, explained(api, name, terms.memory, server.room(terms.memory)):
            held.callback(_docker.end, name)
            _begin(name, image, server, terms, labels, source.password)
            held.enter_context(lease(api, name, server.end))
            held.enter_context(relay(api, name, server.port, folder / server.socket))
            version = _ready(api, name, lambda: server.ready(source, folder))
            yield Copy(
                source, KIND, version, "none (Docker)", f"its own only (Docker, the image {image.name})", server.user,
                _server.older(numbers(version), manifest.server_version), kill=lambda: _docker.end(name),
                run=Apps(api, name, manifest, server, source.password, labels, terms, scratch, KIND).run,
            )  # fmt: skip


def sweep(scratch: Path) -> list[str]:
    """Folders of runs that were killed, and containers of ours whose run has no folder any more."""
    roots = _place.roots(scratch, KIND)
    swept = set(_place.sweep(scratch, KIND))
    if roots:  # otherwise none was ever started from here, and Docker is not asked
        with suppress(Unverifiable), _docker.engine() as api:
            ours = {"label": [f"{_docker.OWNER}={Owner(scratch).id}"]}
            for container in api.containers(all=True, filters=ours):
                run = container["Labels"].get(_docker.RUN, "")
                if not any((root / run).is_dir() for root in roots):
                    _docker.remove(api, container["Names"][0].removeprefix("/"))
                    swept.add(run)
    return sorted(swept)


def _begin(name: str, image: Image, server: Contained, terms: Terms, labels: dict[str, str], password: str) -> None:
    """Makes and starts it. Raises Unverifiable; then it may be there all the same."""
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = True  # its reaper is one more image, and wants the socket: see `sweep`
    room = server.room(terms.memory)
    own = Limits(terms.memory - room, terms.within(limits()).cpus)
    with _docker.told():
        container = DockerContainer(image.name, docker_client_kw={"environment": _docker.environment()})
        try:
            container.with_name(name).with_command(["-euc", server.script, name, *server.argv(own, room)])
            container.with_envs(LC_ALL="C.UTF-8", TZ="UTC", HOME=FOLDER, TMPDIR=FOLDER, **{PASSWORD: password})
            container.with_tmpfs_mount(FOLDER, f"size={room},mode=1777").with_tmpfs_mount("/tmp", "size=16m,mode=1777")  # noqa: S108  # the container's
            for volume in image.volumes:
                container.with_tmpfs_mount(volume, "ro,size=64k")  # else it would be one of the host's disk
            # init: a postmaster that is everybody's parent takes the end of a stranger for a crash of its own
            container.with_kwargs(
                entrypoint=["bash"], init=True, user=server.user, labels=labels, network="none", shm_size="16m",
                log_config=_LOG, **_docker.bounds(terms),
            )  # fmt: skip
            container.start()
        finally:
            container.get_docker_client().client.close()


def _ready(api: Any, name: str, ready: Callable[[], str]) -> str:
    """The server's version, once it answers. Raises Unverifiable."""
    until = time.monotonic() + _UP
    while True:
        try:
            return ready()
        except Unreachable as error:
            container = api.inspect_container(name)
            ended = not container["State"]["Running"]
            if ended or time.monotonic() > until:
                why = "it ended" if ended else error.message
                words = " ".join(said(api, name).split())[-500:]  # nothing of the backup has been in there yet
                raise Unverifiable(
                    f"{container['Config']['Image']} does not start as a throwaway: {why}; it said: {words}",
                    "VERIFY_IMAGES names another image; VERIFY_MEMORY gives it more room",
                ) from None
            time.sleep(0.05)
