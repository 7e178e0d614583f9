"""What every server of the lab shares: a folder of its own, free ports, a life no longer than ours."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.lab import Missing

HOST = "127.0.0.1"
NOBODY = 65534  # uid and gid; Debian's base-passwd has them on every machine
PREFIX = "killick-lab-"

# A parent's death is told to a child when the *thread* that started it ends, so one thread starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab")


class Server:
    """A process with a folder of its own; `with` starts it and leaves nothing behind.

    Subclasses give `argv()`, `ready()` (raises until the server answers) and may prepare the folder first.
    """

    name = "server"
    unprivileged = False  # run as nobody when we are root
    end = signal.SIGTERM  # what stops it in order

    def __init__(self) -> None:
        self.folder = workspace(self.name, nobody=self.unprivileged)
        self.process: subprocess.Popen[bytes] | None = None

    def argv(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def ready(self) -> None:
        raise NotImplementedError

    def prepare(self) -> None:
        """Once, before the first start."""

    def started(self) -> None:
        """Once, after the first start."""

    def surroundings(self) -> dict[str, str]:
        """The environment of its process."""
        return {"PATH": os.defpath, "HOME": str(self.folder), "TMPDIR": str(self.folder), "LC_ALL": "C.UTF-8"}

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self) -> None:
        """Start, and wait until it answers. Raises Missing with the log's end when it does not."""
        argv = [*as_nobody(self.unprivileged), *map(str, self.argv())]
        with self.log.open("ab") as log:
            self.process = _starter.submit(
                subprocess.Popen,
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.surroundings(),
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is ours; the servers end when their `with` does
            ).result()
        self.await_ready()

    def await_ready(self) -> None:
        """Until `ready` no longer raises. Raises Missing with the log's end when it ended or takes a minute."""
        wait(self.ready, alive=lambda: self.process is not None and self.process.poll() is None, log=self.log)

    def stop(self, *, kill: bool = False) -> None:
        """In order, or as a crash. The data stays, so that `start` finds it."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGKILL if kill else self.end)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            self.prepare()
            self.start()
            self.started()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def as_nobody(wanted: bool, *, death: str = "KILL") -> list[str]:
    """The start of an argv: the child dies with us and, if wanted and we are root, is nobody."""
    argv = ["setpriv", f"--pdeathsig={death}"]
    if wanted and os.geteuid() == 0:
        argv += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return argv


def workspace(name: str, *, nobody: bool = False) -> Path:
    """A new folder whose name holds our pid; folders of processes that are gone are removed."""
    base = Path(tempfile.gettempdir())
    for old in base.glob(f"{PREFIX}*"):
        pid = old.name.removeprefix(PREFIX).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists():
            shutil.rmtree(old, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-{name}-", dir=base))
    if nobody and os.geteuid() == 0:
        os.chown(place, NOBODY, NOBODY)
    return place


def free_ports(count: int) -> list[int]:
    """Distinct ports that nobody listens on, from below the range that outgoing connections take."""
    found: list[int] = []
    for port in random.sample(range(15_000, 32_000), 2_000):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise Missing("no free TCP ports between 15000 and 32000")


def wait(ready: Callable[[], None], *, alive: Callable[[], bool], log: Path, seconds: float = 60) -> None:
    """Until `ready` no longer raises. Raises Missing when the process ended or the time is up."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ready()
        except Exception as error:
            if alive() and time.monotonic() < end:
                time.sleep(0.05)
                continue
            said = log.read_text(errors="replace")[-1500:] if log.exists() else ""
            raise Missing(f"the server did not come up ({error}); its log ends:\n{said}") from error
