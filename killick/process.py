"""The only place that starts a program.

A function that builds a command returns a `Command`; `run`, `start`, `read_from` and `write_to` execute it.
The end of a stream means success: reading and writing raise CommandFailed when a program behind them failed,
so nobody downstream looks at exit statuses. A child gets only the environment that its command names, beside
PATH, HOME, TMPDIR, TZ and a UTF-8 locale; it dies with us (setpriv --pdeathsig), and is killed with its whole
process group when a block is left by an exception.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from killick.errors import CommandFailed, NoSpace, Stopped

CHUNK = 1 << 20
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "TZ", "SSL_CERT_FILE")
_LAST_WORDS = 2000  # bytes of stderr that an error shows


@dataclass(frozen=True)
class Command:
    """A program and how it is to be run. `secrets` are blotted out of whatever it says on stderr.

    `env` is added to the bare environment; `inherit` passes all of ours on (killick's own children only).
    `user` runs it as that uid and gid, without other groups: only root can.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    inherit: bool = False
    cwd: Path | None = None
    user: tuple[int, int] | None = None
    nice: int = 0

    @property
    def program(self) -> str:
        return Path(self.argv[0]).name


class Reins:
    """Ends what other threads started, and lets them start no more: a signal reaches the main thread alone, which would
    wait for theirs to end by themselves. A thread takes them at its begin; those that it makes itself hang on its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[Process | Reins] = set()
        self._stopped = False

    def take(self) -> None:
        _ours.reins = self

    @contextmanager
    def holding(self, held: Process | Reins) -> Iterator[None]:
        """Raises Stopped where all was stopped already."""
        with self._lock:
            if self._stopped:
                raise Stopped("stopped")
            self._held.add(held)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(held)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            held = list(self._held)
        for each in held:
            each.stop()


class _Ours(threading.local):
    reins: Reins | None = None


_ours = _Ours()


def held(what: Process | Reins) -> AbstractContextManager[None]:
    """By the reins of this thread, where it has some."""
    return _ours.reins.holding(what) if _ours.reins else nullcontext()


@dataclass(frozen=True)
class Result:
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")


class Process:
    """A running command. `wait` raises CommandFailed; `stop` ends it and its group, and never raises."""

    def __init__(self, command: Command, popen: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
        self.command = command
        self.popen = popen
        self._stderr = stderr

    @property
    def stderr(self) -> str:
        """The last words of the program, its secrets blotted out."""
        self._stderr.flush()
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _LAST_WORDS))
        text = self._stderr.read().decode("utf-8", "replace")
        for secret in self.command.secrets:
            if secret:
                text = text.replace(secret, "***")
        return text.strip()

    def running(self) -> bool:
        return self.popen.poll() is None

    def wait(self, timeout: float | None = None) -> str:
        """Waits for the end, gives what it wrote to stderr. Raises CommandFailed, or TimeoutError after `timeout` s."""
        try:
            status = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.command.program} still runs after {timeout:g} s") from None
        if status != 0:
            raise failure(self.command.program, status, self.stderr)
        return self.stderr

    def stop(self, grace: float = 0.0) -> None:
        """SIGTERM and `grace` seconds first, where given; then SIGKILL to the whole group."""
        if grace and self.running():
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(grace)
        self._signal(signal.SIGKILL)
        self.popen.wait()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.popen.pid, number)
        except (ProcessLookupError, PermissionError):
            self.popen.send_signal(number)

    def close(self) -> None:
        for stream in (self.popen.stdin, self.popen.stdout, self._stderr):
            if stream is not None:
                with suppress(OSError):  # a pipe that broke with its reader: the exit status tells why
                    stream.close()


def failure(program: str, status: int, stderr: str) -> CommandFailed:
    """The error for a program's end; a full disk is told apart by what it said."""
    if "No space left on device" in stderr or "Disk quota exceeded" in stderr:
        told = f"{program} ended with status {status}: No space left on device"  # tar says it of every file
        return _Full(program, status, stderr, told, "free some space, or point SCRATCH_DIR elsewhere")
    return CommandFailed(program, status, stderr)


def last_said(told: str) -> str:
    """The last line of what a program told, for a sentence about it."""
    said = [line.strip() for line in told.splitlines() if line.strip()]
    return said[-1] if said else "it said nothing"


class _Full(CommandFailed, NoSpace):
    @property
    def kind(self) -> str:
        return "no-space"


def environment(command: Command) -> dict[str, str]:
    """What the child sees: nothing that could hold a secret unless its command names it."""
    base = dict(os.environ) if command.inherit else {n: os.environ[n] for n in _PASSED_ON if n in os.environ}
    if not command.inherit:
        base["LC_ALL"] = "C.UTF-8"
    return {**base, **command.env}


@contextmanager
def start(
    command: Command,
    *,
    stdin: int | IO[bytes] | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> Iterator[Process]:
    """Starts `command`; whatever still runs of it when the block is left is killed. Streams default to /dev/null.

    What it says on stderr is kept for errors, unless `stderr` takes it (then errors cannot quote it).
    Raises CommandFailed when the program is not there.
    """
    if shutil.which(command.argv[0], path=environment(command).get("PATH")) is None:
        raise CommandFailed(
            command.program,
            127,
            "",
            message=f"{command.argv[0]} is not there, or may not be run",
            hint="killick doctor tells which programs are missing",
        )
    kept = tempfile.TemporaryFile()  # noqa: SIM115  # a file cannot block a child that talks a lot; closed below
    try:
        popen = subprocess.Popen(
            _argv(command),
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=kept if stderr is None else stderr,
            env=environment(command),
            cwd=command.cwd,
            start_new_session=True,
        )
    except OSError:
        kept.close()
        raise
    process = Process(command, popen, kept)
    try:
        with held(process):
            yield process
    finally:
        if process.running():
            process.stop()
        process.close()


def run(
    command: Command,
    *,
    input: bytes | None = None,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    timeout: float | None = None,
) -> Result:
    """Runs to the end. What it prints is kept in memory, unless `stdout` takes it: for short answers only.

    Raises CommandFailed, or TimeoutError after `timeout` seconds (the program is killed).
    """
    source: int | IO[bytes] | None = subprocess.PIPE if input is not None else stdin
    with start(command, stdin=source, stdout=stdout or subprocess.PIPE) as process:
        try:
            out, _ = process.popen.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{command.program} still ran after {timeout:g} s and was stopped") from None
        return Result(out or b"", process.wait())


@contextmanager
def read_from(*commands: Command, stdin: IO[bytes] | None = None) -> Iterator[Iterator[bytes]]:
    """The output of a pipeline, as chunks of up to CHUNK bytes. The end of it means that every command succeeded.

    Raises CommandFailed from the iteration: when several commands failed, it names each. A block that stops
    reading early kills them, and says nothing.
    """
    with ExitStack() as stack:
        processes: list[Process] = []
        source = stdin
        for command in commands:
            process = stack.enter_context(start(command, stdin=source, stdout=subprocess.PIPE))
            if processes and processes[-1].popen.stdout is not None:
                processes[-1].popen.stdout.close()  # the next one holds it: SIGPIPE must reach the one before
            processes.append(process)
            source = process.popen.stdout

        def chunks() -> Iterator[bytes]:
            last = processes[-1].popen.stdout
            assert last is not None  # noqa: S101  # it was started with a pipe
            while chunk := os.read(last.fileno(), CHUNK):
                yield chunk
            check(processes)

        yield chunks()


@contextmanager
def write_to(*commands: Command, stdout: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
    """A file to write into, which a pipeline reads; its end goes to `stdout`, a file that is open.

    Leaving the block waits for the commands and raises CommandFailed; so does a write into a pipe whose reader
    died. An exception inside the block kills them.
    """
    with ExitStack() as stack:
        processes: list[Process] = []
        for i, command in enumerate(commands):
            out: int | IO[bytes] | None = stdout if i == len(commands) - 1 else subprocess.PIPE
            source = processes[-1].popen.stdout if processes else subprocess.PIPE
            process = stack.enter_context(start(command, stdin=source, stdout=out))
            if processes and processes[-1].popen.stdout is not None:
                processes[-1].popen.stdout.close()
            processes.append(process)
        sink = processes[0].popen.stdin
        assert sink is not None  # noqa: S101  # it was started with a pipe
        try:
            yield sink
            sink.close()
        except BrokenPipeError:
            for process in processes:
                process.popen.wait()
            check(processes)
            raise
        for process in processes:
            process.popen.wait()
        check(processes)


def check(processes: Sequence[Process]) -> None:
    """Waits for all; raises CommandFailed when one failed, naming every one that did.

    A command that died of SIGPIPE, because the one after it failed, is not named.
    """
    for process in processes:
        process.popen.wait()
    bad = [p for p in processes if p.popen.returncode != 0]
    told = [p for p in bad if p.popen.returncode != -signal.SIGPIPE] or bad
    if not told:
        return
    first = failure(told[0].command.program, told[0].popen.returncode, told[0].stderr)
    if len(told) > 1:
        rest = [failure(p.command.program, p.popen.returncode, p.stderr).message for p in told[1:]]
        first = type(first)(
            first.program,
            first.status,
            first.stderr,
            message="; ".join([first.message, *rest]),
            hint=first.hint,
        )
    raise first


def _argv(command: Command) -> list[str]:
    prefix: list[str] = []
    if _setpriv():
        prefix = ["setpriv", "--pdeathsig", "KILL"]
        if command.user is not None:
            uid, gid = command.user
            prefix += ["--reuid", str(uid), "--regid", str(gid), "--clear-groups", "--no-new-privs"]
        prefix.append("--")
    if command.nice:
        prefix += ["nice", "-n", str(command.nice)]
    return [*prefix, *command.argv]


@cache
def _setpriv() -> bool:
    return shutil.which("setpriv") is not None
