"""Rows and checksums of every table: what the server counts, what the dump holds, what a copy holds."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from killick import process
from killick.engines.postgres import names, tally
from killick.engines.postgres.address import Address
from killick.engines.postgres.catalog import Relation
from killick.engines.postgres.follow import Followed, following
from killick.engines.postgres.session import Session
from killick.engines.postgres.tally import Tally
from killick.errors import CommandFailed, EmptyDump
from killick.process import Command

_ALONE = 32 << 20  # bytes up to which one process is quicker than several
_ENTRY = re.compile(r"^(\d+); \d+ (\d+) TABLE DATA ", re.M)
_SEED = 7640891576956012809


@dataclass(frozen=True)
class Measured:
    """By the server. `server` and `generated` as in contents.Table; `top` the maxima of columns that were asked for."""

    rows: int
    server: str
    generated: str
    top: dict[str, int]


def measure(session: Session, table: Relation, columns: tuple[str, ...], tops: tuple[str, ...]) -> Measured:
    """One pass over the table. `columns`: those of the second checksum, () for none; `tops`: integer columns.

    ROW(…) and not the row itself: in a table with a column x, x::text is that column, and a user's cast from the
    row type may be called. OFFSET 0 builds each text once; where there is none it would only take time.
    """
    inner = ["1 AS one"]
    outer = ["count(*)", "NULL", "NULL", "NULL"]
    if columns:
        listed = ", ".join(f"x.{names.sql(c)}" for c in sorted(columns))
        inner.append(f'ROW({listed})::text COLLATE "C" AS r')
        outer[1:3] = [f"sum(pg_catalog.hashtextextended(r, {seed}))" for seed in (0, _SEED)]
    if table.generated:
        listed = ", ".join(f"x.{names.sql(c)}" for c in table.generated)
        inner.append(f'pg_catalog.hashtextextended(ROW({listed})::text COLLATE "C", 0) AS g')
        outer[3] = "sum(g)"
    for i, column in enumerate(tops):
        inner.append(f"x.{names.sql(column)}::bigint AS m{i}")
        outer.append(f"max(m{i})")
    row = session.rows(
        f"SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)}"
        f" FROM ONLY {table.sql} x {table.condition}{' OFFSET 0' if columns else ''}) s"
    )[0]
    rows, first, second, generated = row[:4]
    server = f"{first or 0} {second or 0}" if columns else ""
    seen = {column: value for column, value in zip(tops, row[4:], strict=True) if value is not None}
    return Measured(rows, server, str(generated or 0) if table.generated else "", seen)


@contextmanager
def ahead(folder: Path, tables: list[Relation], jobs: int) -> Iterator[Callable[[], Mapping[str, Followed]]]:
    """Reads what pg_dump writes into `folder` while it does, where that pays off.

    Gives a function that ends it and tells what `of_dump` wants to know; it raises EmptyDump.
    """
    if jobs == 1 or sum(table.bytes for table in tables) < _ALONE:
        yield dict
        return
    with following(folder) as end:

        def told() -> Mapping[str, Followed]:
            with _whole():
                return end()

        yield told


def of_dump(
    folder: Path, listing: str, tables: list[Relation], jobs: int, followed: Mapping[str, Followed]
) -> dict[str, Tally]:
    """Of the files that pg_dump wrote; `followed` are their beginnings, read already.

    Raises EmptyDump for a table that is not there, or not whole.
    """
    entries = {int(oid): entry for entry, oid in _ENTRY.findall(listing)}
    lost = [table.key for table in tables if table.oid not in entries]
    if lost:
        raise EmptyDump(_lost(lost), "pg_dump said that all went well, yet left them out: run the backup again")
    files = {table.key: folder / f"{entries[table.oid]}.dat" for table in tables}
    lost = [key for key, path in files.items() if not path.is_file()]
    if lost:
        raise EmptyDump(_lost(lost), "its files are missing: does something clear the scratch folder?")
    begun = {key: followed.get(path.name, Followed()) for key, path in files.items()}
    alone = jobs == 1 or sum(path.stat().st_size - begun[key].end for key, path in files.items()) < _ALONE
    with _whole():
        count = 1 if alone else jobs
        pieces = [piece for key, path in files.items() for piece in tally.cut(key, path, count, begun[key].end)]
        if alone:
            rest = tally.of_pieces(pieces)
        else:
            shares = tally.share({piece: piece.end - piece.begin for piece in pieces}, jobs)
            rest = _in_parallel([{"pieces": share} for share in shares], None)
    return tally.plus([*((key, first.tally) for key, first in begun.items()), *rest.items()])


def of_database(
    address: Address,
    encoding: str,
    snapshot: str,
    tables: Mapping[str, tuple[str, int]],
    jobs: int,
    told: Callable[[], None],
) -> dict[str, Tally]:
    """`tables`: COPY statement and size by key; read in that snapshot by as many connections as pay off."""
    alone = sum(size for _, size in tables.values()) < _ALONE
    shares = tally.share({key: size for key, (_, size) in tables.items()}, 1 if alone else jobs)
    tasks = [
        {
            "conninfo": address.conninfo(),
            "encoding": encoding,
            "snapshot": snapshot,
            "copies": [(key, tables[key][0]) for key in keys],
        }
        for keys in shares
    ]
    return _in_parallel(tasks, address, told)


def jobs_here() -> int:
    return max(1, min(8, len(os.sched_getaffinity(0))))


def _in_parallel(
    tasks: list[dict[str, Any]], address: Address | None, told: Callable[[], None] = lambda: None
) -> dict[str, Tally]:
    env = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if address is not None:
        env |= address.environment()
    secrets = tuple(env[name] for name in ("PGPASSWORD",) if name in env)
    command = Command((sys.executable, "-m", tally.__name__), env=env, secrets=secrets)
    with ExitStack() as stack:
        running = []
        for task in tasks:
            asked, answer = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            asked.write(json.dumps(task).encode())
            asked.seek(0)
            running.append((stack.enter_context(process.start(command, stdin=asked, stdout=answer)), answer))
        for child, _ in running:
            _until(child, told)
        process.check([child for child, _ in running])
        return tally.plus(found for _, answer in running for found in _answer(answer))


def _until(child: process.Process, told: Callable[[], None]) -> None:
    while True:
        try:
            child.wait(0.5)
        except TimeoutError:
            told()
        except CommandFailed:
            return  # all of them are told of together
        else:
            return


def _answer(file: IO[bytes]) -> list[tuple[str, Tally]]:
    file.seek(0)
    return [(key, (rows, checksum)) for key, (rows, checksum) in json.load(file).items()]


@contextmanager
def _whole() -> Iterator[None]:
    """What a file that is not whole is told as."""
    try:
        yield
    except (ValueError, CommandFailed) as error:
        said = error.stderr if isinstance(error, CommandFailed) else str(error)
        raise EmptyDump(f"the dump is not whole: {said}", "is the scratch folder full?") from None


def _lost(keys: list[str]) -> str:
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    return f"the dump lacks the rows of {', '.join(keys[:5])}{more}"
