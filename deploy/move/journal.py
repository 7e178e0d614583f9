"""What a move did, as lines that only grow: every event is on the disk before what it announces begins.

A journal is a folder of the machine that runs the move: `$XDG_STATE_HOME/killick/moves/SITE/ID/journal.jsonl`, for its
user only. Each line is an object: `at` (Unix seconds), `event`, `step` where it is about one, and what that event tells
(`deploy/move/state.py` reads them). A line that a power cut tore is no event: what it announces never began. The first
one has the `format`: a later killick's journal is left to it, since its steps are others.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from deploy.move.spec import SITE
from deploy.move.state import Event, State, read, take
from killick.errors import Busy, Corrupt, KillickError, NotFound, Refused

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"
FORMAT = 1
_FILE = "journal.jsonl"
_SITE = re.compile(SITE)
_PASSWORD = re.compile(r"(://[^/@:\s]*):[^/@\s]+@")


class Journal:
    """`events` is what it holds. `path` is None for one that is only in memory: a plan's."""

    def __init__(self, path: Path | None, events: list[Event]) -> None:
        self.path = path
        self.events = events
        self._lock = threading.RLock()  # a step may do two things at once

    @property
    def folder(self) -> Path | None:
        return self.path and self.path.parent

    @property
    def state(self) -> State:
        return read(list(self.events))

    def write(self, event: str, step: str = "", **told: JSON) -> None:
        """On the disk when it returns. Raises KillickError when it cannot be: then nothing may be done either."""
        entry: dict[str, Any] = {"at": round(time.time(), 3), "event": event, **({"step": step} if step else {})}
        entry |= {key: _blotted(value) for key, value in told.items()}
        if self.path is not None:
            line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
            try:
                with self._lock, _undisturbed():
                    _append(self.path, line.encode())
                    self.events.append(entry)
            except OSError as error:
                raise KillickError(f"{self.path} cannot be written: {error.strerror}", "make room there") from None
        else:
            self.events.append(entry)

    def keep(self, step: str, key: str, value: JSON) -> None:
        """What was there before, for `undo`; what a report compares. No secret. The first value stays."""
        if value != _blotted(value):
            raise ValueError(f"a password in what {step} keeps as {key}")
        with self._lock:
            if self.kept(step, key) is None:
                self.write("kept", step, key=key, value=value)

    def kept(self, step: str, key: str) -> Any:
        """None where nothing was kept."""
        found = (e["value"] for e in list(self.events) if e["event"] == "kept" and (e["step"], e["key"]) == (step, key))
        return next(found, None)

    def note(self, step: str, what: str) -> None:
        """A sentence for the report."""
        self.write("noted", step, what=what)

    def no_return(self, step: str) -> None:
        """To be told before the first write may reach the new server: from then on nothing is rolled back."""
        self.write("no-return", step)


def home() -> Path:
    """The folder of all moves of this user."""
    given = os.environ.get("XDG_STATE_HOME", "")
    return (Path(given) if given.startswith("/") else Path.home() / ".local/state") / "killick" / "moves"


def create(site: str, move: str, beside: Mapping[str, bytes] | None = None, **told: JSON) -> Journal:
    """A new one, with its first event, which says which machine it belongs to. The caller holds `alone`.

    `beside` are files that lie by it, whole before there is an event.
    """
    folder = home() / site / move
    journal = Journal(folder / _FILE, [])
    try:
        _made(folder)
        for name, data in {**(beside or {}), _FILE: b""}.items():
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
        _sync(folder)
    except OSError as error:
        raise _not_ours(folder, error) from None
    told = {"id": move, "site": site, "machine": machine(), "host": platform.node(), **told}
    journal.write("opened", "", format=FORMAT, **told)
    return journal


