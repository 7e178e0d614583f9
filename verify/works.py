"""Level 6: a command of the project's works with the copy."""

from __future__ import annotations

from killick.engines import Engine
from killick.errors import KillickError, RestoreError, Unreachable, Unverifiable
from killick.manifest import Manifest
from killick.throwaway import Copy, Ended
from verify.deadline import Deadline
from verify.found import Found
from verify.options import HIGHEST, Options, variable

_NOT_RUN = (125, 126, 127)  # as shells and our own launcher say that a program could not be started
_KILLED = (-9, 128 + 9)


def left_out(copy: Copy, source: str, options: Options) -> list[str]:
    """A sentence where a command is set that cannot be run, or where level 6 was asked for and none is set.

    Where another source has one, 6 is the default for all and means 5 for those without: nobody asked for it then.
    """
    name, server = variable(source), copy.run is not None
    if not server and source in options.commands:
        return [f"{name} is not run: a copy of a folder has no server"]
    if server and options.level == HIGHEST and not options.commands:
        return [f"level {HIGHEST} was asked for, and there is no {name}: nothing above 5 was tried"]
    return []


def works(copy: Copy, engine: Engine, manifest: Manifest, options: Options, found: Found, deadline: Deadline) -> None:
    """It comes last, since it may change the copy. Raises RestoreError when it ends with another status than 0.

    What it says goes nowhere, for it may quote rows: its status is all that is kept.
    """
    name = variable(manifest.source)
    assert copy.run is not None  # noqa: S101  # there is no level 6 otherwise
    found.command = ended = copy.run(options.app(manifest.source), deadline.left)
    if ended.status:
        raise _reason(engine, manifest, name, ended)
    found.reached = 6


def _reason(engine: Engine, manifest: Manifest, name: str, ended: Ended) -> KillickError:
    """Only a command that ran, against a server that is still there, speaks against the backup."""
    if ended.status in _NOT_RUN:
        return Unverifiable(
            f"{name} could not be run {ended.where}: it ended with {ended.status}",
            "is the program there, does its first line name one that is, and may everybody read and run it?",
        )
    if ended.status in _KILLED:
        return Unverifiable(
            f"{name} was killed {ended.where}, for want of memory", "give it more: VERIFY_MEMORY, or the service's own",
            reason="memory",
        )  # fmt: skip
    try:
        engine.facts()
    except Unreachable:
        return Unverifiable(f"the throwaway's server ended while {name} ran", "does the command stop it?")
    except KillickError:
        pass  # the command may do with the copy what it likes
    how = f"ended with {ended.status}" if ended.status > 0 else f"was ended by signal {-ended.status}"
    return RestoreError(
        f"{name} {how} against the copy",
        f"killick keeps nothing of what it says: killick restore {manifest.id} --into a database, and run it there",
        "command",
    )
