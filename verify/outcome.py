"""Whether an error speaks against the backup, or only against this attempt."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from killick.errors import (
    AccessDenied,
    CommandFailed,
    Corrupt,
    KillickError,
    NoSpace,
    NotFound,
    Refused,
    RestoreError,
    SettingsError,
    StoreError,
    Unreachable,
    Unsupported,
    Unverifiable,
)
from verify.report import FAILED, UNVERIFIABLE

_LACKING = {
    "missing-extension": "extension",
    "out-of-space": "disk",
    "out-of-memory": "memory",
    "timeout": "timeout",
    "server-gone": "environment",
}
"""Reasons of a RestoreError that are the throwaway's; all others are the backup's."""

_KILLED = -9  # by the kernel, for want of memory: nobody else kills what we started


@dataclass(frozen=True)
class Outcome:
    """`reason` is a slug: for `unverifiable` one of docs/verify.md, for `failed` the error's kind or class."""

    result: str
    reason: str
    error: str
    hint: str


def outcome(error: Exception, *, older_server: bool = False) -> Outcome:
    """`older_server`: the throwaway is older than the source's server, so that it may not know what the dump says."""
    result, reason = _classify(error, older_server)
    if isinstance(error, KillickError):
        return Outcome(result, reason, error.message, error.hint)
    return Outcome(result, reason, _told(error), "")


def _classify(error: Exception, older_server: bool) -> tuple[str, str]:
    match error:
        case Unverifiable():
            return UNVERIFIABLE, error.reason
        case NoSpace():
            return UNVERIFIABLE, "disk"
        case Corrupt():
            return FAILED, error.kind
        case RestoreError():
            if error.reason in _LACKING:
                return UNVERIFIABLE, _LACKING[error.reason]
            if error.reason == "version" and older_server:
                return UNVERIFIABLE, "version"
            return FAILED, error.reason
        case NotFound():
            return UNVERIFIABLE, "pruned"
        case Refused():  # a manifest of a later format
            return UNVERIFIABLE, "format"
        case StoreError():
            return UNVERIFIABLE, "network"
        case Unsupported():
            return UNVERIFIABLE, "version"
        case SettingsError():
            return UNVERIFIABLE, "environment"
        case CommandFailed():
            return UNVERIFIABLE, "memory" if error.status == _KILLED else "environment"
        case Unreachable() | AccessDenied():
            return UNVERIFIABLE, "environment"
        case KillickError():
            return FAILED, error.kind
        case MemoryError():
            return UNVERIFIABLE, "memory"
        case TimeoutError():
            return UNVERIFIABLE, "timeout"
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return UNVERIFIABLE, "disk"
        case _:
            return UNVERIFIABLE, "environment"


def _told(error: Exception) -> str:
    """Without the text of an error that is not ours: it may quote anything."""
    if isinstance(error, OSError) and error.errno is not None:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    return f"something went wrong that nobody foresaw: {type(error).__name__}"
