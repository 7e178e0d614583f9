"""Which image holds a server for a backup: the official one of the source's major and flavour, or what stands for it.

Of the flavours, postgis and the plain server are run by the tests; timescaledb and pgvector are told by name only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from killick.errors import Unverifiable
from killick.manifest import Manifest
from killick.programs import numbers
from killick.throwaway import _docker

_FLAVOURS = {
    "postgis": ("postgis/postgis:{major}-{version}", r"\d+\.\d+"),
    # its catalog is in the dump, and fits that very version only
    "timescaledb": ("timescale/timescaledb:{version}-pg{major}", r"\d+\.\d+\.\d+"),
    "vector": ("pgvector/pgvector:pg{major}", r""),
}
"""By the manifest's flavour, an extension's name: an image, and the part of the extension's version that is in it."""

REPOSITORIES = ("postgres", "mongo", *(name.partition(":")[0] for name, _ in _FLAVOURS.values()))
_VERSIONS = ("PG_VERSION", "MONGO_VERSION")  # in the environment of the official images


@dataclass(frozen=True)
class Image:
    """`volumes` are the folders that would each be a volume of the host's disk."""

    name: str
    volumes: tuple[str, ...]


def official(manifest: Manifest) -> str:
    """The image that the source's server could have come from; the plain one where the flavour is not known."""
    version = numbers(manifest.server_version)
    if manifest.engine == "mongodb":
        return f"mongo:{version[0]}"
    major = ".".join(map(str, version[: 1 if version[0] >= 10 else 2]))
    name, part = _FLAVOURS.get(manifest.details.get("flavour", ""), ("", ""))
    found = re.search(rf"\b{manifest.details['flavour']} ({part})", manifest.details["extensions"]) if name else None
    return name.format(major=major, version=found[1]) if found else f"postgres:{major}"


def mapped(name: str, images: Mapping[str, str]) -> str:
    """What stands for an official image: for that very one, or for all of its repository (the tag stays)."""
    repository, _, tag = name.rpartition(":")
    return images.get(name) or (f"{images[repository]}:{tag}" if repository in images else name)


def found(api: Any, manifest: Manifest, images: Mapping[str, str]) -> Image:
    """Pulled where it is not here, or where its server is older than the source's. Raises Unverifiable."""
    wanted = official(manifest)
    cure = f"docker pull it on that host, or name another that holds the same: VERIFY_IMAGES={wanted}=…"
    return named(api, mapped(wanted, images), cure, lambda image: _older(image, manifest))


def named(api: Any, name: str, cure: str, stale: Callable[[Any], bool] = lambda _image: False) -> Image:
    """Pulled where it is not here, or is `stale`. Raises Unverifiable, with that cure."""
    here = _inspected(api, name)
    why = ""
    if here is None or stale(here):
        why = _pulled(api, name)
        here = _inspected(api, name) or here
    if here is None:
        raise Unverifiable(
            f"the image {name} is not here, and cannot be pulled{f': {why}' if why else ''}", cure, reason="no-image"
        )
    return Image(name, tuple(sorted(here["Config"].get("Volumes") or {})))


def _inspected(api: Any, name: str) -> Any:
    """None where it is not here."""
    from docker.errors import ImageNotFound

    try:
        return api.inspect_image(name)
    except ImageNotFound:
        return None


def _older(image: Any, manifest: Manifest) -> bool:
    """Whether it says itself that its server is: an image under a major's name grows old where nobody pulls it."""
    told = dict(line.partition("=")[::2] for line in image["Config"].get("Env") or ())
    version = next((told[name] for name in _VERSIONS if name in told), "")
    return bool(version) and numbers(re.split(r"[^\d.]", version)[0]) < numbers(manifest.server_version)


def _pulled(api: Any, name: str) -> str:
    """Why it could not be pulled, "" when it was, or nobody knows."""
    from docker.errors import APIError
    from docker.utils import parse_repository_tag
    from requests import RequestException

    repository, tag = parse_repository_tag(name)
    try:
        api.pull(repository, tag=tag or "latest")
    except APIError as error:
        return _docker.line(error.explanation or error)
    except RequestException as error:
        return type(error).__name__
    return ""
