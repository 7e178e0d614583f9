"""Docker's API, by the SDK that testcontainers brings: how it is reached, and its failures in our words.

Containers are asked for by name wherever the SDK lets us, so that a socket proxy can tell ours from others'
(docs/security.md has the list of what is asked).
"""

from __future__ import annotations

import importlib.util
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from killick.errors import Unverifiable
from killick.throwaway import Terms

PREFIX = "killick-throwaway-"
APP = "killick-app-"  # a program of the project's, beside the throwaway whose name ends alike
OWNER, RUN = "killick.owner", "killick.run"  # labels: the scratch volume's id, and the name of the run's folder in it
_SOCKET = "unix:///var/run/docker.sock"
_PORT = 2375
_WHY = "docs/security.md shows how Docker is reached, and what that means"
_LISTENS = 3.0  # seconds that a host may take to let us connect
_ANSWER = 60  # seconds without a byte of an answer
_CURES = (
    ("Range of CPUs", "lower VERIFY_CPUS: that host has fewer processors"),
    ("unable to find user", "the image holds no such server: see VERIFY_IMAGES"),
)
_PROCESSES = 256  # threads count, and mongod has dozens


def host() -> str:
    return os.environ.get("DOCKER_HOST") or _SOCKET


def lacking() -> Unverifiable | None:
    """Why no Docker can be used here, None when somebody listens where it should be. It loads no library."""
    if importlib.util.find_spec("testcontainers") is None:
        return Unverifiable(
            "testcontainers is not installed", "install killick[container], or use an image of killick's"
        )
    place = urlsplit(host())
    if place.scheme not in ("unix", "tcp", "http") or os.environ.get("DOCKER_TLS_VERIFY"):
        return Unverifiable(
            f"Docker at {host()} is reached by TLS or ssh, which throwaways cannot use",
            "set DOCKER_HOST to unix://… or tcp://…, such as a socket proxy's; " + _WHY,
        )
    try:
        if place.scheme == "unix":
            _knock(place.path)
        else:
            socket.create_connection((place.hostname or "localhost", place.port or _PORT), _LISTENS).close()
    except PermissionError:
        return Unverifiable(
            f"{place.path} may not be used by uid {os.geteuid()}", f"add {_group(place.path)} to the service; {_WHY}"
        )
    except OSError as error:
        return Unverifiable(f"no Docker at {host()}: {error.strerror or error}", _WHY)
    return None


def usable() -> bool:
    """Whether a process of our own user could ask Docker for anything, by a socket in the file system."""
    place = urlsplit(host())
    return place.scheme == "unix" and os.access(place.path, os.W_OK)


@contextmanager
def engine() -> Iterator[Any]:
    """A docker.APIClient. Raises Unverifiable when there is none, and for what Docker refuses inside the block."""
    problem = lacking()
    if problem is not None:
        raise problem
    import docker

    with told():
        client = docker.from_env(environment=environment(), timeout=_ANSWER)
        try:
            yield client.api
        finally:
            client.close()


def environment() -> Mapping[str, str]:
    """What the SDK is told: the same host as ours, whatever `docker context` says."""
    return {**os.environ, "DOCKER_HOST": host()}


@contextmanager
def told() -> Iterator[None]:
    """The SDK's errors inside the block come out as Unverifiable."""
    from docker.errors import APIError, DockerException
    from requests import RequestException

    try:
        yield
    except APIError as error:
        said = line(error.explanation or error)
        if error.status_code == 403:  # a proxy's; Docker has no rights of its own
            asked = f"{error.response.request.method} {urlsplit(error.response.request.url).path}"
            raise Unverifiable(f"Docker at {host()} refuses {asked}", f"allow it in the socket proxy; {_WHY}") from None
        cure = next((cure for words, cure in _CURES if words in said), "look at the engine and its log")
        raise Unverifiable(f"Docker at {host()} says: {said}", cure) from None
    except (DockerException, RequestException) as error:
        raise Unverifiable(f"Docker at {host()} does not answer: {line(error)}", _WHY) from None


def bounds(terms: Terms) -> dict[str, Any]:
    """What holds for each container of ours, in the SDK's words: no rights, and so much of everything."""
    return {
        "read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"], "pids_limit": _PROCESSES,
        "mem_limit": terms.memory, "memswap_limit": terms.memory, "nano_cpus": int(terms.cpus * 1e9) or None,
        "cpu_shares": _shares(os.getpriority(os.PRIO_PROCESS, 0)),
    }  # fmt: skip


def _shares(nice: int) -> int:
    """Of the processors where they are scarce: a container does not inherit our niceness, so this stands for it."""
    return max(2, round(1024 / 1.25 ** max(0, nice)))


def remove(api: Any, name: str) -> None:
    """A container, running or not, with its volumes. That it is gone, or going, is well."""
    from docker.errors import APIError

    try:
        api.remove_container(name, force=True, v=True)
    except APIError as error:
        if error.status_code not in (404, 409):
            raise


def end(name: str) -> None:
    """It is gone afterwards, or swept by the next run where Docker does not answer. From any thread."""
    with suppress(Unverifiable), engine() as api:
        remove(api, name)


def _knock(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_LISTENS)
        probe.connect(path)


def _group(path: str) -> str:
    try:
        return f'group_add: ["{Path(path).stat().st_gid}"]'
    except OSError:
        return "group_add: with the socket's group"


def line(said: object) -> str:
    """As one line, without the tags of a proxy's page."""
    return " ".join(re.sub(r"<[^<>]*>", " ", str(said)).split())[:500]
