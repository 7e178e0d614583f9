"""Whether an error speaks against the backup, or only against this attempt."""

from __future__ import annotations

import errno
import traceback
from dataclasses import dataclass
from pathlib import Path

from killick.errors import (
    AccessDenied,
    CommandFailed,
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

_NOT_ITS_FAULT: dict[type[Exception], str] = {
    NoSpace: "disk",
    NotFound: "pruned",
    Refused: "format",  # a manifest that a later version wrote
    StoreError: "network",
    Unsupported: "version",
    SettingsError: "key",  # an encrypted archive, and no AGE_IDENTITY
    Unreachable: "environment",
    AccessDenied: "environment",
    CommandFailed: "environment",
    MemoryError: "memory",
    TimeoutError: "timeout",
}
"""Checked in this order; every other error of killick's own speaks against the backup."""

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
    return Outcome(result, reason, _told(error), "run it again; if it stays, report it")


def _classify(error: Exception, older_server: bool) -> tuple[str, str]:
    reason = _excuse(error, older_server)
    if reason:
        return UNVERIFIABLE, reason
    if isinstance(error, RestoreError):
        return FAILED, error.reason
    return (FAILED, error.kind) if isinstance(error, KillickError) else (UNVERIFIABLE, "environment")


def _excuse(error: Exception, older_server: bool) -> str:
    """Why it says nothing about the backup; "" when it does."""
    if isinstance(error, Unverifiable):
        return error.reason
    if isinstance(error, RestoreError):
        return "version" if error.reason == "version" and older_server else _LACKING.get(error.reason, "")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk"
    if isinstance(error, CommandFailed) and error.status == _KILLED:
        return "memory"
    return next((reason for kind, reason in _NOT_ITS_FAULT.items() if isinstance(error, kind)), "")


def _told(error: Exception) -> str:
    """Without the text of an error that is not ours: it may quote anything."""
    if isinstance(error, OSError) and error.errno is not None:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"something went wrong that nobody foresaw: {type(error).__name__}{place}"
