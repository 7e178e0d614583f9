"""Where a throwaway lives: a folder that its user can reach, with a path short enough for a socket."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from killick.errors import Unverifiable
from killick.stream import Scratch

_SOCKET = 107  # bytes of a Unix socket's path (sockaddr_un); a run's folder and the socket's name come out of it
_WITHIN = len("/run-12345678/server/s/.s.PGSQL.5432")


@dataclass(frozen=True)
class User:
    """As whom a server runs. Ourselves, but for root: databases refuse root, and root could read everything."""

    name: str
    uid: int
    gid: int

    @property
    def other(self) -> tuple[int, int] | None:
        """uid and gid when it is not who we are."""
        return None if self.uid == os.geteuid() else (self.uid, self.gid)


def user() -> User:
    """Raises Unverifiable when we are nobody that /etc/passwd knows: initdb refuses that."""
    names = ("postgres", "nobody") if os.geteuid() == 0 else ()
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(name, entry.pw_uid, entry.pw_gid)
    try:
        return User(pwd.getpwuid(os.geteuid()).pw_name, os.geteuid(), os.getegid())
    except KeyError:
        raise Unverifiable(
            f"uid {os.geteuid()} has no name in /etc/passwd, and database servers refuse to run so",
            "run the container as a user that the image knows: leave `user:` out",
        ) from None


@contextmanager
def place(scratch: Path, who: User, name: str = "throwaway") -> Iterator[Path]:
    """An empty folder `server` that belongs to `who`, gone afterwards. Runs of one `name` are swept together."""
    root = _root(scratch, who, name)
    with Scratch(root).folder() as run:
        run.chmod(0o711)
        server = run / "server"
        server.mkdir(0o700)
        if who.other:
            try:
                os.chown(server, *who.other)
            except PermissionError:
                raise Unverifiable(
                    f"root may not give a folder to user {who.name}: its rights were dropped",
                    "leave `user:` out of the compose file, or add SETUID, SETGID, CHOWN and KILL to cap_add",
                ) from None
        yield server


def sweep(scratch: Path, name: str = "throwaway") -> list[str]:
    return [run for root in roots(scratch, name) for run in Scratch(root).sweep()]


def roots(scratch: Path, name: str) -> list[Path]:
    """Where runs of that name may have their folders: none before the first run."""
    return [root for root in _roots(scratch, name) if _ours(root)]


def reachable(path: Path, who: User) -> bool:
    """Whether `who`, who is in no other group, may run the file or enter the folder."""
    if who.other is None:
        return os.access(path, os.X_OK)
    path = path.resolve()
    return all(_may_enter(part, who) for part in (path, *path.parents))


def _may_enter(path: Path, who: User) -> bool:
    at = path.stat()
    bit = stat.S_IXUSR if at.st_uid == who.uid else stat.S_IXGRP if at.st_gid == who.gid else stat.S_IXOTH
    return bool(at.st_mode & bit)


def _roots(scratch: Path, name: str) -> list[Path]:
    ours = f"killick-{name}-{os.geteuid()}"
    return [scratch.absolute() / name, Path("/var/tmp") / ours, Path("/tmp") / ours]  # noqa: S108  # see _ours


def _root(scratch: Path, who: User, name: str) -> Path:
    """SCRATCH_DIR where it will do; it may lie below a home that is closed to others, or be too deep for a socket."""
    for root in _roots(scratch, name):
        if len(os.fsencode(root)) + _WITHIN > _SOCKET:
            continue
        try:
            root.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError:
            continue
        if _ours(root) and reachable(root, who):
            return root
    raise Unverifiable(
        f"no folder for a throwaway server: {scratch} cannot be reached by user {who.name}, or its path is too long "
        "for a socket, and neither /var/tmp nor /tmp may be written to",
        "point SCRATCH_DIR to a volume with a short path, such as /scratch",
    )


def _ours(root: Path) -> bool:
    """Nobody else may have put a folder, or a link, where ours is to be."""
    try:
        at = root.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(at.st_mode) and at.st_uid == os.geteuid() and not at.st_mode & 0o022
