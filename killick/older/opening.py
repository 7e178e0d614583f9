"""An older archive on its way back: download, decode, open. Beside killick.bring, for what has no manifest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from killick import engines, layout
from killick.bring import Opened
from killick.catalog import Backup
from killick.engines import Adopted
from killick.errors import Corrupt, Refused, Unsupported
from killick.manifest import Archive, Manifest
from killick.names import escaped
from killick.older.layers import head, peel
from killick.older.said import complaint
from killick.older.trees import is_tar, unpack
from killick.stores import Store
from killick.watch import Phases, Watch

_BEFORE = "restore the backup before it: killick list"
_DEEPEST = 4
_FOREIGN = {
    b"PK\x03\x04": "a zip file",
    b"\x04\x22\x4d\x18": "compressed by lz4",
    b"7z\xbc\xaf\x27\x1c": "a 7z file",
    b"age-encryption.org": "encrypted by age",
    b"-----BEGIN AGE": "encrypted by age",
    b"-----BEGIN PGP": "encrypted by gpg",
    b"Salted__": "encrypted by openssl",
    b"\xff\xfe": "text in UTF-16, as PowerShell's > writes it",
    b"-- MySQL dump": "a dump of MySQL",
    b"-- MariaDB dump": "a dump of MariaDB",
    b"SQLite format 3": "a database of SQLite",
}


def fetch_older(store: Store, backup: Backup, folder: Path, phases: Phases) -> Path:
    """Downloads the archive into `folder`, and compares its size with the listing's: there is no checksum to go by.

    Raises Corrupt when it differs, NotFound when the object is gone.
    """
    path = folder / "archive"
    with phases.phase("download") as watch:
        store.get(backup.archive, path, watch=watch)
    size = path.stat().st_size
    if size != backup.bytes:
        raise Corrupt(f"{backup.id} has {size} bytes, the store's listing says {backup.bytes}", _BEFORE)
    return path


def decode_older(path: Path, backup: Backup, folder: Path, phases: Phases) -> tuple[Path, str]:
    """What is inside once all compression is off: a text, a tar, a dump; and what it was packed with, "lrzip, gzip".

    The archive is deleted on the way. Raises Corrupt where it does not decode to its end, or is encrypted.
    """
    with phases.phase("decode") as watch, _about(backup):
        inner, layers = peel(path, folder, watch)
    return inner, ", ".join(layers) or "none"


def open_older(path: Path, backup: Backup, folder: Path, phases: Phases, wanted: str = "") -> Opened:
    """Decodes a downloaded archive into `folder`, finds the one dump in it, and reads all of that.

    `wanted` is the database to take where there are several: the target's name. `contents` of what is given names
    tables and counts rows, without checksums; no table is in it where the dump has none. Raises Corrupt, with what
    was found, when there is no whole dump; only after that Refused, when it must not be loaded.
    """
    inner, packed = decode_older(path, backup, folder, phases)
    size = inner.stat().st_size
    with phases.phase("inspect") as watch, _about(backup):
        found = _only(list(_dumps(inner, folder, wanted, watch)), inner)
    adopted = found.adopted
    moment = layout.rfc3339(backup.time)
    manifest = Manifest(
        id=backup.id,
        project=backup.project,
        source=backup.source,
        engine=found.engine,
        started=moment,
        finished=moment,
        snapshot=moment,
        server_version=adopted.server_version,
        client_version=adopted.client_version,
        identity="",
        database=adopted.database,
        contents=adopted.contents,
        archive=Archive(backup.archive, backup.bytes, "", size, "", packed),
        roles=adopted.contents.roles,
        warnings=adopted.notes,
        read_back=False,
    )
    return Opened(found.folder, manifest)


def check_older(inner: Path, backup: Backup, folder: Path, phases: Phases) -> None:
    """Raises Corrupt unless what `decode_older` gave is a whole dump, or a tar that holds one. `inner` is used up."""
    with phases.phase("inspect") as watch, _about(backup), suppress(Refused):
        _only(list(_dumps(inner, folder, "", watch)), inner)


@dataclass(frozen=True)
class _Found:
    """A dump that an engine took up; `folder` is as its `dump` would have filled it."""

    name: str
    engine: str
    adopted: Adopted
    folder: Path


def _dumps(found: Path, folder: Path, wanted: str, watch: Watch, name: str = "", deep: int = 0) -> Iterator[_Found]:
    """Every dump in a file; in a tar, and what is packed in there, too."""
    place = Path(mkdtemp(prefix="dump-", dir=folder))
    if taken := engines.adopt(found, place, wanted, watch):
        yield _Found(name, *taken, place)
    elif is_tar(found) and deep < _DEEPEST:
        tree = Path(mkdtemp(prefix="tar-", dir=folder))
        files = unpack(found, tree)
        found.unlink()
        if not files:
            raise Corrupt("it is a tar of nothing: there is no file in it", _BEFORE)
        if taken := engines.adopt(tree, place, wanted, watch):
            yield _Found(name, *taken, place)
            return
        for file in files:
            inside = f"{name}{file.relative_to(tree)}"
            inner, _ = peel(file, place, watch)
            yield from _dumps(inner, folder, wanted, watch, inside, deep + 1)


def _only(dumps: list[_Found], inner: Path) -> _Found:
    if len(dumps) == 1:
        return dumps[0]
    if dumps:
        raise Refused(
            f"it holds several dumps: {', '.join(escaped(one.name) for one in dumps)}",
            "unpack it (killick fetch), and restore one by hand",
        )
    if not inner.exists():
        raise Corrupt("it is a tar, and none of the files in it is a dump", _BEFORE)
    raise Corrupt(_instead(head(inner, 8192)), _BEFORE)


def _instead(first: bytes) -> str:
    """What stands where a dump should be."""
    if not first:
        return "it holds nothing: 0 bytes"
    for magic, what in _FOREIGN.items():
        if first.startswith(magic):
            return f"it is no dump that killick reads: {what}"
    if said := complaint(first):
        return f"it holds no dump, but these words: {said}"
    return "it is text, but no dump that killick knows" if b"\0" not in first else "it is no dump that killick knows"


@contextmanager
def _about(backup: Backup) -> Iterator[None]:
    """Whose fault it is: those who look into a file know no more than the file."""
    try:
        yield
    except (Corrupt, Refused, Unsupported) as error:
        raise type(error)(f"{backup.id}: {error.message}", error.hint) from None
