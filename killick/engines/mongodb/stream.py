"""What `mongodump --archive` writes: all collections in one stream, their documents interleaved.

    magic, a header, one document for each collection (its metadata), -1
    and then blocks: whose documents, documents…, -1; the last block of a collection says EOF, and has none

(common/archive/spec.md of mongo-tools.) It is laid out as the folder that mongodump --out would have written, so that
one way leads on from there. The checksum of each collection (CRC-64) is not compared: what is cut is seen without it.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import bson
from bson.errors import BSONError

from killick.engines.mongodb.structure import BUCKETS, LONGEST, escaped
from killick.errors import Corrupt
from killick.stream import CHUNK
from killick.watch import Watch

MAGIC = b"\x6d\xe2\x99\x81"
_END = b"\xff\xff\xff\xff"
_LENGTH = struct.Struct("<i").unpack
_LARGEST = 48 << 20  # no document is larger than 16 MB; of metadata there may be more
_CUT_AT = 208  # bytes of a long name that mongodump keeps before its hash
_NEVER_IN_A_NAME = frozenset('/\\. "$\0')
_HINT = "take another backup: killick list"

Namespace = tuple[str, str]


def unpack(path: Path, root: Path, watch: Watch) -> tuple[str, str]:
    """Fills `root` with a folder for each database; gives the versions of server and tool.

    Raises Corrupt where the stream is cut, or is none.
    """
    total = path.stat().st_size
    finished: set[Namespace] = set()
    with path.open("rb", buffering=CHUNK) as file:
        file.read(len(MAGIC))
        header, *collections = [_decoded(document) for document in _documents(file)] or [{}]
        wanted = {name for one in collections if (name := _prepared(one, root))}
        while file.tell() < total:
            documents = _documents(file)
            block = _decoded(next(documents, b""))
            name = _namespace(block)
            if block.get("EOF"):
                finished.add(name)
            with _file(root, name).open("ab") as out:
                out.writelines(documents)
            watch(file.tell(), total)
    lost = sorted(f"{db}.{name}" for db, name in wanted if not {(db, name), (db, BUCKETS + name)} & finished)
    if lost:
        raise Corrupt(f"it is cut off: the documents of {', '.join(lost[:5])} do not come to their end", _HINT)
    return str(header.get("server_version", "")), str(header.get("tool_version", ""))


def _prepared(collection: dict[str, Any], root: Path) -> Namespace | None:
    """Writes a collection's metadata; its name, if documents have to follow: a view has none."""
    name, metadata = _namespace(collection), str(collection.get("metadata") or "")
    data = _file(root, name)
    data.parent.mkdir(parents=True, exist_ok=True)
    if metadata:
        data.with_name(data.name.removesuffix(".bson") + ".metadata.json").write_text(metadata, "utf-8")
    return None if collection.get("type") == "view" or '"viewOn"' in metadata else name


def _documents(file: IO[bytes]) -> Iterator[bytes]:
    """Up to the next -1."""
    while (length := file.read(4)) != _END:
        size = _LENGTH(length)[0] if len(length) == len(_END) else 0
        rest = file.read(size - 4) if 5 <= size <= _LARGEST else b""
        if not rest or len(rest) != size - 4 or rest[-1]:
            raise Corrupt(f"it is cut off, or damaged, at byte {file.tell():,}", _HINT)
        yield length + rest


def _decoded(document: bytes) -> dict[str, Any]:
    try:
        return bson.decode(document)
    except BSONError:
        raise Corrupt("it is damaged: what it says of a collection cannot be read", _HINT) from None


def _namespace(document: dict[str, Any]) -> Namespace:
    """Raises Corrupt for a database whose name would lead elsewhere."""
    database, name = str(document.get("db", "")), str(document.get("collection", ""))
    if not name or _NEVER_IN_A_NAME & set(database):
        raise Corrupt("it is damaged: a collection in it has no name", _HINT)
    return database, name


def _file(root: Path, name: Namespace) -> Path:
    """As mongodump --out calls it: a name that is too long is cut, and ends in its hash. The oplog has no database."""
    database, collection = name
    plain = escaped(collection)
    if len(plain) > LONGEST:
        digest = base64.urlsafe_b64encode(hashlib.sha1(collection.encode(), usedforsecurity=False).digest())
        plain = f"{plain[:_CUT_AT]}%24{digest.decode().rstrip('=')}"
    return root / database / f"{plain}.bson"
