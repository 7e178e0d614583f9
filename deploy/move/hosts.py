"""A machine that a move works on: this one, or another over the system's own ssh.

One ssh session is kept open for each host: a call over it takes a fraction of a new connection. The session is a child
of ours and dies with us. Host keys are never taken on trust: an unknown one is refused, with what to do.

Facts (OpenSSH): words after the host are joined with blanks and read by the remote shell, so they are quoted here, for
a shell of POSIX. A command over a shared session waits as long as the session hangs: ServerAliveInterval and
ServerAliveCountMax end it after 6 seconds of silence. What the remote end reads from us just ends when the connection
is cut: whoever needs it whole has to know its length. A command that was given up may still run there. A command whose
session is lost, or that it refuses (sshd's MaxSessions, 10 at once), would begin a connection of its own, and there run
a second time: it is given no way to (ProxyCommand). What ssh says when it dies of a lost connection is of level INFO,
and the session says it, not the command.
"""

from __future__ import annotations

import atexit
import os
import re
import shlex
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from killick.errors import CommandFailed, KillickError, NotFound, SettingsError, Unreachable
from killick.process import Command, Process, failure, last_said, run, start

_SECONDS = 60.0
_CONNECT = 10  # seconds until a host that says nothing is given up
_OPENING = 30.0  # the same with keys and rights asked for
_PAUSE = 0.02
_ENDING = 1.0  # seconds that a lost session gets to say why
# Words of programs are read here and in what calls this. LANGUAGE holds in C.UTF-8 as well, where glibc is older.
_LOCALE = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}
_ABSENT = 44  # our scripts' own word for a file that is not there
_SSH_FAILED = 255

# A parent's death is told to a child when the thread that started it ends: one thread begins every session.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ssh")

_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    f"ConnectTimeout={_CONNECT}",
    "ServerAliveInterval=2",
    "ServerAliveCountMax=3",
    # what a person's configuration may say for a terminal, and what must not hold here
    "ControlPersist=no",
    "RemoteCommand=none",
    "RequestTTY=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    # a multiple of the first choice's speed, where the processors know AES; what both sides agree to is still theirs
    "Ciphers=^aes128-gcm@openssh.com,aes256-gcm@openssh.com",
)
_SHARED = ("-o", "LogLevel=ERROR", "-o", "ControlMaster=no", "-o", "ProxyCommand=false")

_READ = f'[ -e "$1" ] || exit {_ABSENT}; exec cat -- "$1"'
_WRITE = """
path=$(readlink -m -- "$1")
umask 077
new=$(mktemp -- "$path.XXXXXX")
trap 'rm -f -- "$new"' EXIT
cat >"$new"
[ "$(wc -c <"$new")" -eq "$3" ] || { echo "only a part of it arrived" >&2; exit 1; }
mode=${2:-$(stat -c %a -- "$path")}
if [ -e "$path" ]; then chown --reference="$path" -- "$new"; fi
chmod -- "$mode" "$new"
sync -- "$new"
mv -fT -- "$new" "$path"
trap - EXIT
"""


class Host(Protocol):
    """`name` is for a person: "local", "old.example". No secret goes into a word; they go in by `stdin`."""

    @property
    def name(self) -> str: ...

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = _SECONDS) -> str:
        """What it prints. Raises CommandFailed with its last words, Unreachable, TimeoutError after so many seconds."""

    def shell(self, script: str, *args: str, stdin: bytes = b"", timeout: float = _SECONDS) -> str:
        """`script` by sh -eu; `args` are $1 and so on. Raises as `run` does."""

    def read(self, path: str) -> bytes:
        """Raises NotFound, and as `run` does."""

    def write(self, path: str, data: bytes, mode: int | None = 0o644) -> None:
        """Whole or not at all; the owner of what was there stays, and a link goes on being one. Raises as `run`.

        `mode` None: as that of what is there, which has to be.
        """

    def command(self, argv: Sequence[str]) -> Command:
        """For a pipe from or to it (killick.process); it speaks English, whatever the host's own language is. Raises
        Unreachable. There an end with 255 is ssh's own."""


class _Host:
    """What is the same on every host."""

    name: str

    def command(self, argv: Sequence[str]) -> Command:
        raise NotImplementedError

    def _failed(self, program: str, status: int, stderr: str) -> KillickError:
        return failure(program, status, stderr)

    def _gave_up(self) -> None:
        pass

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = _SECONDS) -> str:
        return self._said(argv, stdin, timeout).decode("utf-8", "replace")

    def shell(self, script: str, *args: str, stdin: bytes = b"", timeout: float = _SECONDS) -> str:
        return self.run(_script(script, *args), stdin=stdin, timeout=timeout)

    def read(self, path: str) -> bytes:
        try:
            return self._said(_script(_READ, path), b"", _SECONDS)
        except CommandFailed as error:
            if error.status == _ABSENT:
                raise NotFound(f"{path} is not there on {self.name}") from None
            raise

    def write(self, path: str, data: bytes, mode: int | None = 0o644) -> None:
        self._said(_script(_WRITE, path, "" if mode is None else f"{mode:o}", str(len(data))), data, _SECONDS)

    def _said(self, argv: Sequence[str], stdin: bytes, timeout: float) -> bytes:
        program = Path(argv[0]).name
        try:
            return run(self.command(argv), input=stdin, timeout=timeout).stdout
        except CommandFailed as error:
            if error.status == 127 and not error.stderr:  # not there, here: it says so itself
                raise
            raise self._failed(program, error.status, error.stderr) from None
        except TimeoutError:
            self._gave_up()
            raise TimeoutError(f"{program} on {self.name} gave no answer for {timeout:g} s") from None


