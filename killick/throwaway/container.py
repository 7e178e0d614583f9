"""A throwaway as a container: the source's own image, without a network, bounded in memory, processes and disk."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from killick.errors import Aborted, Unreachable, Unverifiable
from killick.figures import size
from killick.limits import limits
from killick.manifest import Manifest
from killick.owner import Owner
from killick.programs import numbers
from killick.throwaway import Copy, Terms, _docker, _images, _place, _server
from killick.throwaway._contained import FOLDER, PASSWORD, SERVERS, Contained
from killick.throwaway._place import User, place
from killick.throwaway._relay import lease, relay

KIND = "container"
ENGINES = tuple(SERVERS)
_UP = 60.0  # seconds that a server may take to answer
_PROCESSES = 256  # threads count, and mongod has dozens
_SHARES = 128  # of the processors where they are scarce; whoever asks for nothing has 1024
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
        image, volumes = _images.found(api, manifest, terms.images)
        name = _docker.PREFIX + _run(folder).removeprefix("run-")
        labels = {_docker.OWNER: Owner(scratch).id, _docker.RUN: _run(folder)}
        source = server.source(manifest, folder, secrets.token_urlsafe(24))
        with ExitStack() as held, _explained(api, name, server, terms):
            held.callback(_end, name)
            _begin(name, image, server, terms, labels, volumes, source.password)
            held.enter_context(lease(api, name, server.end))
            held.enter_context(relay(api, name, server.port, folder / server.socket))
            version = _ready(api, name, image, lambda: server.ready(source, folder))
            yield Copy(
                source, KIND, version, "none (Docker)", f"its own only (Docker, the image {image})", server.user,
                _server.older(numbers(version), manifest.server_version), kill=lambda: _end(name),
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


def _run(folder: Path) -> str:
    return folder.parent.name


def _begin(
    name: str, image: str, server: Contained, terms: Terms, labels: dict[str, str], volumes: list[str], password: str
) -> None:
    """Makes and starts it. Raises Unverifiable; then it may be there all the same."""
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    testcontainers_config.ryuk_disabled = True  # its reaper is one more image, and wants the socket: see `sweep`
    room = int(terms.memory * server.data)
    own = Terms(terms.memory - room, terms.cpus).within(limits())
    with _docker.told():
        container = DockerContainer(image, docker_client_kw={"environment": _docker.environment()})
        try:
            container.with_name(name).with_command(["-euc", server.script, name, *server.argv(own, room)])
            container.with_envs(LC_ALL="C.UTF-8", TZ="UTC", HOME=FOLDER, TMPDIR=FOLDER, **{PASSWORD: password})
            container.with_tmpfs_mount(FOLDER, f"size={room},mode=1777").with_tmpfs_mount("/tmp", "size=16m,mode=1777")  # noqa: S108  # the container's
            for volume in volumes:
                container.with_tmpfs_mount(volume, "size=64k")  # else it would be one of the host's disk
            container.with_kwargs(
                entrypoint=["bash"], user=server.user, labels=labels, network="none", read_only=True,
                cap_drop=["ALL"], security_opt=["no-new-privileges"], pids_limit=_PROCESSES, shm_size="16m",
                mem_limit=terms.memory, memswap_limit=terms.memory, nano_cpus=int(terms.cpus * 1e9) or None,
                cpu_shares=_SHARES, log_config=_LOG,
            )  # fmt: skip
            container.start()
        finally:
            container.get_docker_client().client.close()


def _ready(api: Any, name: str, image: str, ready: Callable[[], str]) -> str:
    """The server's version, once it answers. Raises Unverifiable."""
    until = time.monotonic() + _UP
    while True:
        try:
            return ready()
        except Unreachable as error:
            ended = not api.inspect_container(name)["State"]["Running"]
            if ended or time.monotonic() > until:
                said = " ".join(_said(api, name).split())[-500:]  # nothing of the backup has been in there yet
                raise Unverifiable(
                    f"{image} does not start as a throwaway: {'it ended' if ended else error.message}; it said: {said}",
                    "VERIFY_IMAGES names another image; VERIFY_MEMORY gives it more room",
                ) from None
            time.sleep(0.05)


@contextmanager
def _explained(api: Any, name: str, server: Contained, terms: Terms) -> Iterator[None]:
    """An error inside the block that came of too little memory or disk comes out as Unverifiable."""
    try:
        yield
    except Aborted:
        raise
    except Exception as error:
        if isinstance(error, Unverifiable) and error.reason != "environment":
            raise
        lack = _lack(api, name, server, terms)
        if lack is None:
            raise
        raise lack from None


def _lack(api: Any, name: str, server: Contained, terms: Terms) -> Unverifiable | None:
    """None also where nobody can tell any more."""
    with suppress(Unverifiable), _docker.told():
        if _killed_for_memory(api, name):
            return Unverifiable(
                f"the throwaway ran out of memory: it has {size(terms.memory)}", "raise VERIFY_MEMORY", reason="memory"
            )
        if "No space left on device" in _said(api, name):
            room = size(int(terms.memory * server.data))
            return Unverifiable(
                f"the throwaway ran out of disk: of its {size(terms.memory)} its files may take {room}",
                "raise VERIFY_MEMORY, or set VERIFY_IN=process, where the disk is SCRATCH_DIR's", reason="disk",
            )  # fmt: skip
    return None


def _killed_for_memory(api: Any, name: str) -> bool:
    """Any process of it: Docker tells of the first one only once that has ended."""
    state = api.inspect_container(name)["State"]
    if not state["Running"]:
        return bool(state["OOMKilled"])
    files = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"]  # cgroup v2, v1
    told = api.exec_start(api.exec_create(name, ["cat", *files], stderr=False))
    return any(int(count) for count in re.findall(rb"^oom_kill (\d+)", told, re.MULTILINE))


def _said(api: Any, name: str) -> str:
    """The end of what it wrote. Once data is in, never to be shown."""
    return str(api.logs(name, tail=100).decode(errors="replace"))


def _end(name: str) -> None:
    """It is gone afterwards, or swept by the next run where Docker does not answer. From any thread."""
    with suppress(Unverifiable), _docker.engine() as api:
        _docker.remove(api, name)
