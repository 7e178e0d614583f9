"""What can be wrong with the objects in a store, of whatever engine.

`made` has the ids of backups of which only the second is damaged: "older", "sound", "other source".
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from killick.manifest import Manifest
from tests.end_to_end.backups import Backups

Made = Mapping[str, str]


def cut(path: Path, size: int) -> None:
    """To so many bytes; less than nothing counts from the end."""
    path.write_bytes(path.read_bytes()[:size])


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


STORED: dict[str, tuple[Callable[[Backups, Made], object], int, str]] = {
    "the archive cut in half": (
        lambda b, m: cut(b.archive(m["sound"]), b.archive(m["sound"]).stat().st_size // 2), 0, "its manifest says"
    ),
    "a byte of the archive flipped": (lambda b, m: flip(b.archive(m["sound"]), -1000), 0, "SHA-256"),
    "the archive gone": (lambda b, m: b.archive(m["sound"]).unlink(), 0, "is not in the store"),
    "an older archive in its place": (
        lambda b, m: shutil.copy(b.archive(m["older"]), b.archive(m["sound"])), 0, "its manifest says"
    ),
    "an older archive, every hash put right": (lambda b, m: _whole(b, m, "older"), 1, "is not what its manifest says"),
    "another source's archive, every hash put right": (
        lambda b, m: _whole(b, m, "other source"), 1, "is not what its manifest says: id"
    ),
    "the manifest of another backup": (
        lambda b, m: shutil.copy(b.beside(m["older"]), b.beside(m["sound"])), 0, "is the manifest of"
    ),
    "the manifest cut": (lambda b, m: cut(b.beside(m["sound"]), 200), 0, "is not a manifest"),
    "the manifest edited": (
        lambda b, m: b.rewrite(m["sound"], contents=_fewer(b.manifest(m["sound"])).contents), 1, "contents is something"
    ),
    "the manifest edited, the one inside too": (
        lambda b, m: b.remake(m["sound"], changed=_fewer), 4, "(?s)^1 difference"
    ),
    "a bit of the dump, before it was compressed": (
        lambda b, m: _before_the_codec(b, m["sound"]), 1, "does not decode to what was encoded"
    ),
}  # fmt: skip
"""What is done, the level that does not hold then, and a part of the error."""


def _whole(backups: Backups, made: Made, other: str) -> None:
    theirs, mine = backups.manifest(made[other]).archive, backups.manifest(made["sound"]).archive
    assert theirs is not None
    assert mine is not None
    shutil.copy(backups.archive(made[other]), backups.archive(made["sound"]))
    backups.rewrite(made["sound"], archive=replace(theirs, key=mine.key))


def _fewer(manifest: Manifest) -> Manifest:
    """One row less is promised, of the largest table."""
    assert manifest.contents is not None
    tables = dict(manifest.contents.tables)
    name = max(tables, key=lambda each: tables[each].rows)
    tables[name] = replace(tables[name], rows=tables[name].rows - 1)
    return replace(manifest, contents=replace(manifest.contents, tables=tables))


def _before_the_codec(backups: Backups, id: str) -> None:
    """Size and hash of the object are those of what was made of it."""
    before = backups.manifest(id).archive
    backups.remake(id, lambda folder: flip(_largest(folder), -20))
    after = backups.manifest(id).archive
    assert before is not None
    assert after is not None
    backups.rewrite(id, archive=replace(after, raw_sha256=before.raw_sha256))


def _largest(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
