"""Folders: what differs by killick's own hashes goes from old to new as a tar, through us, until nothing differs.

No rsync: between two remote hosts it needs a key of one on the other, and the program on both. A list by hash, a tar of
what is on it and a list again need neither, and are the proof at the same time. The first, long pass is made while the
app is in use, and may be repeated; the last one behind the fence carries what changed since. Both sides are hashed at
once: that, and not the copying, is what a pass of few changes lasts.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from deploy.move import carry
from deploy.move.beside import beside
from deploy.move.carry import Figures
from deploy.move.hosts import between
from deploy.move.site import LONG, Site
from deploy.move.sources import Held, folders
from deploy.move.step import Move
from killick import compare
from killick.contents import Contents
from killick.errors import Corrupt, KillickError, Refused
from killick.names import unescaped
from killick.process import write_to

_PASSES = 3
# pax: times below a second, names and sizes of any length
_SEND = (
    "exec tar --create --format=pax --file=- --directory=/it --no-recursion --null --verbatim-files-from "
    "--files-from=/list"
)
_TAKE = "exec tar --extract --file=- --directory=/it --same-owner --preserve-permissions --numeric-owner"
_DROP = "cd /it && exec xargs --null --no-run-if-empty rm -rf --"


@dataclass(frozen=True)
class Difference:
    """Paths relative to the folder, as the system has them: what new lacks or has otherwise, and what only new has."""

    send: tuple[str, ...]
    drop: tuple[str, ...]

    @classmethod
    def of(cls, old: Contents, new: Contents) -> Difference:
        """Pure. A folder is sent with whatever changes in it, since its time changes there too."""
        was, now = _names(old), _names(new)
        wrong = {each.table for each in compare.compare(old, new)}
        drop = now - was
        send = (wrong & was) | {first for name, first in _hard(old).items() if name in wrong}
        send |= {parent for name in send | drop for parent in _parents(name) if parent in was}
        return cls(tuple(map(unescaped, sorted(send))), tuple(map(unescaped, sorted(drop))))

    @property
    def nothing(self) -> bool:
        return not self.send and not self.drop


def differences(move: Move, held: Held) -> tuple[Contents, Contents]:
    """Both sides, read at once."""
    with beside(2) as both:
        was, now = both.map(lambda site: _contents(carry.look(move, site, held)), (move.old, move.new))
    return was, now


def bring(move: Move, held: Held) -> Figures:
    """Makes the folder on new what it is on old. Raises Corrupt where it goes on being another."""
    for _ in range(_PASSES):
        was, now = differences(move, held)
        difference = Difference.of(was, now)
        if difference.nothing:
            return Figures.of(was)
        _drop(move.new, held, difference.drop)
        _send(move, held, difference.send)
    was, now = differences(move, held)
    wrong = compare.compare(was, now)
    if wrong:
        raise Corrupt(
            f"{held.path} on {move.new.host.name} goes on being another: {wrong[0]}",
            "does something still write into it, on either server?",
        )
    return Figures.of(was)


def pre_sync(move: Move, held: Held) -> int:
    """One pass while the folder is in use; how many entries were carried."""
    difference = Difference.of(*differences(move, held))
    _drop(move.new, held, difference.drop)
    _send(move, held, difference.send, in_use=True)
    return len(difference.send)


def in_the_way(move: Move) -> Iterator[str]:
    try:
        for held in folders(move):
            for site in (move.old, move.new):
                _mount(site, held)
    except KillickError as error:
        yield str(error)


def _send(move: Move, held: Held, paths: Iterable[str], *, in_use: bool = False) -> None:
    listed = b"".join(os.fsencode(path) + b"\0" for path in paths)
    if not listed:
        return
    # what is deleted or written meanwhile is no failure of a first pass: the last one finds it
    lenient = " --ignore-failed-read --warning=no-file-changed || [ $? -eq 1 ]" if in_use else ""
    take = "cat >/list; " + _SEND.replace("exec ", "" if in_use else "exec ") + lenient
    send = move.old.host.command(_container(move.old, held, take, write=False))
    receive = move.new.host.command(_container(move.new, held, _TAKE))
    with between(move.old.host, move.new.host), write_to(send, receive) as sink:
        sink.write(listed)


def _drop(site: Site, held: Held, paths: Iterable[str]) -> None:
    listed = b"".join(os.fsencode(f"./{path}") + b"\0" for path in paths)
    if listed:
        site.host.run(_container(site, held, _DROP), stdin=listed, timeout=LONG)


def _container(site: Site, held: Held, script: str, *, write: bool = True) -> list[str]:
    """As root, so that owners are kept; the sidecar itself may only read the folder."""
    source, below = _mount(site, held)
    return [
        "docker", "run", "--rm", "--interactive", "--network=none", "--user=0:0", "--entrypoint=sh",
        "--volume", f"{source}:/mnt/it{'' if write else ':ro'}", image(site), "-euc",
        script.replace("/it", shlex.quote(f"/mnt/it{below}")),
    ]  # fmt: skip


@lru_cache(maxsize=8)
def image(site: Site) -> str:
    """Of the sidecar."""
    service = site.config()["services"][site.sidecar]
    return str(service.get("image") or f"{site.server.project}-{site.sidecar}")


@lru_cache(maxsize=64)
def _mount(site: Site, held: Held) -> tuple[str, str]:
    """The volume's own name or the path on the host, and where below it the folder is ("" for all of it).

    Raises Refused where the folder is in no mount of the sidecar.
    """
    config = site.config()
    wanted = PurePosixPath(held.path)
    for volume in config["services"][site.sidecar].get("volumes") or ():
        target = PurePosixPath(volume["target"])
        if volume.get("source") and wanted.is_relative_to(target):
            below = wanted.relative_to(target).as_posix()
            return _real(config, volume), "" if below == "." else f"/{below}"
    raise Refused(
        f"{held.path} is in no volume of {site.sidecar} on {site.host.name}",
        "mount what the app writes there, as the app does",
    )


def _real(config: Mapping[str, Any], volume: Mapping[str, Any]) -> str:
    if volume["type"] == "volume":
        return str(config["volumes"][volume["source"]]["name"])
    return str(volume["source"])


def _contents(found: Mapping[str, Any]) -> Contents:
    return Contents.from_json(found["contents"]) if found["contents"] is not None else Contents()


def _names(contents: Contents) -> set[str]:
    return set(contents.groups.get("attributes", {})) | set(contents.tables)


def _hard(contents: Contents) -> Mapping[str, str]:
    return contents.groups.get("hard links", {})


def _parents(name: str) -> Iterator[str]:
    parent = name.rpartition("/")[0]
    yield parent or "."
