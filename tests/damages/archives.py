"""Damages done to an archive or its manifest, as somebody who knows the format could."""

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from killick.contents import Contents, Table
from killick.manifest import Manifest
from killick.stream import measure
from tests.end_to_end.backups import Backups


@dataclass(frozen=True)
class Three:
    """Backups in one store: `id` is to be damaged, `older` one of the same source, `other` one of another source."""

    backups: Backups
    id: str
    older: str
    other: str

    @property
    def archive(self) -> Path:
        return self.backups.archive(self.id)

    @property
    def manifest(self) -> Path:
        return self.backups.beside(self.id)

    def inside(self, edit: Callable[[Path], object]) -> None:
        """Of the dump, before it was compressed; every size and hash put right."""
        self.backups.remake(self.id, edit)


def cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def flip_somewhere(path: Path, chance: random.Random) -> None:
    flip(path, chance.randrange(path.stat().st_size), chance.randrange(8))


def swap(three: Three, other: str) -> None:
    """The archive of another backup, under its own manifest."""
    shutil.copy(three.backups.archive(other), three.archive)


def swap_whole(three: Three, other: str) -> None:
    """The same, and the manifest has its sizes and hashes."""
    mine, theirs = three.backups.manifest(three.id).archive, three.backups.manifest(other).archive
    assert mine is not None
    assert theirs is not None
    swap(three, other)
    three.backups.rewrite(three.id, archive=replace(theirs, key=mine.key))


def garbage(three: Three) -> None:
    three.archive.write_bytes(b"not an archive at all" * 100)
    held, seen = three.backups.manifest(three.id).archive, measure(three.archive)
    assert held is not None
    three.backups.rewrite(three.id, archive=replace(held, bytes=seen.size, sha256=seen.sha256))


def with_rows(manifest: Manifest, table: str, rows: int) -> Manifest:
    """It promises so many rows of that table."""
    assert manifest.contents is not None
    tables: Mapping[str, Table] = manifest.contents.tables
    contents: Contents = replace(manifest.contents, tables={**tables, table: replace(tables[table], rows=rows)})
    return replace(manifest, contents=contents)


STORED: dict[str, tuple[int, Callable[[Three], object]]] = {
    "archive truncated": (0, lambda t: cut(t.archive, t.archive.stat().st_size // 2)),
    "archive one byte short": (0, lambda t: cut(t.archive, t.archive.stat().st_size - 1)),
    "archive empty": (0, lambda t: cut(t.archive, 0)),
    "archive gone": (0, lambda t: t.archive.unlink()),
    "archive of another source": (0, lambda t: swap(t, t.other)),
    "older archive in its place": (0, lambda t: swap(t, t.older)),
    "manifest cut": (0, lambda t: cut(t.manifest, 300)),
    "manifest of an older backup": (0, lambda t: shutil.copy(t.backups.beside(t.older), t.manifest)),
    "archive of another source, size and hash put right": (1, lambda t: swap_whole(t, t.other)),
    "older archive, size and hash put right": (1, lambda t: swap_whole(t, t.older)),
    "no archive at all, size and hash put right": (1, garbage),
    "manifest edited: identity": (1, lambda t: t.backups.rewrite(t.id, identity="42")),
}
"""Each with the level that it is caught at: of whatever engine the backup is."""
