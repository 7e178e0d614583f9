"""What lies in a folder, and which of it is left out."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from killick.engines.files import marks

Failed = Callable[[str, OSError], None]
"""Told of a path, relative to the root, that could not be looked at."""

_LOST = "lost+found"  # of ext4, where the folder is the root of a volume


@dataclass(frozen=True, slots=True)
class Entry:
    """`path` is relative to the root, "." the root itself; undecodable bytes are surrogates, as in os.fsdecode."""

    path: str
    at: os.stat_result

    @property
    def folder(self) -> bool:
        return stat.S_ISDIR(self.at.st_mode)

    @property
    def file(self) -> bool:
        return stat.S_ISREG(self.at.st_mode)

    @property
    def link(self) -> bool:
        return stat.S_ISLNK(self.at.st_mode)

    @property
    def shared(self) -> tuple[int, ...]:
        """What the names of one file have in common, () where it has one name.

        Its number alone may be another file's by now, and a file that was written to between two looks is not what was
        stored under its first name: then each name is stored as it was read.
        """
        at = self.at
        if at.st_nlink < 2:
            return ()
        return (at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns, at.st_mode, at.st_uid, at.st_gid)


def walk(root: str, exclude: Iterable[str] = (), failed: Failed | None = None) -> Iterator[Entry]:
    """Every entry, a folder before what is in it, sorted by bytes. Links are not followed.

    What cannot be looked at is told to `failed`, which may raise; without it the OSError is raised.
    """
    left_out = excluding(exclude)
    not_theirs = hidden(root)
    pending = [Entry(".", os.lstat(root))]
    while pending:
        entry = pending.pop()
        yield entry
        if not entry.folder:
            continue
        below: list[Entry] = []
        try:
            with os.scandir(joined(root, entry.path)) as found:
                for one in found:
                    path = one.name if entry.path == "." else f"{entry.path}/{one.name}"
                    if path not in not_theirs and not left_out(path, one.is_dir(follow_symlinks=False)):
                        below += _looked_at(one, path, failed)
        except OSError as error:
            if failed is None:
                raise
            failed(entry.path, error)
        pending += sorted(below, key=lambda e: os.fsencode(e.path), reverse=True)


def joined(root: str, path: str) -> str:
    return root if path == "." else f"{root}/{path}"


def hidden(root: str) -> set[str]:
    """Names at the top of a folder that are no part of what it holds."""
    return {_LOST, marks.NAME} if marks.ours(root) else {_LOST}


def empty(root: str) -> bool:
    """Whether nothing is in the folder; one that is not there is empty too, one that cannot be looked into is not."""
    try:
        return not set(os.listdir(root)) - hidden(root)  # noqa: PTH208  # names of any bytes
    except FileNotFoundError:
        return True
    except OSError:  # a file, or a folder of somebody else's
        return False


def excluding(patterns: Iterable[str]) -> Callable[[str, bool], bool]:
    """Whether a path is left out, and with a folder all that is in it. As in .gitignore, without its "!":

    A pattern without "/" matches a name at any depth (*.log), one with "/" the path from the top (cache/*.tmp, /tmp);
    one that ends in "/" matches folders only. "*" and "?" stay within a name, "**" goes through folders.
    """
    rules = [(re.compile(_expression(p), re.DOTALL), p.endswith("/")) for p in patterns if p.strip("/")]

    def left_out(path: str, folder: bool) -> bool:
        return any((folder or not only) and rule.fullmatch(path) for rule, only in rules)

    return left_out


def _looked_at(one: os.DirEntry[str], path: str, failed: Failed | None) -> list[Entry]:
    try:
        return [Entry(path, one.stat(follow_symlinks=False))]
    except OSError as error:
        if failed is None:
            raise
        failed(path, error)
        return []


def _expression(pattern: str) -> str:
    body = pattern.strip("/")
    depth = "" if "/" in pattern.rstrip("/") else "(?:.*/)?"
    parts = re.findall(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\]|.", body, re.DOTALL)
    return depth + "".join(_PARTS.get(part) or _class(part) for part in parts)


_PARTS = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def _class(part: str) -> str:
    if len(part) < 3:
        return re.escape(part)
    inner = part[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    return f"[^/{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
