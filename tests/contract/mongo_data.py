"""Databases that are hard to copy: every type of BSON, every kind of collection and index, odd names."""

import struct
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import bson
from bson import Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary
from bson.raw_bson import RawBSONDocument
from gridfs import GridFS
from pymongo.collation import Collation
from pymongo.database import Database
from pymongo.operations import IndexModel

Db = Database[dict[str, Any]]

LONG = "журнал" * 20  # its escaped name is longer than a file's may be
ODD_NAMES = ["sp ace+%41", "x/y", "b*c\\d", "a'b\"c;d", "été", LONG, "q%" * 60, "c+" * 100, "line\nbreak"]


def element(kind: int, name: bytes, value: bytes) -> bytes:
    return bytes([kind]) + name + b"\0" + value


def document(*elements: bytes) -> RawBSONDocument:
    """A document that no driver would write."""
    body = b"".join(elements) + b"\0"
    return RawBSONDocument(struct.pack("<i", len(body) + 4) + body)


def identifier(number: int) -> bytes:
    return element(0x10, b"_id", struct.pack("<i", number))


def text(value: bytes) -> bytes:
    return struct.pack("<i", len(value) + 1) + value + b"\0"


def types(db: Db) -> None:
    """One document for each type, and those that are only bytes."""
    values: list[Any] = [
        *(
            0.0,
            -0.0,
            1.5,
            float("inf"),
            float("-inf"),
            5e-324,
            "",
            "naïve \0 NUL",
            {},
            [],
            {"a": {"b": [1, {"c": None}]}},
        ),
        *(Binary(b"", 0), Binary(bytes(range(256)), 5), Binary(b"x", 128), ObjectId(), True, False, None),
        *(datetime(2026, 11, 23, 3, 0, 0, 123000, tzinfo=UTC), bson.DatetimeMS(-(2**62)), bson.DatetimeMS(2**62)),
        *(
            Regex("a+", "im"),
            Code("f()"),
            Code("f()", {"x": 1}),
            DBRef("c", 1),
            1,
            Int64(1),
            2**31 - 1,
            Int64(-(2**63)),
        ),
        *(Timestamp(1, 2), Decimal128("1"), Decimal128("1.0"), Decimal128("NaN"), Decimal128("-Infinity")),
        *(Decimal128(Decimal("-0E-6176")), MinKey(), MaxKey()),
    ]
    db.types.insert_many([{"_id": i, "v": value} for i, value in enumerate(values)])
    raw = db.get_collection("raw", bson.CodecOptions(document_class=RawBSONDocument))
    nan = [struct.pack("<Q", bits) for bits in (0x7FF8000000000000, 0xFFF8000000000001, 0x7FF0000000000123)]
    for i, one in enumerate(
        [
            (element(0x10, b"a", struct.pack("<i", 1)), element(0x10, b"a", struct.pack("<i", 2))),  # a key twice
            *((element(0x01, b"v", payload),) for payload in nan),
            (element(0x02, b"v", text(b"\xff\xfe broken \xc3")),),  # no UTF-8
            (element(0x06, b"v", b""),),  # undefined
            (element(0x0E, b"v", text(b"symbol")),),
            (element(0x0C, b"v", text(b"c") + bytes(12)),),  # DBPointer
        ]
    ):
        raw.insert_one(document(identifier(i), *one))


def large(db: Db, megabytes: int = 1) -> None:
    """A document of nearly 16 MB, and some more."""
    db.large.insert_one({"_id": 0, "v": b"\x07" * ((16 << 20) - 60)})
    for i in range(megabytes):
        db.large.insert_one({"_id": i + 1, "v": bytes(1 << 20)})


def collections(db: Db) -> None:
    """Each kind, with its options."""
    db.create_collection("capped", capped=True, size=65536, max=50)
    db.capped.insert_many([{"_id": 1000 - i, "n": i} for i in range(80)])
    db.create_collection("weather", timeseries={"timeField": "at", "metaField": "where", "granularity": "minutes"})
    db.weather.insert_many(
        [{"at": datetime(2026, 1, 1, i % 24, tzinfo=UTC), "where": {"n": i % 3}, "t": i / 7} for i in range(200)]
    )
    db.weather.create_index([("where.n", 1), ("at", -1)], name="by_place")
    db.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True, "name": "own"})
    db.clustered.insert_many([{"_id": i} for i in range(5)])
    db.create_collection("german", collation=Collation("de", strength=2))
    db.german.insert_one({"_id": "ä"})
    db.german.create_indexes([IndexModel("own"), IndexModel("plain", collation=Collation("simple"))])
    db.create_collection("empty")
    rule = {"$jsonSchema": {"required": ["age"], "properties": {"age": {"bsonType": "int", "minimum": 0}}}}
    db.old.insert_many([{"_id": 1, "age": "older than its validator"}, {"_id": 2, "age": 7}])
    db.command("collMod", "old", validator=rule, validationLevel="moderate", validationAction="error")
    db.command("create", "view", viewOn="old", pipeline=[{"$match": {"age": 7}}, {"$project": {"_id": 0, "age": 1}}])
    db.command("create", "views_view", viewOn="view", pipeline=[])
    db.command("create", "french", viewOn="old", pipeline=[], collation={"locale": "fr"})
    GridFS(db).put(bytes(600_000), filename="figure.bin", chunkSize=100_000)


def indexes(db: Db) -> None:
    db.indexed.insert_many([{"_id": i, "a": i, "place": [i, i], "words": f"w{i}", "u": i} for i in range(20)])
    db.indexed.create_indexes(
        [
            IndexModel([("a", 1), ("b.c", -1)], name="pair"),
            IndexModel("u", unique=True, sparse=True, name="once"),
            IndexModel("born", expireAfterSeconds=86400 * 365),
            IndexModel("part", partialFilterExpression={"a": {"$gt": 5}, "words": {"$exists": True}}),
            IndexModel([("words", "text"), ("title", "text")], weights={"title": 5}, default_language="german"),
            IndexModel([("place", "2dsphere")]),
            IndexModel([("flat", "2d")], min=-10, max=10),
            IndexModel([("hash", "hashed")]),
            IndexModel([("$**", 1)], wildcardProjection={"a": 1, "words": 1}, name="all"),
            IndexModel("hidden", hidden=True),
            IndexModel("word", collation=Collation("sv", numericOrdering=True), name='odd "name"/1'),
        ]
    )


def odd_names(db: Db) -> None:
    for i, name in enumerate(ODD_NAMES):
        db[name].insert_many([{"_id": n} for n in range(i + 1)])
        db[name].create_index("n", name="n")


def everything(db: Db) -> None:
    types(db)
    collections(db)
    indexes(db)
    odd_names(db)
    large(db)