class Local(_Host):
    """This machine, with the environment of whoever runs the move: docker looks there for its engine."""

    name = "local"

    def command(self, argv: Sequence[str]) -> Command:
        return Command(tuple(argv), env=_LOCALE, inherit=True)


class Ssh(_Host):
    """`host` may be a name of ~/.ssh/config; `user` "" and `port` 0 leave those to it. The keys are an agent's or files
    without a passphrase: nobody is asked."""

    def __init__(self, host: str, user: str = "", port: int = 0) -> None:
        self.name = host
        self._to = (*(("-l", user) if user else ()), *(("-p", str(port)) if port else ()), "--", host)
        self._typed = " ".join(("ssh", *self._to[:-2], host))
        self._lock = threading.Lock()
        self._held = ExitStack()
        self._session: Process | None = None
        self._socket = ""

    def command(self, argv: Sequence[str]) -> Command:
        self._open()
        locale = (f"{name}={value}" for name, value in _LOCALE.items())
        return self._ssh("-S", self._socket, *_SHARED, words=(shlex.join(["env", *locale, *argv]),))

    def close(self) -> None:
        """Ends the session, and what runs over it. The next command opens another."""
        with self._lock:
            if self._session is not None:
                with suppress(CommandFailed, TimeoutError):
                    run(self._ssh("-S", self._socket, "-O", "exit"), timeout=2)
            self._held.close()
            self._held, self._session = ExitStack(), None

    def _gave_up(self) -> None:
        self.close()

    def _ssh(self, *options: str, words: tuple[str, ...] = ()) -> Command:
        told = tuple(word for option in _OPTIONS for word in ("-o", option))
        agent = {n: os.environ[n] for n in ("SSH_AUTH_SOCK",) if n in os.environ}
        return Command(("ssh", "-T", *told, *options, *self._to, *words), env=agent)

    def _open(self) -> None:
        with self._lock:
            if self._session is not None and self._session.running():
                return
            self._held.close()
            self._held, self._session = ExitStack(), None
            folder = tempfile.mkdtemp(prefix="killick-")  # 0700
            self._held.callback(shutil.rmtree, folder, ignore_errors=True)
            self._socket = f"{folder}/ssh"
            begin = self._ssh("-S", self._socket, "-o", "LogLevel=INFO", "-o", "ControlMaster=yes", "-N")
            session = _starter.submit(self._held.enter_context, start(begin)).result()
            end = time.monotonic() + _OPENING
            while not Path(self._socket).exists():
                if not session.running() or time.monotonic() > end:
                    session.stop()
                    error = self._unreachable(session.stderr)
                    self._held.close()
                    raise error
                time.sleep(_PAUSE)
            self._session = session

    def _failed(self, program: str, status: int, stderr: str) -> KillickError:
        if status == _SSH_FAILED:
            return self._unreachable(self._last_words() or stderr)
        return failure(f"{program} on {self.name}", status, stderr)

    def _last_words(self) -> str:
        """Of the session when it is lost, "" while it lives. It ends just after the command that tells of it."""
        with self._lock:
            if self._session is None:
                return ""
            with suppress(CommandFailed, TimeoutError):
                self._session.wait(_ENDING)
            return "" if self._session.running() else self._session.stderr

    def _unreachable(self, stderr: str) -> Unreachable:
        cure = f"does `{self._typed}` work from here?"
        for words, instead in _CURES:
            if words in stderr:
                cure = instead.format(typed=self._typed)
        return Unreachable(f"{self.name} is not reached by ssh: {last_said(stderr)}", cure)


_CURES = (
    (
        "Host key verification failed",
        "its key is not in known_hosts: connect once with `{typed}`, and compare the fingerprint with the server's own",
    ),
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its key is another than known_hosts says: find out why; only then remove the old one with ssh-keygen -R",
    ),
    ("Permission denied (", "its user takes no key of ours: see `ssh-add -l`, and authorized_keys there"),
)


@contextmanager
def between(one: Host, other: Host) -> Iterator[None]:
    """Around a pipe of tar from host to host: in place of CommandFailed, Unreachable where ssh ended it, and else a
    KillickError with the last of tar's own words."""
    try:
        yield
    except CommandFailed as error:
        lines = [line for line in error.stderr.splitlines() if line.strip() and "Exiting with failure" not in line]
        said = f": {lines[-1].strip()}" if lines else ""
        what = f"what went from {one.name} to {other.name}"
        if error.status == _SSH_FAILED:
            raise Unreachable(f"{what} was cut{said}", "are both reached by ssh from here, all the time?") from None
        raise KillickError(f"{what} did not arrive whole{said}", "see to it there; nothing was switched") from None


def connect(url: str) -> Host:
    """`url` is "local" or ssh://[USER@]NAME[:PORT]; nothing is reached yet. The same URL gives the same host.

    Raises SettingsError.
    """
    return _connect(url)


@cache
def _connect(url: str) -> Host:
    if url == "local":
        return Local()
    parts = urlsplit(url)
    wrong = f"{url.rpartition('@')[2]!r} is no host: write local, or ssh://USER@NAME"
    try:
        user, name, port = parts.username or "", parts.hostname or "", parts.port or 0
    except ValueError:
        raise SettingsError(wrong) from None
    if parts.scheme != "ssh" or not _WORD.fullmatch(name) or (user and not _WORD.fullmatch(user)):
        raise SettingsError(wrong)
    if parts.password is not None or parts.path.strip("/") or parts.query or parts.fragment:
        raise SettingsError(wrong, "no password and no path: ssh has its own keys, and `directory` is the spec's")
    host = Ssh(name, user, port)
    atexit.register(host.close)
    return host


_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:%-]*")


def _script(script: str, *args: str) -> list[str]:
    return ["sh", "-euc", script, "killick", *args]
