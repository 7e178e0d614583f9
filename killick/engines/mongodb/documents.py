"""Raw BSON documents, and a sum over them that no order changes."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import bson
import xxhash

from killick.contents import Table
from killick.errors import EmptyDump

_CHUNK = 1 << 20
_MASK = (1 << 128) - 1
_LENGTH = struct.Struct("<i").unpack_from


def summed(documents: Iterable[bytes | memoryview], ordered: bool = False) -> Table:
    """Count and sum of the documents' xxh3_128, modulo 2^128; `ordered` also hashes their sequence.

    The bytes are taken as they are: the order of fields, Int32 beside Int64, a NaN's payload all count.
    """
    count = total = 0
    sequence = xxhash.xxh3_128()
    for document in documents:
        digest = xxhash.xxh3_128_intdigest(document)
        total += digest
        count += 1
        if ordered:
            sequence.update(digest.to_bytes(16, "little"))
    return Table(count, f"{total & _MASK:032x}", sequence=sequence.hexdigest() if ordered else "")


def read(path: Path) -> Iterator[memoryview]:
    """The documents of a .bson file, one after the other. Raises EmptyDump where it does not hold whole ones."""
    with path.open("rb") as file:
        tail = b""
        offset = 0
        while chunk := file.read(_CHUNK):
            data = tail + chunk if tail else chunk
            view = memoryview(data)
            at, end = 0, len(data)
            while end - at >= 4:
                length = _LENGTH(data, at)[0]
                if length < 5:
                    raise _broken(path, offset + at)
                if at + length > end:
                    break
                if data[at + length - 1]:
                    raise _broken(path, offset + at)
                yield view[at : at + length]
                at += length
            tail = data[at:]
            offset += at
        if tail:
            raise _broken(path, offset)


def overflow(path: Path, size: int, most: int) -> int:
    """How many documents of a capped collection's file make room for those that follow; `most`: 0 for any number.

    While mongodump reads it, more documents come to its end than it holds at any moment.
    """
    lengths = deque(len(document) for document in read(path))
    before, total = len(lengths), sum(lengths)
    while lengths and (total > size or 0 < most < len(lengths)):
        total -= lengths.popleft()
    return before - len(lengths)


def identifier(document: Mapping[str, Any]) -> bytes:
    """Its _id, as a document of one field: equal where its type is, too."""
    return bson.encode({"_id": document["_id"]})


def _broken(path: Path, at: int) -> EmptyDump:
    return EmptyDump(
        f"{path.parent.name}/{path.name} is not whole documents: it breaks at byte {at:,}",
        "mongodump was cut off, or the disk is full: see the log, and run the backup again",
    )
