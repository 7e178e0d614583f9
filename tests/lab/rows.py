"""Rows into a table by COPY, as they come."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any


def copy(cursor: Any, target: str, rows: Iterable[tuple[object, ...]]) -> int:
    """Load rows into `target`, "table (column, …)"; how many. None is NULL; psycopg2's cursor."""
    stream = _Stream(rows)
    cursor.copy_expert(f"COPY {target} FROM STDIN", stream)
    return stream.count


class _Stream:
    """What psycopg2 reads: COPY's text form, some rows at a time."""

    def __init__(self, rows: Iterable[tuple[object, ...]]) -> None:
        self.count = 0
        self._lines = self._text(rows)

    def read(self, _size: int = -1) -> str:
        return "".join(islice(self._lines, 500))

    def _text(self, rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
        for row in rows:
            self.count += 1
            yield "\t".join("\\N" if value is None else _escape(str(value)) for value in row) + "\n"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
