"""Killick's own folder at the top of a folder: its mark, and where nothing can lie beside, the places.

`.killick/mark.json` says whether a folder holds a copy, and what it is when it is not in use. It is no part of what the
folder holds: neither dumped nor compared, and it makes no folder full. A folder of this name that is somebody else's is
none of this.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

NAME = ".killick"
_FILE = "mark.json"
_PART = ".part"  # of a file that is being written

Copy = dict[str, str]
"""Of which backup it is a copy, and since when: {"origin", "at"}."""


@dataclass(frozen=True)
class Mark:
    """`place`: "new" is being filled, "old" was in use, "gone" was in use and empty, "snapshot"; "" is in use.

    `origin` is the backup that a new one is filled with, and `run` tells which run does it.
    """

    copy: Copy | None = None
    place: str = ""
    origin: str = ""
    run: str = ""


def copied(origin: str, copy: bool) -> Copy | None:
    return {"origin": origin, "at": now()} if copy else None


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ours(root: str) -> bool:
    """Whether `root` has the folder, and it is killick's; one that was made and not yet filled is."""
    folder = f"{root}/{NAME}"
    try:
        if os.path.islink(folder):  # noqa: PTH114  # names of any bytes, as everywhere here
            return False
        found = os.listdir(folder)  # noqa: PTH208
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # one that is closed to us may hold a mark
        return True
    return not found or any(name.startswith(_FILE) for name in found)


def read(root: str) -> Mark:
    """That of nobody's folder is empty; one that cannot be read is taken for a copy's."""
    try:
        with open(f"{root}/{NAME}/{_FILE}", encoding="utf-8") as file:  # noqa: PTH123
            return Mark(**json.load(file))
    except (FileNotFoundError, NotADirectoryError):
        return Mark()
    except (OSError, ValueError, TypeError):
        return Mark(copy={})


def write(root: str, mark: Mark) -> None:
    """Whole or absent, on the disk when it returns. The folder's own times stay; whoever reads it can read the mark."""
    with times_kept(root):
        with suppress(FileExistsError):
            os.mkdir(f"{root}/{NAME}")  # noqa: PTH102
            os.chmod(f"{root}/{NAME}", 0o755)  # noqa: PTH101, S103
        put(f"{root}/{NAME}/{_FILE}", asdict(mark))


def in_use(root: str, copy: Copy | None) -> None:
    """The mark of a folder in use: none, and no folder of ours, where it is no copy and has no places inside."""
    if not ours(root):
        if copy is not None:
            write(root, Mark(copy))
        return
    there = set(os.listdir(f"{root}/{NAME}"))  # noqa: PTH208
    for name in there:
        if name.endswith(_PART):
            os.unlink(f"{root}/{NAME}/{name}")  # noqa: PTH108
    if copy is None and not {name for name in there if not name.endswith(_PART)} - {_FILE}:
        with times_kept(root):
            remove(root)
    elif read(root) != Mark(copy):
        write(root, Mark(copy))


def remove(root: str) -> None:
    """The folder with the mark; raises OSError where more is in it."""
    for name in (_FILE, f"{_FILE}{_PART}"):
        with suppress(FileNotFoundError):
            os.unlink(f"{root}/{NAME}/{name}")  # noqa: PTH108
    with suppress(FileNotFoundError):
        os.rmdir(f"{root}/{NAME}")  # noqa: PTH106


def put(path: str, fields: dict[str, Any]) -> None:
    """A file of JSON, in which names of any bytes are strings as os.fsdecode gives them."""
    with open(f"{path}{_PART}", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(fields, file)
        file.flush()
        os.fchmod(file.fileno(), 0o644)
        os.fsync(file.fileno())
    os.replace(f"{path}{_PART}", path)  # noqa: PTH105
    synced(os.path.dirname(path))  # noqa: PTH120


def synced(folder: str) -> None:
    """What was renamed in it outlives a loss of power."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(at)
    finally:
        os.close(at)


@contextmanager
def times_kept(root: str) -> Iterator[None]:
    at = os.stat(root)  # noqa: PTH116
    yield
    with suppress(PermissionError):  # the times of a folder are its owner's to set
        os.utime(root, ns=(at.st_atime_ns, at.st_mtime_ns))
