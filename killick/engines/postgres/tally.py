"""Counts lines and sums a hash of each: the same rows in any order give the same sum.

Runs as a program too (`python -m killick.engines.postgres.tally`), so that several cores share the work and the
memory goes back: it reads a task as JSON from stdin and writes {key: [rows, checksum]} to stdout.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
_END = re.compile(rb"(?:\A|\n)(\\\.\n+)\Z")  # what pg_dump writes after a table's last line

Tally = tuple[int, str]
"""Rows, and the sum of their 128-bit hashes as 32 digits."""


def of_file(path: Path) -> Tally:
    """The lines of a table's file in pg_dump's directory format. Raises ValueError when its end is not there."""
    from xxhash import xxh3_128, xxh3_128_intdigest

    with path.open("rb") as file:
        left = _length(file, path)
        rows = total = 0
        begun = xxh3_128()  # a line that the end of a chunk cut: it may be a gigabyte, so it is hashed as it comes
        while left > 0:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise ValueError(f"{path.name} became shorter while it was read")
            left -= len(chunk)
            lines = chunk.split(b"\n")
            rest = lines.pop()
            if lines:
                begun.update(lines[0])
                total += begun.intdigest() + sum(map(xxh3_128_intdigest, lines[1:]))
                rows += len(lines)
                begun.reset()
            begun.update(rest)
    return rows, _text(total)


def _length(file: Any, path: Path) -> int:
    """Of the lines themselves, the last line's end included."""
    size: int = file.seek(0, 2)
    file.seek(max(0, size - 16))
    tail = _END.search(file.read())
    file.seek(0)
    if tail is None:
        raise ValueError(f"{path.name} has no end")
    return size - len(tail.group(1))


class Sink:
    """What COPY … TO STDOUT writes into, one line at a time."""

    def __init__(self) -> None:
        from xxhash import xxh3_128_intdigest

        self._hash = xxh3_128_intdigest
        self._rows = self._total = 0

    def write(self, line: bytes) -> None:
        self._rows += 1
        self._total += self._hash(line[:-1])

    @property
    def tally(self) -> Tally:
        return self._rows, _text(self._total)


def _text(total: int) -> str:
    return f"{total % 2**128:032x}"


def share(weights: Mapping[str, int], shares: int) -> list[list[str]]:
    """The keys in so many parts of about the same weight; empty parts are left out."""
    parts: list[tuple[int, list[str]]] = [(0, []) for _ in range(max(1, shares))]
    for key in sorted(weights, key=lambda k: -weights[k]):
        lightest = min(range(len(parts)), key=lambda i: parts[i][0])
        weight, keys = parts[lightest]
        keys.append(key)
        parts[lightest] = (weight + weights[key] + 1, keys)
    return [keys for _, keys in parts if keys]


def of_files(files: Mapping[str, str]) -> dict[str, Tally]:
    return {key: of_file(Path(path)) for key, path in files.items()}


def of_tables(conninfo: str, encoding: str, snapshot: str, copies: Iterable[tuple[str, str]]) -> dict[str, Tally]:
    """`copies`: keys and their COPY statements, all read in that snapshot. The password is in PGPASSWORD."""
    import os

    from psycopg2.extensions import parse_dsn

    from killick.engines.postgres.address import Address
    from killick.engines.postgres.session import pinned

    found = {}
    with pinned(Address(parse_dsn(conninfo), os.environ.get("PGPASSWORD", "")), encoding) as session:
        session.execute("RESET lc_monetary")
        session.begin(snapshot)
        for key, statement in copies:
            sink = Sink()
            session.copy_out(statement, sink)
            found[key] = sink.tally
    return found


def main() -> int:
    from killick.errors import KillickError

    task = json.load(sys.stdin)
    try:
        found = of_files(task["files"]) if "files" in task else of_tables(**task)
    except (KillickError, ValueError, OSError) as error:
        sys.stderr.write(str(error))
        return 1
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
