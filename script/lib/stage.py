"""What a demonstration is shown with: headings, real commands with their real output, and promises that are kept."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")
_WIDTH = 120


class NotAsPromised(Exception):
    """A step did something else than it should; the text says what."""


class Stage:
    """Prints the steps, runs their commands, and remembers what was proven and how long it took.

    Commands run in `folder` by bash, which stops at the first failure, pipelines included, and see `environment`
    only. They have a terminal as a person's would be, so that programs say what they say to a person.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = dict(environment)
        self.terminal = sys.stdout.isatty()
        self.proven: list[tuple[str, float]] = []
        self.transcript: list[str] = []
        self._start = self._step = time.monotonic()
        self._steps = 0

    def step(self, heading: str, why: str = "") -> None:
        """A heading, and a sentence or two below it."""
        self._steps += 1
        self._step = time.monotonic()
        self.say(f"\n{self._bold(f'{self._steps}. {heading}')}")
        if why:
            self.say(textwrap.fill(why, _WIDTH))

    def say(self, text: str) -> None:
        print(text, flush=True)

    def proves(self, what: str) -> None:
        """Notes for the summary what the step that is ending has shown."""
        self.proven.append((what, time.monotonic() - self._step))
        self._step = time.monotonic()

    def run(self, command: str, *, status: int = 0, says: Sequence[str] = ()) -> str:
        """Shows and runs a command; its output, as it was shown.

        Raises NotAsPromised unless it ends with `status` and its output holds each of `says`.
        """
        first, *more = command.splitlines()
        self.say(self._bold(f"$ {first}"))
        for line in more:
            self.say(self._bold(f"  {line}"))
        ended, output = self._execute(command)
        self.transcript.append(output)
        if ended:
            self.say(self._dim(f"  (exit code {ended})"))
        if ended != status:
            raise NotAsPromised(f"`{first}` ended with {ended} instead of {status}")
        for words in says:
            if words not in output:
                raise NotAsPromised(f"`{first}` did not say {words!r}")
        return output

    def expect(self, holds: object, otherwise: str) -> None:
        """Raises NotAsPromised with that sentence when it does not hold."""
        if not holds:
            raise NotAsPromised(otherwise)

    def summary(self) -> None:
        took = time.monotonic() - self._start
        self.say(f"\n{self._bold(f'Proven in {took:.0f} seconds:')}")
        for what, seconds in self.proven:
            self.say(f"  {self._green('✓')} {what} {self._dim(f'({seconds:.1f} s)')}")

    def failed(self, sentence: str) -> None:
        self.say(f"\n{self._paint('31', '✗ Not as promised:')} {sentence}")

    def _execute(self, command: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        columns = shutil.get_terminal_size((_WIDTH, 50)).columns if self.terminal else _WIDTH
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        shell = ["setpriv", "--pdeathsig=KILL", "bash", "-euo", "pipefail", "-c", command]
        with subprocess.Popen(
            shell, cwd=self.folder, env=self._surroundings(), stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
        ) as process:
            os.close(theirs)
            try:
                output = self._relay(ours)
            except BaseException:
                process.terminate()
                raise
            finally:
                os.close(ours)
        return process.returncode, _plain(output)

    def _surroundings(self) -> dict[str, str]:
        if self.terminal:
            return {**self.environment, "TERM": os.environ.get("TERM", "dumb")}
        return {**self.environment, "TERM": "dumb", "COLUMNS": str(_WIDTH)}

    def _relay(self, terminal: int) -> bytes:
        """Shows what comes, until the last program that could write has ended; indented where nothing is drawn."""
        whole = b""
        while True:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:  # how a terminal ends when its other side is closed
                break
            if self.terminal:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
            whole += chunk
        if not self.terminal and whole:
            self.say(textwrap.indent(_plain(whole).strip("\n"), "  "))
        return whole

    def _bold(self, text: str) -> str:
        return self._paint("1", text)

    def _dim(self, text: str) -> str:
        return self._paint("2", text)

    def _green(self, text: str) -> str:
        return self._paint("32", text)

    def _paint(self, code: str, text: str) -> str:
        plain = not self.terminal or os.environ.get("NO_COLOR")
        return text if plain else f"\x1b[{code}m{text}\x1b[0m"


def _plain(output: bytes) -> str:
    """What a terminal was sent, as text without colours and movements."""
    return _CONTROL.sub(b"", output).decode(errors="replace").replace("\r\n", "\n")
