"""What the text of a plain dump consists of. `line` is where each begins, counted from the first line of the file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statement:
    """`text` ends in its semicolon, unless it was longer than what is kept; `size` is that of all of it.

    `groups` counts the outermost pairs of parentheses. `table` is that of COPY … FROM stdin, as it is written there;
    the rows follow.
    """

    text: bytes
    line: int
    size: int
    groups: int
    table: bytes = b""


@dataclass(frozen=True, slots=True)
class Rows:
    """A piece of a COPY's rows; every line in it is a row, and lines end in LF alone. `line` is that of its start."""

    data: bytes
    line: int


@dataclass(frozen=True, slots=True)
class RowsEnd:
    """The \\. after them."""


@dataclass(frozen=True, slots=True)
class Command:
    """A backslash outside of quotes, and what follows it in its line: psql would run it.

    `inside`: it stands in the middle of a statement, or behind a COPY in the same line.
    """

    text: bytes
    line: int
    inside: bool


@dataclass(frozen=True, slots=True)
class Comment:
    """A line's comment between statements, with its dashes."""

    text: bytes
    line: int


@dataclass(frozen=True, slots=True)
class End:
    """The end of the text. `inside` says what was not finished there, "" when all was; `text` what there was of it."""

    line: int
    inside: str = ""
    text: bytes = b""


Event = Statement | Rows | RowsEnd | Command | Comment | End
