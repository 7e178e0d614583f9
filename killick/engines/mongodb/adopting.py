"""A dump that others made: mongodump's folder, plain or with --gzip, or its --archive."""

from __future__ import annotations

import gzip
import json
import shutil
import zlib
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote_plus

from killick.contents import Contents, Table
from killick.engines import Adopted
from killick.engines.mongodb import folder as left
from killick.engines.mongodb import oplog, stream
from killick.engines.mongodb.address import SYSTEM
from killick.engines.mongodb.structure import BUCKETS, kept
from killick.errors import Corrupt, EmptyDump, Refused
from killick.older.layers import head
from killick.watch import Watch

_META, _DATA, _GZIP = ".metadata.json", ".bson", ".gz"
_BEFORE = "restore the backup before it: killick list"
_NAMELESS = "db"  # a folder of collections whose own name is not told: it goes wherever one database goes


def adopt(found: Path, folder: Path, wanted: str, watch: Watch) -> Adopted | None:
    """See killick.engines.adopt; of several databases `load` takes the one that is called like its target."""
    root = folder / left.FOLDER
    server = tool = ""
    if found.is_file():
        if head(found, len(stream.MAGIC)) != stream.MAGIC:
            return None
        server, tool = stream.unpack(found, root, watch)
    elif not _gathered(found, root):
        return None
    notes = _tidied(root)
    try:
        left.repair(root)
        tables = {one.collection.key: Table(one.table().rows) for one in left.read(root) if not one.collection.view}
        if (root / oplog.FILE).is_file():
            oplog.read(root / oplog.FILE)
    except EmptyDump as error:
        raise Corrupt(f"the dump is not whole: {error.message}", _BEFORE) from None
    if not tables:
        notes.append("the dump is whole, and there is no collection in it")
    databases = sorted({key.partition(".")[0] for key in tables})
    database = databases[0] if len(databases) == 1 else wanted if wanted in databases else ""
    return Adopted(Contents(tables=tables, notes=tuple(notes)), server, tool, database, tuple(notes))


def _gathered(found: Path, root: Path) -> bool:
    """Moves what mongodump wrote, wherever in `found` it lies, into a folder for each database; False for none."""
    files = [path for path in sorted(found.rglob("*")) if path.is_file() and _plain(path).endswith((_META, _DATA))]
    folders = {path.parent for path in files if not _log(path, files)}
    names = [_database(place, found) for place in folders]
    if len(names) != len(set(names)):
        raise Refused(
            f"it holds several dumps of {', '.join(sorted({n for n in names if names.count(n) > 1}))}",
            "unpack it (killick fetch), and restore one by hand",
        )
    for path in files:
        place = root if path.parent not in folders else root / _database(path.parent, found)
        place.mkdir(parents=True, exist_ok=True)
        _take(path, place / _plain(path))
    return bool(folders)


def _plain(path: Path) -> str:
    return path.name.removesuffix(_GZIP)


def _log(path: Path, files: Iterable[Path]) -> bool:
    """Whether it is the server's oplog, beside the databases, and no collection of that name."""
    return _plain(path) == oplog.FILE and not any(p != path and p.parent == path.parent for p in files)


def _database(place: Path, found: Path) -> str:
    return _NAMELESS if place == found else place.name


def _take(path: Path, target: Path) -> None:
    if not path.name.endswith(_GZIP):
        path.rename(target)
        return
    try:
        with gzip.open(path) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Corrupt(f"{path.parent.name}/{path.name} does not decode: {error}", _BEFORE) from None
    path.unlink()


def _tidied(root: Path) -> list[str]:
    """As killick's own dumps are: no database of the server's, no collection of its own, all with metadata."""
    notes = []
    there = sorted(name for name in SYSTEM if (root / name).is_dir())
    left.clear(root)
    if there:
        notes.append(f"left out: {', '.join(there)}, the server's own (users and roles among it)")
    bare = []
    for data in sorted(root.glob(f"*/*{_DATA}")):
        name = unquote_plus(data.name.removesuffix(_DATA))
        if name.startswith(BUCKETS):
            continue
        meta = data.with_name(data.name.removesuffix(_DATA) + _META)
        if name.startswith("system.") and not kept(name):  # a $ may be that of a name that was cut
            data.unlink()
            meta.unlink(missing_ok=True)
        elif not meta.is_file():
            meta.write_text("{}", "utf-8")
            bare.append(f"{data.parent.name}.{name}")
    for meta in sorted(root.glob(f"*/*{_META}")):
        _complete(meta)
    if bare:
        notes.append(f"no metadata of {', '.join(bare[:5])}: restored without indexes and options")
    return notes


def _complete(meta: Path) -> None:
    """What an older mongodump did not write: the collection's name, and that a view is one."""
    try:
        fields = json.loads(meta.read_text("utf-8", errors="replace"))
        given = dict(fields)
        fields.setdefault("collectionName", unquote_plus(meta.name.removesuffix(_META)))
        if "viewOn" in (fields.get("options") or {}):
            fields.setdefault("type", "view")
    except (ValueError, AttributeError, TypeError):
        raise Corrupt(
            f"the dump is not whole: {meta.parent.name}/{meta.name} is cut, or no metadata", _BEFORE
        ) from None
    if fields != given:
        meta.write_text(json.dumps(fields, ensure_ascii=False, separators=(",", ":")), "utf-8")
