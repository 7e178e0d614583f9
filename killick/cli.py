"""`killick`: gathers the verbs of every program, and turns errors into a sentence, a cure and an exit code."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import EntryPoint, entry_points
from types import FrameType
from typing import NoReturn

import click

from killick import __version__
from killick.errors import Aborted, KillickError, SettingsError, Stopped, as_error
from killick.throwaway import confine

EPILOG = """\b
Examples:
  killick doctor                 is everything in place?
  killick backup                 all sources, now, once
  killick list                   what is in the store
  killick restore --into postgres://localhost/copy
  killick verify latest          restore into a throwaway and compare

\b
Exit codes:
  0 done              4 corrupt
  1 failed            5 refused
  2 usage, settings   6 could not verify
  3 not found         7 busy

\b
Completion of verbs and options, in ~/.bashrc (or zsh_source, fish_source):
  eval "$(_KILLICK_COMPLETE=bash_source killick)"

Settings come from the environment: docs/settings.md.
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="killick", message="%(prog)s %(version)s")
def killick() -> None:
    """The small anchor that every compose project carries: backups, and the proof that they can be restored."""


def program() -> click.Group:
    """`killick` with the verbs of every installed program (entry points `killick.verbs`: lists of commands)."""
    for entry in sorted(entry_points(group="killick.verbs")):
        for verb in _verbs(entry):
            killick.add_command(verb)
    return killick


def _verbs(entry: EntryPoint) -> Sequence[click.Command]:
    """Nothing for a program that this installation leaves out."""
    try:
        verbs: Sequence[click.Command] = entry.load()
    except ModuleNotFoundError as error:
        if error.name and entry.module.startswith(error.name):
            return []
        raise
    return verbs


def main(argv: Sequence[str] | None = None) -> NoReturn:
    if sys.platform == "linux":
        confine.hide()  # a server that a dump was restored into must not read our secrets, though it be the same user
    try:
        with _signals():
            said = program().main(argv, prog_name="killick", standalone_mode=False)
        code = said if isinstance(said, int) else 0  # click gives what a verb said to Context.exit
    except BaseException as error:
        code = told(error)
    sys.exit(code)


def told(error: BaseException) -> int:
    """Says on stderr what happened and what to do next; gives the exit code."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, click.Abort):
        error = Aborted("stopped")
    if not isinstance(error, (KillickError, Stopped, KeyboardInterrupt)):
        if os.environ.get("LOG_LEVEL", "").lower() == "debug":
            click.echo(_blotted("".join(traceback.format_exception(error))), err=True, nl=False)
        _report(error)
    error = as_error(error)
    for line in error.problems if isinstance(error, SettingsError) else [error.message]:
        click.echo(f"killick: {line}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    return error.exit_code


def _blotted(text: str) -> str:
    """Without the secrets that the settings name."""
    with suppress(SettingsError):
        from killick import settings

        for secret in settings.load(os.environ).secrets:
            text = text.replace(secret, "***")
    return text


def _report(error: BaseException) -> None:
    """To Sentry, where it is set; whatever fails here fails silently, since the first error is what matters."""
    with suppress(Exception):
        from killick import settings
        from killick.observers import sentry

        sentry.crashed(settings.load(os.environ), error)


@contextmanager
def _signals() -> Iterator[None]:
    """SIGTERM and SIGINT raise Stopped once, so that everything is put away; further ones do not disturb that."""

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise Stopped(f"stopped by {signal.Signals(number).name}")

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
