"""A dump into a folder, and what a folder holds.

Nothing is ever written through a link: the target was empty, no link of the dump is followed, and every file and
folder is made anew.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterable
from pathlib import Path

from killick.contents import Contents, Table
from killick.engines import Notes
from killick.engines.files import copying, tree
from killick.engines.files.dumping import FOLDER, HARD_LINKS, attributes, room
from killick.engines.files.unread import Unread, opened, some
from killick.errors import NotFound, Refused, RestoreError
from killick.names import escaped
from killick.watch import Watch

_CAP_CHOWN = 0


def load(root: str, folder: Path, contents: Contents, watch: Watch, only: Collection[str] | None) -> Notes:
    """Raises Refused when the target holds something, NotFound for a path that the dump has not, RestoreError."""
    source = f"{folder}/{FOLDER}"
    if not tree.empty(root):
        raise Refused(f"{root} is not empty", "restore into an empty folder, or one that is not there yet")
    _opened_up(source)
    missing = set(contents.tables if only is None else only)
    for entry in tree.walk(source):
        missing.discard(escaped(entry.path))
    if missing and only is None:
        raise RestoreError(
            f"{len(missing):,} files are not in the archive: {some(missing)}", "restore the one before it"
        )
    if missing:
        raise NotFound(f"this backup does not hold {some(missing)}", "killick list shows what it holds")
    recorded = contents.groups.get("attributes", {})
    with room(root):
        try:
            made = _copied(source, root, only, watch)
            # From the end: what is in a folder before the folder itself, whose time and rights it would need.
            given = [give(root, path, recorded.get(escaped(path), own)) for path, own in reversed(made)]
        except PermissionError as error:
            raise RestoreError(
                f"{error.filename or root} may not be written", "run killick as a user who may write there"
            ) from None
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            raise RestoreError(
                f"a path in it is too long, with {root} in front of it", "restore into a folder with a shorter path"
            ) from None
    if kept := given.count(False):
        return (f"{kept:,} files and folders are our own now: giving them to their owners needs root and CAP_CHOWN",)
    return ()


def contents(source: str, root: str, exclude: Iterable[str], like: Contents | None) -> Contents:
    """Raises AccessDenied when a file cannot be read. Our own files are made readable for the while."""
    ours = _opened_up(root) if like is not None else {}
    recorded = {} if like is None or _gives_away() else like.groups.get("attributes", {})
    unread = Unread(source, root)
    tables: dict[str, Table] = {}
    found: dict[str, str] = {}
    links: dict[str, str] = {}
    hard: dict[str, str] = {}
    first: dict[tuple[int, int], str] = {}
    try:
        for entry in tree.walk(root, exclude, unread.told):
            name = escaped(entry.path)
            try:
                if entry.file:
                    tables[name] = copying.taken(tree.joined(root, entry.path))
                    same = first.setdefault((entry.at.st_dev, entry.at.st_ino), name) if entry.at.st_nlink > 1 else name
                    if same != name:
                        hard[name] = same
                elif entry.link:
                    links[name] = escaped(os.readlink(tree.joined(root, entry.path)))  # noqa: PTH115  # any bytes
                elif not entry.folder:
                    continue
            except OSError as error:
                unread.told(entry.path, error)
                continue
            mode, *rest = attributes(entry.at).split()
            mode = f"{ours.get(entry.path, int(mode, 8)):04o}"
            found[name] = _as_theirs(" ".join([mode, *rest]), recorded.get(name, ""))
    finally:
        for path, bits in reversed(ours.items()):
            os.chmod(tree.joined(root, path), bits)  # noqa: PTH101
    unread.check()
    groups = {"attributes": found, "links": links, HARD_LINKS: hard}
    if like is not None and HARD_LINKS not in like.groups:
        del groups[HARD_LINKS]  # a backup from before they were told
    return Contents(tables=tables, groups=groups)


def _copied(source: str, root: str, only: Collection[str] | None, watch: Watch) -> list[tuple[str, str]]:
    """Everything without its rights and times; gives each path with those that it has in the dump's folder."""
    os.makedirs(root, mode=0o700, exist_ok=True)  # noqa: PTH103  # names of any bytes, as everywhere here
    made: list[tuple[str, str]] = []
    first: dict[tuple[int, int], str] = {}
    done = 0
    for entry in tree.walk(source):
        place = tree.joined(root, entry.path)
        if only is not None and not _chosen(escaped(entry.path), only):
            continue
        made.append((entry.path, attributes(entry.at)))
        if entry.link:
            os.symlink(os.readlink(tree.joined(source, entry.path)), place)  # noqa: PTH115, PTH211
        elif entry.folder and entry.path != ".":
            os.mkdir(place, 0o700)  # noqa: PTH102
        elif entry.file:
            same = first.setdefault((entry.at.st_dev, entry.at.st_ino), place) if entry.at.st_nlink > 1 else place
            if same != place:
                os.link(same, place, follow_symlinks=False)
                continue
            file = opened(tree.joined(source, entry.path))
            try:
                done += copying.copy(file, place).table.rows
            finally:
                os.close(file)
            watch(done)
    return made


