"""Every error that killick raises on purpose.

    KillickError                 exit 1, failed
    ├── SettingsError            2, usage or settings: all problems at once
    ├── NotFound                 3, no such backup, source, table
    ├── Corrupt                  4, an archive or manifest is not what was written
    ├── Refused                  5, it could be done, and must not be
    ├── Unverifiable             6, a verification could not try
    ├── Busy                     7, somebody else holds the lock
    ├── CommandFailed            1, a program ended badly; keeps its last words
    ├── SourceError              1, a database or folder cannot be read
    │   ├── Unreachable
    │   ├── AccessDenied
    │   ├── DatabaseMissing      the server is there, the database is not
    │   └── Unsupported          server or client versions that do not go together
    ├── EmptyDump                1, a dump of nothing, or a dump that lost something on its way
    ├── RestoreError             1, the data would not go into the target
    ├── NoSpace                  1, scratch, target or store is full
    ├── StoreError               1, the store did not do what was asked
    │   ├── StoreDenied
    │   └── Taken                a conditional put found the key in use
    ├── ClockAhead               1, our clock is far ahead of the store's: names would be wrong
    ├── Aborted                  1, given up: the lock was lost, nobody said yes, or as which Stopped is told
    └── Unforeseen               1, a mistake of ours

An error says what happened and where (`message`) and what to do next (`hint`). Neither may hold a secret
or a row's content. `kind` is the class as a slug: it stands in the keys of failed attempts, in evidence
and in events, and is as stable as the exit codes.

Stopped is none of them: whoever goes on after an error must not go on after a signal, so that it passes all that
catches errors, as KeyboardInterrupt does.
"""

import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar


class KillickError(Exception):
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def kind(self) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SettingsError(KillickError):
    """Bad settings or a bad command line. `problems` holds one sentence each, with its cure."""

    exit_code = 2

    def __init__(self, problems: Iterable[str] | str, hint: str = "") -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems), hint)


class NotFound(KillickError):
    exit_code = 3


class Corrupt(KillickError):
    exit_code = 4


class Refused(KillickError):
    exit_code = 5


class Unverifiable(KillickError):
    """The verification could not try; `reason` is one of the slugs of docs/verify.md."""

    exit_code = 6

    def __init__(self, message: str, hint: str = "", reason: str = "environment") -> None:
        super().__init__(message, hint)
        self.reason = reason


class Busy(KillickError):
    exit_code = 7


class CommandFailed(KillickError):
    """A program ended with a status that is not 0, or a pipeline with several of them.

    `program` is its name, `status` its exit status (negative: the signal), `stderr` its last lines: as they came, in
    the message as one.
    """

    def __init__(self, program: str, status: int, stderr: str, message: str = "", hint: str = "") -> None:
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        said = "; ".join(line.strip() for line in stderr.splitlines() if line.strip())
        last = f": {said}" if said else ""
        super().__init__(message or f"{program} {how}{last}", hint)
        self.program = program
        self.status = status
        self.stderr = stderr


class SourceError(KillickError):
    pass


class Unreachable(SourceError):
    pass


class AccessDenied(SourceError):
    pass


class DatabaseMissing(SourceError):
    pass


class Unsupported(SourceError):
    pass


class EmptyDump(KillickError):
    pass


class RestoreError(KillickError):
    """The data would not go into the target; `reason` is a slug (missing-role, missing-extension, …)."""

    def __init__(self, message: str, hint: str = "", reason: str = "restore") -> None:
        super().__init__(message, hint)
        self.reason = reason


class NoSpace(KillickError):
    pass


class StoreError(KillickError):
    pass


class StoreDenied(StoreError):
    pass


class Taken(StoreError):
    pass


class ClockAhead(KillickError):
    pass


class Aborted(KillickError):
    pass


class Unforeseen(KillickError):
    pass


class Stopped(BaseException):
    """SIGTERM or SIGINT asked this process to end; or another thread's work is over, since one of them did.

    Raised once, in the middle of anything. What has to be put away is put away by `finally` or `except BaseException`.
    Not a KeyboardInterrupt, which click turns into an Exception of its own.
    """


def as_error(cause: BaseException) -> KillickError:
    """What is told of it."""
    if isinstance(cause, KillickError):
        return cause
    if isinstance(cause, (Stopped, KeyboardInterrupt)):
        return Aborted(str(cause) or "stopped")
    return unforeseen(cause)


def unforeseen(error: BaseException) -> KillickError:
    """A programming error as a sentence: its kind and place, without its text, which may quote anything."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return Unforeseen(
        f"something went wrong that nobody foresaw: {type(error).__name__}{place}",
        "LOG_LEVEL=debug shows where; please report it",
    )
