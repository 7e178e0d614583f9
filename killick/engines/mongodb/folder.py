"""What mongodump left: a folder for each database, two files for each collection."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import unquote_plus

from bson import json_util
from bson.codec_options import DatetimeConversion

from killick.contents import Table
from killick.engines.mongodb import documents, oplog
from killick.engines.mongodb.address import SYSTEM
from killick.engines.mongodb.structure import LONGEST, Collection, escaped, renamed
from killick.errors import Corrupt, EmptyDump

FOLDER = "mongodb"
_META = ".metadata.json"
_JSON = json_util.JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)


@dataclass(frozen=True)
class Dumped:
    """One collection of a dump, and its two files; `data` is None for a view."""

    collection: Collection
    meta: Path
    data: Path | None

    def table(self) -> Table:
        """What will be restored of it. Raises EmptyDump where the file does not hold whole documents."""
        if self.data is None:
            return Table(0)
        found = documents.read(self.data)
        if self.collection.capped:
            room = self.collection.options
            found = islice(found, documents.overflow(self.data, int(room["size"]), int(room.get("max", 0))), None)
        return documents.summed(found, ordered=self.collection.capped)


def clear(root: Path, beside: frozenset[str] = frozenset()) -> None:
    """Takes out the server's own databases: users, roles and sessions are not the project's data. And those `beside`,
    which restores left there."""
    for name in (*SYSTEM, *beside):
        shutil.rmtree(root / name, ignore_errors=True)


def repair(root: Path) -> None:
    """Writes a cut name into its metadata as mongorestore reads it: it unescapes what was never escaped."""
    for meta in root.glob(f"*/*{_META}"):
        if _cut(meta):
            fields = json.loads(meta.read_text("utf-8"))
            if renamed(fields["collectionName"]):
                fields["collectionName"] = escaped(fields["collectionName"])
                meta.write_text(json.dumps(fields, ensure_ascii=False, separators=(",", ":")), "utf-8")


def read(root: Path) -> Iterator[Dumped]:
    """Every collection, by its name in metadata.json: a file's name may be cut. After `repair`.

    Raises EmptyDump where a file is missing, or is not what mongodump writes.
    """
    for meta in sorted(root.glob(f"*/*{_META}")):
        where = f"{meta.parent.name}/{meta.name}"
        try:
            fields = json_util.loads(meta.read_text("utf-8", errors="replace"), json_options=_JSON)
            name = str(fields["collectionName"])
            collection = Collection(
                database=meta.parent.name,
                name=unquote_plus(name) if _cut(meta) else name,
                kind=fields.get("type") or "collection",
                options=fields.get("options") or {},
                indexes=() if fields.get("type") == "view" else tuple(fields.get("indexes") or ()),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise EmptyDump(f"{where} is not mongodump's metadata: {error}", "run the backup again") from None
        data = None if collection.view else _data(meta, collection)
        if data is not None and not data.is_file():
            raise EmptyDump(f"mongodump left no documents of {collection.key}: {data.name} is missing")
        yield Dumped(collection, meta, data)


def emptied(dumped: Iterable[Dumped]) -> None:
    """Takes the documents out of a dump; options, indexes and views stay."""
    for one in dumped:
        if one.data is not None:
            one.data.write_bytes(b"")


def without_documents(dumped: Iterable[Dumped], root: Path, place: Path) -> None:
    """The same dump in `place`, of collections that are empty; views and time series are left out."""
    for one in dumped:
        if one.data is not None and one.collection.kind == "collection":
            to = place / one.data.relative_to(root)
            to.parent.mkdir(exist_ok=True)
            to.touch()
            shutil.copy(one.meta, place / one.meta.relative_to(root))


@contextmanager
def from_an_archive() -> Iterator[None]:
    """What `read` finds wrong inside the block is the archive's fault: raises Corrupt."""
    try:
        yield
    except EmptyDump as error:
        raise Corrupt(error.message, "restore the backup before it") from None


def inspect(folder: Path) -> None:
    """Raises Corrupt where a dump is not what mongodump writes."""
    root = folder / FOLDER
    with from_an_archive():
        tables = [one.table() for one in read(root)]
        log = root / oplog.FILE
        if log.is_file():
            oplog.read(log)
    refuse_none(tables)


def refuse_none(found: Sequence[object]) -> None:
    """Raises Corrupt where a dump that should hold collections holds none: mongorestore calls that a success."""
    if not found:
        raise Corrupt(f"there is no collection in {FOLDER}/", "restore the backup before it")


def orphans(root: Path, known: set[Path]) -> list[Path]:
    """Files of documents without metadata: of collections that were dropped while they were dumped."""
    return sorted(path for path in root.glob("*/*.bson") if path not in known)


def size(root: Path) -> int:
    """Bytes written so far."""
    total = 0
    for path in root.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def _cut(meta: Path) -> bool:
    """mongorestore's own test for a name that was cut."""
    stem = meta.name.removesuffix(_META)
    return len(stem) == LONGEST and "%24" in stem


def _data(meta: Path, collection: Collection) -> Path:
    if collection.kind == "timeseries":
        return meta.with_name(escaped(collection.stored) + ".bson")
    return meta.with_name(meta.name.removesuffix(_META) + ".bson")
