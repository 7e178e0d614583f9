"""Whether a dump is whole in itself: pg_restore reads all of it and says nothing."""

from __future__ import annotations

from pathlib import Path

from killick.engines.postgres.commands import FOLDER, reader
from killick.engines.postgres.tally import cut
from killick.errors import CommandFailed, Corrupt
from killick.process import run


def inspect(folder: Path) -> None:
    """Raises Corrupt; Unsupported where there is no pg_restore. (--list reads the list of contents only.)"""
    try:
        run(reader().text(folder, file="/dev/null"))
    except CommandFailed as error:
        if error.status < 0:
            raise
        said = error.stderr.splitlines()[0] if error.stderr else "no reason told"
        raise Corrupt(f"the dump is not whole: {said}", "restore the backup before it: killick list") from None
    for path in (folder / FOLDER).glob("[0-9]*.dat"):
        try:
            cut("", path, 1)  # pg_restore takes a table's file as it ends, wherever that is
        except ValueError:
            raise Corrupt(
                f"the dump is not whole: the table data in {path.name} ends too early",
                "restore the backup before it: killick list",
            ) from None
