"""Masks the rows in a table's file, line by line; the file with the plain ones is replaced.

Runs as a program (`python -m killick.engines.postgres.masking.rewrite`), so that several cores share the work and the
memory goes back: it reads a task as JSON from stdin, and the key from MASK_KEY. What it says on stderr quotes no row.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from killick.engines.postgres import tally
from killick.engines.postgres.masking.values import Column, field
from killick.errors import unforeseen
from killick.masking import Rule, Unmaskable
from killick.masking.keyed import Keyed

CHUNK = 1 << 20
PART = ".masked"  # beside the file until it is whole

Fields = Mapping[int, Callable[[bytes], bytes]]


@dataclass(frozen=True)
class Work:
    """A table's file. `columns` as in the archive's COPY; `masked` gives what is to be done with some, by position."""

    table: str
    path: str
    columns: tuple[str, ...]
    masked: Mapping[int, tuple[Column, tuple[Rule, ...]]]

    def to_json(self) -> dict[str, Any]:
        masked = {at: [vars(column), [vars(rule) for rule in rules]] for at, (column, rules) in self.masked.items()}
        return {**vars(self), "masked": masked}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Work:
        masked = {
            int(at): (Column(**column), tuple(Rule(**{**rule, "path": tuple(rule["path"])}) for rule in rules))
            for at, (column, rules) in data["masked"].items()
        }
        return cls(data["table"], data["path"], tuple(data["columns"]), masked)


def rewrite(work: Work, keyed: Keyed, codec: str) -> None:
    """Raises Unmaskable, naming the column and what cannot be masked in it."""
    path = Path(work.path)
    fields = {at: field(column, rules, keyed, codec) for at, (column, rules) in work.masked.items()}
    try:
        end = tally.cut(work.table, path, 1)[0].end
    except ValueError as error:
        raise Unmaskable(f"the dump of {work.table} is not whole: {error}") from None
    part = path.with_name(path.name + PART)
    try:
        part.touch(0o600)
        with path.open("rb") as source, part.open("wb") as sink:
            for lines in _lines(source, end):
                sink.writelines(_masked(lines, work, fields))
            sink.write(source.read())  # the end that pg_dump writes
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _lines(source: IO[bytes], end: int) -> Iterator[list[bytes]]:
    """Those up to `end`, without their ends; a line may be a gigabyte, so it is put together once."""
    begun: list[bytes] = []
    while (left := end - source.tell()) > 0:
        chunk = source.read(min(CHUNK, left))
        if not chunk:
            raise Unmaskable("an end before it was reached: its file became shorter")
        lines = chunk.split(b"\n")
        begun.append(lines[0])
        if len(lines) > 1:
            lines[0] = b"".join(begun)
            begun = [lines.pop()]
            yield lines


def _masked(lines: Iterable[bytes], work: Work, fields: Fields) -> Iterator[bytes]:
    width = len(work.columns)
    try:
        for line in lines:
            column = ""
            values = _values(line, width)
            for at, change in fields.items():
                column = f".{work.columns[at]}"
                values[at] = change(values[at])
            yield b"\t".join(values) + b"\n"
    except Unmaskable as error:
        raise Unmaskable(f"{work.table}{column} holds {error}") from None


def _values(line: bytes, width: int) -> list[bytes]:
    values = line.split(b"\t")
    if len(values) != width:
        raise Unmaskable(f"a line with {len(values)} fields instead of {width}")
    return values


def main() -> int:
    task = json.load(sys.stdin)
    try:
        keyed = Keyed(os.environ["MASK_KEY"], suffixed=task["suffixed"])
        for each in task["works"]:
            rewrite(Work.from_json(each), keyed, task["codec"])
    except (Unmaskable, OSError) as error:
        sys.stderr.write(str(error))
        return 1
    except Exception as error:  # its text may quote a value
        sys.stderr.write(unforeseen(error).message)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