def take_up(path: Path) -> Journal:
    """To go on with it. Raises Refused on another machine than the one that began it, Corrupt. Cuts a torn line off."""
    whole, events = _parsed(path)
    first = events[0] if events else {}
    if first.get("machine") != machine():
        raise Refused(
            f"the move {path.parent.name} was begun on {first.get('host', 'another machine')}, and this is "
            f"{platform.node()}: what it does next depends on that machine's network, keys and clock",
            f"go on there: killick move resume {path.parent.parent.name}",
        )
    try:
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
    except OSError as error:
        raise _not_ours(path, error) from None
    return Journal(path, events)


def look(path: Path) -> Journal:
    """To read only, while a runner may be writing it."""
    return Journal(path, _parsed(path)[1])


def paths(site: str) -> list[Path]:
    """The journals of a site that have begun, oldest first; none where `site` is no site's name."""
    return [path for path in _files(site) if _parsed(path)[1]]


def latest(site: str) -> Path:
    """The one that is open, else the newest move, else the newest rehearsal. Raises NotFound."""
    states = [(path, look(path).state) for path in paths(site)]
    found = sorted((state.open, not state.rehearsal, path) for path, state in states)
    if not found:
        known = sorted(path.name for path in home().glob("*") if any(map(_bytes, _files(path.name))))
        there = f"known are {', '.join(known)}" if known else "this user began none on this machine"
        raise NotFound(f"no move of {site} is known", there)
    return found[-1][2]


def is_open(site: str) -> bool:
    return any(look(path).state.open for path in paths(site))


@contextmanager
def alone(site: str) -> Iterator[None]:
    """One runner of a site at a time on this machine, by flock: it ends with the process. Raises Busy."""
    path = home() / site / "lock"
    try:
        _made(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _not_ours(path, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"another killick works on the move of {site}", f"see: killick move status {site}") from None
        yield
    finally:
        os.close(descriptor)


def machine() -> str:
    """A name for this machine that tells nothing about it: machine-id(5) asks that the id itself is not shown."""
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        if path.is_file() and (found := path.read_text(encoding="ascii").strip()):
            break
    else:
        found = platform.node()
    return hashlib.sha256(f"killick move {found}".encode()).hexdigest()[:32]


def _parsed(path: Path) -> tuple[int, list[Event]]:
    """The bytes that are whole lines, and their events. Raises Corrupt for one that is none."""
    data = _bytes(path)
    whole = data.rfind(b"\n") + 1
    events: list[Event] = []
    state = State()
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], 1):
        try:
            event = json.loads(line)
            if number == 1:
                _of_our_time(path, event.get("format", 1))
            take(state, event)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise Corrupt(
                f"{path}: line {number} is no event", "somebody changed it; look at what the servers are in"
            ) from None
        events.append(event)
    return whole, events


def _of_our_time(path: Path, format: int) -> None:
    if format > FORMAT:
        raise Refused(f"{path} is of a later killick than this one", "go on with that one: install it here")


def _files(site: str) -> list[Path]:
    return sorted((home() / site).glob(f"*/{_FILE}")) if _SITE.fullmatch(site) else []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _not_ours(path, error) from None


def _not_ours(path: Path, error: OSError) -> KillickError:
    return KillickError(
        f"{path}: {error.strerror}", "a move's journal needs room there, and the user's own right: see XDG_STATE_HOME"
    )


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A signal that stops us comes afterwards: an event is on the disk and in memory, or in neither."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        before = os.fstat(descriptor).st_size
        try:
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)  # half a line would spoil the ones that come after it
            raise
    finally:
        os.close(descriptor)


def _made(folder: Path) -> Path:
    """With the folders above it; each is on the disk, and nobody else's to read."""
    if not folder.is_dir():
        _made(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync(folder.parent)
    return folder


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _blotted(value: JSON) -> JSON:
    """Without passwords of URLs, which what a program said may quote."""
    if isinstance(value, str):
        return _PASSWORD.sub(r"\1:***@", value)
    if isinstance(value, Mapping):
        return {key: _blotted(each) for key, each in value.items()}
    return [_blotted(each) for each in value] if isinstance(value, Sequence) else value
