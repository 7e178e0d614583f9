"""Whether a dump is whole in itself: pg_restore reads all of it and says nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from killick.engines.postgres.commands import FOLDER, reader
from killick.engines.postgres.tally import cut
from killick.errors import CommandFailed, Corrupt, Unsupported
from killick.process import read_from, run


def inspect(folder: Path) -> None:
    """Raises Corrupt; Unsupported where there is no pg_restore. (--list reads the list of contents only.)"""
    with _faults():
        run(reader().text(folder, file="/dev/null"))
    _refuse_cut(folder)


@contextmanager
def as_text(folder: Path) -> Iterator[Iterator[bytes]]:
    """The dump as SQL; its end means that all was read. Raises what `inspect` raises."""
    with _faults(), read_from(reader().text(folder)) as text:
        yield text
        _refuse_cut(folder)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except CommandFailed as error:
        if error.status < 0:
            raise
        said = error.stderr.splitlines()[0] if error.stderr else "no reason told"
        if "unsupported version" in said or "does not support compression" in said:
            raise Unsupported(f"the dump cannot be read here: {said}", "use a newer image of killick") from None
        raise Corrupt(f"the dump is not whole: {said}", "restore the backup before it: killick list") from None


def _refuse_cut(folder: Path) -> None:
    """pg_restore takes a table's file as it ends, wherever that is."""
    for path in (folder / FOLDER).glob("[0-9]*.dat"):
        try:
            cut("", path, 1)
        except ValueError:
            raise Corrupt(
                f"the dump is not whole: the table data in {path.name} ends too early",
                "restore the backup before it: killick list",
            ) from None
