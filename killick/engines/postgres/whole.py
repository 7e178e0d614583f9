"""Whether a dump is whole in itself: pg_restore reads all of it and says nothing."""

from __future__ import annotations

from pathlib import Path

from killick.engines.postgres.commands import FOLDER
from killick.errors import CommandFailed, Corrupt, Unsupported
from killick.process import Command, run
from killick.programs import installed


def inspect(folder: Path) -> None:
    """Raises Corrupt; Unsupported where there is no pg_restore. (--list reads the list of contents only.)"""
    there = installed("pg_restore")
    if not there:
        raise Unsupported("there is no pg_restore here", "use killick's image, or name its folder in PROGRAMS")
    newest = there[0]  # it reads what any older one wrote
    command = Command((str(newest.path), "--file=/dev/null", str(folder / FOLDER)), env=newest.environment())
    try:
        run(command)
    except CommandFailed as error:
        if error.status < 0:
            raise
        said = error.stderr.splitlines()[0] if error.stderr else "no reason told"
        raise Corrupt(f"the dump is not whole: {said}", "restore the backup before it: killick list") from None
