"""A dump that others made, told by its content: SQL text, or what pg_restore reads (custom, tar, a directory)."""

from __future__ import annotations

import re
from pathlib import Path

from killick.engines import Adopted
from killick.engines.postgres import whole
from killick.engines.postgres.commands import FOLDER
from killick.engines.postgres.plain import adopting, text
from killick.engines.postgres.plain.reading import read
from killick.errors import Refused
from killick.older.layers import head
from killick.older.trees import check
from killick.watch import Watch

TOC = "toc.dat"
_CUSTOM = b"PGDMP"
_TOC_IN_TAR = re.compile(rb"toc\.dat\0.{249}ustar", re.DOTALL)


def adopt(found: Path, folder: Path, wanted: str, watch: Watch) -> Adopted | None:
    """See killick.engines.adopt. Raises Unsupported, too, for a format that is newer than every pg_restore here."""
    if found.is_dir():
        return _directory(found, folder, watch)
    first = head(found)
    if first.startswith(_CUSTOM):
        return _for_pg_restore(found, folder, watch)
    if _TOC_IN_TAR.match(first):
        check(found)  # some that are cut make pg_restore turn round and round
        return _for_pg_restore(found, folder, watch)
    if preamble := text.preamble(found, first):
        return adopting.adopt(found, preamble, folder, wanted, watch)
    return None


def _directory(found: Path, folder: Path, watch: Watch) -> Adopted | None:
    tocs = sorted(path for path in found.rglob(TOC) if path.is_file() and head(path, 5) == _CUSTOM)
    if not tocs:
        return None
    if len(tocs) > 1:
        where = ", ".join(str(toc.parent.relative_to(found)) for toc in tocs)
        raise Refused(f"it holds several dumps: {where}", "unpack it (killick fetch), and restore one by hand")
    return _for_pg_restore(tocs[0].parent, folder, watch)


def _for_pg_restore(found: Path, folder: Path, watch: Watch) -> Adopted:
    """What pg_restore makes of it is read as a plain dump is: the same facts, and every byte was looked at."""
    found.rename(folder / FOLDER)
    with whole.as_text(folder) as chunks:
        dump = read(chunks, watch=watch)
    return adopting.adopted(dump, adopting.only(dump, ""), folder, [])
