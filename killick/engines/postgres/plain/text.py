"""A plain dump as a file: where in it the dump is, and how its lines end.

`plain.sql` lies in a folder as it was found; `plain.json` beside it says which part of it is the dump (Part).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from killick.stream import CHUNK

FILE, PART = "plain.sql", "plain.json"
_BOM = b"\xef\xbb\xbf"
_HEADER = re.compile(rb"(?:^|(?<=\A%b))--\r?\n-- PostgreSQL database (?:cluster )?dump\r?\n" % _BOM, re.MULTILINE)
_COMMAND = re.compile(rb"^\s*\\", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """`skip` bytes of the file come before the dump. `terminal`: it passed through one, which made CR LF of every LF.

    Of the text that is left once both are mended, the bytes from `begin` up to `end` are to be loaded (0: to its end);
    `line` is the file's line at `begin`.
    """

    skip: int
    terminal: bool
    begin: int = 0
    end: int = 0
    line: int = 1

    def write(self, folder: Path) -> None:
        (folder / PART).write_text(json.dumps(asdict(self)))


def part(folder: Path) -> Part:
    return Part(**json.loads((folder / PART).read_text()))


@dataclass(frozen=True)
class Preamble:
    """What stands before the dump: what pg_dump or a script said there. `mixed`: lines end in CR LF and in LF."""

    text: bytes
    part: Part
    mixed: bool

    @property
    def commands(self) -> list[int]:
        """Lines that psql would run."""
        return [self.text.count(b"\n", 0, match.end()) + 1 for match in _COMMAND.finditer(self.text)]


def preamble(path: Path, head: bytes) -> Preamble | None:
    """`head` is the beginning of the file. None when no dump begins there, or only inside of something (a tar)."""
    header = _HEADER.search(head)
    if header is None or b"\0" in head[: header.start()]:
        return None
    before = head[: header.start()]
    crlf = header[0].endswith(b"\r\n")
    terminal = crlf and _every_line(path, header.start())
    found = Part(header.start(), terminal, line=before.count(b"\n") + 1)
    return Preamble(before.removeprefix(_BOM), found, crlf and not terminal)


def chunks(path: Path, part: Part) -> Iterator[bytes]:
    """The dump's text: that part of the file, with the ends of its lines as pg_dump wrote them.

    Taking one CR from before each LF is the exact reverse of what a terminal does, inside of strings too.
    """
    at = 0
    with path.open("rb") as file:
        file.seek(part.skip)
        read = iter(lambda: file.read(CHUNK), b"")
        for chunk in _without_returns(read) if part.terminal else read:
            upto = len(chunk) if not part.end else min(len(chunk), part.end - at)
            if upto <= 0:
                return
            yield chunk[max(0, part.begin - at) : upto]
            at += len(chunk)


def _without_returns(chunks: Iterator[bytes]) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        data = held + chunk
        held = data[-1:] if data.endswith(b"\r") else b""
        yield data[: len(data) - len(held)].replace(b"\r\n", b"\n")
    yield held


def _every_line(path: Path, begin: int) -> bool:
    """Whether every line from there on ends in CR LF."""
    lines = returns = 0
    last = b""
    with path.open("rb") as file:
        file.seek(begin)
        while chunk := file.read(CHUNK):
            lines += chunk.count(b"\n")
            returns += chunk.count(b"\r\n") + (last == b"\r" and chunk.startswith(b"\n"))
            last = chunk[-1:]
    return lines == returns
