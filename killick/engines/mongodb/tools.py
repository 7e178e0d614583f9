"""mongodump and mongorestore: what they are called with, and what they say when they fail."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from killick.engines.mongodb.address import Address, password_file
from killick.errors import (
    AccessDenied,
    CommandFailed,
    KillickError,
    NoSpace,
    RestoreError,
    Unreachable,
    Unsupported,
)
from killick.process import Command, start
from killick.programs import Program, installed
from killick.watch import Watch

_RENAMED = "cannot dump with oplog while renames occur"  # mongodump's words
_COUNTS = re.compile(r"(\d+) document\(s\) restored successfully\. (\d+) document\(s\) failed to restore")


def program(name: str) -> Program:
    """The newest installed one. Raises Unsupported where there is none."""
    found = installed(name)
    if not found:
        raise Unsupported(
            f"{name} is not installed", "use the image with MongoDB's tools, or name their folder in PROGRAMS"
        )
    return found[0]


def version(name: str) -> str:
    return ".".join(str(part) for part in program(name).version)


def dump_command(address: Address, config: Path, out: Path, jobs: int, *, oplog: bool) -> Command:
    """With `oplog` of all databases, of one moment; otherwise of the one that the address names, or of all."""
    scope = ("--oplog",) if oplog else ("--db", address.database) if address.database else ()
    return _command(
        "mongodump",
        address,
        *("--config", str(config), "--uri", address.url, "--numParallelCollections", str(jobs)),
        *scope,
        *("--out", str(out)),
    )


def restore_command(address: Address, config: Path, folder: Path, jobs: int, *scope: str) -> Command:
    """Without --stopOnError, mongorestore ends with 0 when documents failed; with it but without the other, documents
    that are older than their validator stop it."""
    return _command(
        "mongorestore",
        address,
        *("--config", str(config), "--uri", address.url, "--numParallelCollections", str(jobs)),
        *("--stopOnError", "--bypassDocumentValidation", *scope, "--dir", str(folder)),
    )


def dump(
    address: Address, out: Path, jobs: int, *, oplog: bool, done: Callable[[], int], total: int, watch: Watch
) -> bool:
    """`done` gives the bytes so far. False, with `oplog` only: a collection got another name meanwhile, as by an
    aggregation's $out, and mongodump wants to begin anew."""
    with password_file(address) as config:
        try:
            _watched(dump_command(address, config, out, jobs, oplog=oplog), done, total, watch)
        except CommandFailed as error:
            if _RENAMED in error.stderr:
                return False
            raise _told(error, address) from None
    return True


def restore(
    address: Address, folder: Path, jobs: int, *scope: str, done: Callable[[], int], total: int, watch: Watch
) -> None:
    """Raises RestoreError also where mongorestore says itself that documents failed."""
    with password_file(address) as config:
        try:
            said = _watched(restore_command(address, config, folder, jobs, *scope), done, total, watch)
        except CommandFailed as error:
            told = _told(error, address)
            if isinstance(told, CommandFailed) and not isinstance(told, NoSpace):
                raise RestoreError(
                    told.message, "mongorestore stopped at the first error; the target is half full"
                ) from None
            raise told from None
    counts = _COUNTS.search(said)
    if counts is None:
        raise RestoreError(f"mongorestore did not tell how many documents it restored: {_last(said)}")
    if int(counts[2]):
        raise RestoreError(f"{counts[2]} documents could not be restored, by mongorestore's own count")


def exactly(key: str) -> str:
    """A namespace as a pattern that matches nothing else."""
    return key.replace("\\", "\\\\").replace("*", "\\*")


def included(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"--nsInclude={exactly(key)}" for key in keys)


def excluded(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"--nsExclude={exactly(key)}" for key in keys)


def everything(database: str) -> tuple[str, ...]:
    """Of one database, or of all."""
    return (f"--nsInclude={database}.*",) if database else ()


def _command(name: str, address: Address, *arguments: str) -> Command:
    found = program(name)
    return Command((str(found.path), *arguments), env=found.environment(), secrets=(address.password,))


def _watched(command: Command, done: Callable[[], int], total: int, watch: Watch) -> str:
    with start(command) as process:
        while True:
            try:
                return process.wait(1.0)
            except TimeoutError:
                watch(done(), total)


def _told(error: CommandFailed, address: Address) -> KillickError:
    """The same end in a person's words."""
    said = error.stderr
    if isinstance(error, NoSpace):
        return error
    if "AuthenticationFailed" in said or "Authentication failed" in said or "auth error" in said:
        return AccessDenied(
            f"MongoDB at {address.host} refuses the login of {error.program}",
            "the password, the user or its authSource is wrong",
        )
    if "Unauthorized" in said or "not authorized" in said:
        return AccessDenied(
            f"MongoDB at {address.host} does not let the user do this: {_last(said)}",
            "give the user the role backup (to restore: restore, and for a replay of the oplog also root) on admin",
        )
    if any(sign in said for sign in ("server selection", "could not connect", "socket was unexpectedly closed")):
        return Unreachable(
            f"MongoDB at {address.host} cannot be reached by {error.program}, or went away", "is it still running?"
        )
    if "error calling Write" in said and "space" in said:
        return NoSpace(f"{error.program}: no space left", "free some space, or point SCRATCH_DIR elsewhere")
    return CommandFailed(error.program, error.status, said, message=f"{error.program} failed: {_last(said)}")


def _last(said: str) -> str:
    """Its own word of failure, without the time and without a document's content."""
    lines = [re.sub(r"^\S+\t", "", line) for line in said.splitlines()]
    failed = [line for line in lines if line.startswith("Failed:")] or lines[-1:] or [""]
    return re.sub(r"(dup key|full error|failedDocument|Document)\b.*| \{ .*", r"\1…", failed[-1])[:500]