def _chosen(name: str, only: Collection[str]) -> bool:
    """Whether it is named, lies in what is named, or is a folder above it."""
    return name == "." or any(f"{name}/".startswith(f"{one}/") or one.startswith(f"{name}/") for one in only)


def give(root: str, path: str, recorded: str) -> bool:
    """Sets mode, time and owner; False where it stays our own."""
    place = tree.joined(root, path)
    mode, uid, gid, mtime = recorded.split()
    at = os.lstat(place)
    link = stat.S_ISLNK(at.st_mode)
    if not link:
        os.chmod(place, int(mode, 8))  # noqa: PTH101
    os.utime(place, ns=(int(mtime), int(mtime)), follow_symlinks=False)
    if (at.st_uid, at.st_gid) == (int(uid), int(gid)):
        return True
    try:
        os.chown(place, int(uid), int(gid), follow_symlinks=False)
        if int(mode, 8) & 0o6000 and not link:
            os.chmod(place, int(mode, 8))  # noqa: PTH101  # a new owner takes these bits away
    except PermissionError:
        return False
    return True


def _opened_up(root: str) -> dict[str, int]:
    """Gives us the rights to our own files and folders; tells the modes that they had."""
    had: dict[str, int] = {}
    own = os.geteuid()

    def open_up(path: str, at: os.stat_result, needed: int) -> None:
        mode = stat.S_IMODE(at.st_mode)
        if at.st_uid == own and mode & needed != needed:
            had[path] = mode
            os.chmod(tree.joined(root, path), mode | needed)  # noqa: PTH101

    if own:
        pending = ["."]
        not_theirs = tree.hidden(root)
        while pending:
            path = pending.pop()
            open_up(path, os.lstat(tree.joined(root, path)), 0o500)
            with os.scandir(tree.joined(root, path)) as found:
                for one in found:
                    below = one.name if path == "." else f"{path}/{one.name}"
                    if below in not_theirs:
                        continue
                    if one.is_dir(follow_symlinks=False):
                        pending.append(below)
                    elif one.is_file(follow_symlinks=False):
                        open_up(below, one.stat(follow_symlinks=False), 0o400)
    return had


def _as_theirs(own: str, recorded: str) -> str:
    """Our own file, told with the owner that it would have."""
    mode, uid, gid, mtime = own.split()
    if not recorded or (int(uid), int(gid)) != (os.geteuid(), os.getegid()):
        return own
    _, uid, gid, _ = recorded.split()
    return f"{mode} {uid} {gid} {mtime}"


def _gives_away() -> bool:
    """Whether we hold CAP_CHOWN."""
    with Path("/proc/self/status").open() as status:
        held = next(line for line in status if line.startswith("CapEff:")).split()[1]
    return bool(int(held, 16) >> _CAP_CHOWN & 1)
