"""A program of the project's beside killick, as a confined child: it reaches the copy's socket, and no network."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from killick.errors import Unverifiable
from killick.process import Command, start
from killick.throwaway import App, Ended, _docker, confine
from killick.throwaway._place import reachable
from killick.throwaway._server import DEVICES, SYSTEM, Cell

# where images have their programs, besides /usr and the working directory; and what is read wherever it is there
_ITS_OWN = (
    "/app",
    "/opt",
    "/srv",
    *(f"/etc/{name}" for name in ("hosts", "mime.types", "protocols", "services", "ssl")),
)
_CURE = "VERIFY_APP_IMAGE names an image that has it; or build the verifier FROM killick:verify, with the app in it"


def run(cell: Cell, app: App, reach: Mapping[str, str], seconds: float | None) -> Ended:
    """See Copy.run. `reach` is what it is told of the copy; its environment holds nothing else of ours."""
    if app.image:
        raise Unverifiable(f"{app.image} needs a throwaway in a container, and this one is a process", "VERIFY_IN=auto")
    if cell.who.other is None and _docker.usable():
        raise Unverifiable(
            "the program would run where Docker's socket is within its reach, which makes it root on this host",
            "VERIFY_APP_IMAGE names the image that it is in, killick's own if it is there",
        )
    path = _program(cell, app.argv[0])
    home = cell.folder / "app"
    home.mkdir(0o700, exist_ok=True)
    if cell.who.other:
        os.chown(home, *cell.who.other)
    policy = confine.Policy(
        parent=os.getpid(),
        read=(*SYSTEM, *_ITS_OWN, *_around(cell, path)),
        write=(str(home), *DEVICES),
        user=cell.who.other,
        env={
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8", "TZ": "UTC",
        },
        passed=tuple(reach),
        cpus=math.ceil(cell.terms.cpus),
        network=cell.guards.seccomp,
        connect=True,
        files=cell.guards.landlock > 0,
    )  # fmt: skip
    command = Command(confine.argv(policy, (str(path), *app.argv[1:])), env=reach)
    with start(command, stderr=subprocess.DEVNULL) as process:
        try:
            status = process.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{app.argv[0]} still runs after {seconds:g} s") from None
    return Ended(status, f"beside killick, as user {cell.who.name}", _network(cell), _files(cell))


def _program(cell: Cell, name: str) -> Path:
    """Raises Unverifiable where it is not there, or not for the user that it would run as."""
    found = shutil.which(name)
    if found is None:
        raise Unverifiable(f"{name} is not here, or may not be run", _CURE)
    path = Path(found).absolute()
    if not reachable(path, cell.who):
        raise Unverifiable(f"{path} cannot be run by user {cell.who.name}, and it is not run as root", _CURE)
    return path


def _around(cell: Cell, path: Path) -> list[str]:
    """The program's folder, that above a `bin` (a virtual environment), and the one that relative paths begin at.

    None that our scratch lies below: of /bin/sh that would be all of the system, secrets too.
    """
    folders = [Path.cwd()]
    for program in (path, path.resolve()):
        folders += [program.parent, program.parent.parent] if program.parent.name == "bin" else [program.parent]
    return [str(folder) for folder in folders if not cell.folder.is_relative_to(folder)]


def _network(cell: Cell) -> str:
    return "none, Unix sockets only (seccomp)" if cell.guards.seccomp else cell.network


def _files(cell: Cell) -> str:
    return "the system's and the program's own (Landlock)" if cell.guards.landlock else cell.files
