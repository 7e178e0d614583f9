"""Counts and hashes a dump's lines while pg_dump still writes them, with what it leaves of the processors.

A file that pg_dump writes only grows, so what was read of it once holds. Runs as a program: it looks at the files
again and again until its stdin ends, and then writes {file: [end, [rows, checksum]]} to stdout.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from killick import process
from killick.engines.postgres.tally import CHUNK, Piece, Tally, of_piece, plus
from killick.process import Command

_DATA = re.compile(r"\d+\.dat")
_PAUSE = 0.1
_LEAST, _MOST = 1 << 20, 8 << 20  # bytes of a file that are read at a time
_HELD_BACK = 16  # the end that pg_dump writes after the last line is shorter, and must not count as lines


class Followed(NamedTuple):
    """The tally of a file's bytes up to `end`: whole lines."""

    end: int = 0
    tally: Tally = (0, "0")


@contextmanager
def following(folder: Path) -> Iterator[Callable[[], dict[str, Followed]]]:
    """Gives a function that ends it and tells what was read, by the names of files; raises CommandFailed then.

    `folder` need not be there yet. Nice, since nobody waits for it: what it has not read is read afterwards.
    """
    env = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = Command((sys.executable, "-m", __name__, str(folder)), env=env, nice=10)
    with (
        tempfile.TemporaryFile() as answer,
        process.start(command, stdin=subprocess.PIPE, stdout=answer) as child,
    ):

        def end() -> dict[str, Followed]:
            assert child.popen.stdin is not None  # noqa: S101  # it was started with a pipe
            child.popen.stdin.close()
            child.wait()
            answer.seek(0)
            return {name: Followed(at, (rows, checksum)) for name, (at, (rows, checksum)) in json.load(answer).items()}

        yield end


def follow(folder: Path, ended: Callable[[float], bool]) -> dict[str, Followed]:
    """Until `ended`, which is asked between any two reads and given the seconds that it may wait before it answers."""
    seen: dict[str, Followed] = {}
    pause = 0.0
    while not ended(pause):
        pause = _PAUSE
        for name, size in _files(folder):
            before = seen.get(name, Followed())
            piece = _grown(folder / name, before.end, min(size - _HELD_BACK, before.end + _MOST))
            if piece is None:
                continue
            sums = plus([(name, before.tally), (name, of_piece(piece))])
            seen[name] = Followed(piece.end, sums[name])
            pause = 0.0
            if ended(0.0):
                return seen
    return seen


def _files(folder: Path) -> list[tuple[str, int]]:
    """Names and sizes; looked up without opening any, since a schema may have thousands of small tables."""
    try:
        with os.scandir(folder) as entries:
            return [(entry.name, entry.stat().st_size) for entry in entries if _DATA.fullmatch(entry.name)]
    except FileNotFoundError:  # pg_dump makes it
        return []


def _grown(path: Path, begin: int, there: int) -> Piece | None:
    """Whole lines of `begin` to `there`, where these are enough; none where the last one is longer than a chunk."""
    if there - begin < _LEAST:
        return None
    with path.open("rb") as file:
        tail = file.seek(max(begin, there - CHUNK))
        end = tail + file.read(there - tail).rfind(b"\n") + 1
    return Piece(path.name, str(path), begin, end) if end > tail else None


def main() -> int:
    def ended(seconds: float) -> bool:
        return bool(select.select([sys.stdin], [], [], seconds)[0])

    try:
        seen = follow(Path(sys.argv[1]), ended)
    except (ValueError, OSError) as error:
        sys.stderr.write(str(error))
        return 1
    json.dump(seen, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
