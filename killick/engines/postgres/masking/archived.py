"""Which file of a dump holds the rows of which table, and in which order of columns."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from killick import process
from killick.engines.postgres import commands, names
from killick.engines.postgres.commands import Client
from killick.engines.postgres.listing import Listing
from killick.errors import Corrupt

_NAME = r'(?:"(?:[^"]|"")*"|[^\s".,()]+)'
_COPY = re.compile(
    rf"^COPY ({_NAME}\.{_NAME}) (?:\(({_NAME}(?:, {_NAME})*)\))? ?FROM stdin;\n(\d+)\n\\\.$", re.MULTILINE
)
END = "\\.\n\n\n"  # of a table's file, as pg_dump writes it


@dataclass(frozen=True)
class Held:
    """A table's rows. `entry` is their number in the listing, `columns` are in the order of the file's fields."""

    entry: int
    path: Path
    columns: tuple[str, ...]


def held(client: Client, folder: Path, wanted: Listing, encoding: str) -> dict[str, Held]:
    """By key, of those entries of the listing that are rows. `encoding`: Python's name for that of the names.

    The listing does not tell: it writes names without quotes, and no columns. So pg_restore prints the COPY of each,
    out of a folder where stand-ins take the files' places that hold nothing but the entry's number.
    """
    chosen = wanted.only({number for number, _ in wanted.of("TABLE DATA")})
    with tempfile.TemporaryDirectory() as made, chosen.file() as listed:
        place = Path(made, commands.FOLDER)
        place.mkdir()
        (place / "toc.dat").symlink_to((folder / commands.FOLDER / "toc.dat").resolve())
        for number in chosen:
            (place / f"{number}.dat").write_text(f"{number}\n{END}")
        printed = process.run(client.text(Path(made), f"--use-list={listed}")).stdout
    found = {
        names.key(*names.parts(table)): Held(
            int(number),
            folder / commands.FOLDER / f"{number}.dat",
            tuple(names.parts(column)[0] for column in re.findall(_NAME, columns)),
        )
        for table, columns, number in _COPY.findall(printed.decode(encoding, "surrogateescape"))
    }
    if len(found) != len(chosen):
        raise Corrupt(
            f"of {len(chosen)} tables in the dump, {len(found)} tell where their rows are",
            "report it; a restore without MASK brings the rows as they are",
        )
    return found
