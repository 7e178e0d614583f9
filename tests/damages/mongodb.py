"""A shop's database, and what can be wrong with a dump of it."""

import re
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson import Decimal128, Int64, ObjectId, Regex, Timestamp
from bson.binary import Binary
from pymongo.collation import Collation

from killick.engines import Source
from killick.engines.mongodb.address import SYSTEM
from tests.contract import mongo_data
from tests.damages.mongodump import Document, Dump
from tests.damages.stored import cut, flip
from tests.lab.mongod import Mongod

CANARY = "a document that nobody may read"
NAN, OTHER_NAN = struct.pack("<Q", 0x7FF8000000000001), struct.pack("<Q", 0x7FF8000000000002)
MORNING = datetime(2026, 11, 23, 3, 0, 0, 123000, tzinfo=UTC)
VALUES: dict[str, Any] = {
    "int": 1,
    "zero": 0.0,
    "infinity": float("inf"),
    "nan": bson.decode(b"\x10\0\0\0\x01v\0" + NAN + b"\0")["v"],
    "date": MORNING,
    "timestamp": Timestamp(1, 2),
    "decimal": Decimal128("1.0"),
    "decimal zero": Decimal128("0"),
    "text": "naïve",
    "expression": Regex("a+", "i"),
    "binary": Binary(b"1234", 0),
    "id": ObjectId("0123456789abcdef01234567"),
    "yes": True,
    "list": [1],
    "nested": {"a": {"b": [1, {"c": None}]}},
}


def shop(db: mongo_data.Db) -> None:
    """Small, and of everything."""
    mongo_data.collections(db)
    mongo_data.indexes(db)
    db.indexed.create_index("phrase", collation=Collation("sv", numericOrdering=True), name="swedish")
    db["values"].insert_many([{"_id": name, "v": value} for name, value in VALUES.items()])
    db.orders.insert_many([{"_id": n, "customer": n % 7, "total": n, "said": CANARY} for n in range(100)])
    db.orders.create_index("customer")
    db.notes.insert_one({"_id": 1, "said": CANARY})
    db["sp ace/ü"].insert_one({"_id": 1})


def source(server: Mongod, database: str = "", name: str = "db") -> Source:
    return Source(name, re.sub(r":[^:@/]*@", "@", server.url(database)), server.password)


def emptied(server: Mongod) -> Mongod:
    with server.client() as client:
        for name in set(client.list_database_names()) - SYSTEM:
            client.drop_database(name)
    return server


@dataclass(frozen=True)
class Damage:
    """`says`: every difference that there is, as "name: kind"; where it comes to none, a part of the error."""

    harm: Callable[[Dump], object]
    level: int
    says: frozenset[str] | str


def data(harm: Callable[[Dump], object], *says: str) -> Damage:
    return Damage(harm, 4, frozenset(f"shop.{one}" for one in says))


def schema(harm: Callable[[Dump], object], *says: str) -> Damage:
    return Damage(harm, 3, frozenset(f"shop.{one}" for one in says))


def value(name: str, other: object) -> Damage:
    """One value of the collection `values` is another one."""
    return data(lambda d: d.rewrite("values", name, lambda found: {**found, "v": other}), "values: checksum")


def index(collection: str, name: str, change: Callable[[Document], object]) -> Damage:
    return schema(lambda d: d.index(collection, name, change), f"{collection}/{name}: indexes")


def option(collection: str, change: Callable[[Document], object], kind: str = "options") -> Damage:
    return schema(lambda d: d.describe(collection, lambda found: change(found["options"])), f"{collection}: {kind}")


def _swapped(documents: list[bytes]) -> list[bytes]:
    """The totals of two orders are exchanged."""
    one, other = bson.decode(documents[3]), bson.decode(documents[4])
    one["total"], other["total"] = other["total"], one["total"]
    return [*documents[:3], bson.encode(one), bson.encode(other), *documents[5:]]


def _under_another_id(documents: list[bytes]) -> list[bytes]:
    return [*documents, bson.encode({**bson.decode(documents[0]), "_id": 1000})]


def _exchanged(dump: Dump) -> None:
    orders, notes = dump.documents("orders"), dump.documents("notes")
    dump.put("orders", notes)
    dump.put("notes", orders)


def _more(dump: Dump) -> None:
    dump.put("more", [bson.encode({"_id": 1})])
    dump.json("more").write_text(dump.json("notes").read_text().replace("notes", "more"))


def _database_more(dump: Dump) -> None:
    place = dump.root / "other"
    place.mkdir()
    for path in (dump.bson("notes"), dump.json("notes")):
        (place / path.name).write_bytes(path.read_bytes())


VALUE = {
    "Int32 turned Int64": value("int", Int64(1)),
    "Int32 turned double": value("int", 1.0),
    "zero turned −0": value("zero", -0.0),
    "zero turned NaN": value("zero", float("nan")),
    "a NaN of another payload": data(lambda d: d.substitute("values", NAN, OTHER_NAN), "values: checksum"),
    "infinity turned −infinity": value("infinity", float("-inf")),
    "a date a millisecond later": value("date", MORNING + timedelta(milliseconds=1)),
    "a date turned timestamp": value("date", Timestamp(int(MORNING.timestamp()), 0)),
    "a timestamp's increment": value("timestamp", Timestamp(1, 3)),
    "a decimal's exponent": value("decimal", Decimal128("1.00")),
    "a decimal turned double": value("decimal", 1.0),
    "a decimal zero turned −0": value("decimal zero", Decimal128("-0")),
    "a text in another normal form": value("text", unicodedata.normalize("NFD", "naïve")),
    "a text's case": value("text", "Naïve"),
    "a regular expression's flag": value("expression", Regex("a+", "im")),
    "a binary's subtype": value("binary", Binary(b"1234", 128)),
    "an ObjectId turned text": value("id", "0123456789abcdef01234567"),
    "true turned 1": value("yes", 1),
    "a list turned document": value("list", {"0": 1}),
    "a nested null gone": value("nested", {"a": {"b": [1, {}]}}),
    "a field gone": data(lambda d: d.rewrite("values", "int", lambda v: {"_id": v["_id"]}), "values: checksum"),
    "a field's name": data(lambda d: d.rewrite("values", "int", lambda v: {"_id": "int", "w": 1}), "values: checksum"),
    "the order of fields": data(
        lambda d: d.rewrite("orders", 7, lambda o: {name: o[name] for name in ("_id", "total", "customer", "said")}),
        "orders: checksum",
    ),
}
DATA = {
    "a document missing": data(lambda d: d.reorder("orders", lambda found: found[:50] + found[51:]), "orders: rows"),
    "a document twice, under another _id": data(lambda d: d.reorder("orders", _under_another_id), "orders: rows"),
    "a swapped pair of values": data(lambda d: d.reorder("orders", _swapped), "orders: checksum"),
    "a document of another _id": data(
        lambda d: d.rewrite("orders", 7, lambda o: {**o, "_id": 700}), "orders: checksum"
    ),
    "all documents of a collection": data(lambda d: d.put("orders", []), "orders: rows"),
    "two collections' documents exchanged": data(_exchanged, "orders: rows", "notes: rows"),
    "cut between two documents": data(
        lambda d: cut(d.bson("orders"), sum(map(len, d.documents("orders")[:90]))), "orders: rows"
    ),
    "a byte of a text flipped": data(
        lambda d: flip(d.bson("orders"), d.bson("orders").read_bytes().index(CANARY.encode())), "orders: checksum"
    ),
    "a GridFS chunk gone": data(
        lambda d: d.reorder("fs.chunks", lambda found: found[:2] + found[3:]), "fs.chunks: rows"
    ),
    "a GridFS chunk's bytes": data(lambda d: flip(d.bson("fs.chunks"), 5000), "fs.chunks: checksum"),
    "a GridFS file gone": data(lambda d: d.put("fs.files", []), "fs.files: rows"),
    "the order of a capped collection": data(
        lambda d: d.reorder("capped", lambda found: [found[1], found[0], *found[2:]]), "capped: sequence"
    ),
    "a bucket of a time series gone": data(
        lambda d: d.reorder("system.buckets.weather", lambda found: found[1:]), "weather: rows"
    ),
}
SCHEMA = {
    "an index gone": schema(
        lambda d: d.describe(
            "indexed", lambda f: f["indexes"].remove(next(i for i in f["indexes"] if i["name"] == "pair"))
        ),
        "indexed/pair: indexes",
    ),
    "an index too many": schema(
        lambda d: d.describe("notes", lambda f: f["indexes"].append({"v": 2, "key": {"x": 1}, "name": "x_1"})),
        "notes/x_1: indexes",
    ),
    "an index no longer unique": index("indexed", "once", lambda i: i.pop("unique")),
    "an index no longer sparse": index("indexed", "once", lambda i: i.pop("sparse")),
    "an index without its time to live": index("indexed", "born_1", lambda i: i.pop("expireAfterSeconds")),
    "an index's time to live": index("indexed", "born_1", lambda i: i.update(expireAfterSeconds=60)),
    "an index without its partial filter": index("indexed", "part_1", lambda i: i.pop("partialFilterExpression")),
    "an index's partial filter": index(
        "indexed", "part_1", lambda i: i["partialFilterExpression"].update(a={"$gt": {"$numberInt": "6"}})
    ),
    "an index without its collation": index("indexed", "swedish", lambda i: i.pop("collation")),
    "an index's collation": index("indexed", "swedish", lambda i: i["collation"].update(numericOrdering=False)),
    "an index no longer hidden": index("indexed", "hidden_1", lambda i: i.pop("hidden")),
    "the direction of an index": index("indexed", "pair", lambda i: i["key"].update({"b.c": {"$numberInt": "1"}})),
    "the order of an index's fields": index(
        "indexed", "pair", lambda i: i.update(key=dict(reversed(list(i["key"].items()))))
    ),
    "the weights of a text index": index(
        "indexed", "words_text_title_text", lambda i: i["weights"].update(title={"$numberInt": "1"})
    ),
    "the language of a text index": index(
        "indexed", "words_text_title_text", lambda i: i.update(default_language="none")
    ),
    "a wildcard index's projection": index("indexed", "all", lambda i: i.pop("wildcardProjection")),
    "the bounds of a 2d index": index("indexed", "flat_2d", lambda i: i.update(max={"$numberInt": "20"})),
    "a validator gone": option("old", lambda o: [o.pop(n) for n in list(o) if n.startswith("valid")]),
    "a validator's rule": option("old", lambda o: o["validator"]["$jsonSchema"].update(required=["name"])),
    "a validator's level": option("old", lambda o: o.update(validationLevel="strict")),
    "a validator that only warns": option("old", lambda o: o.update(validationAction="warn")),
    "a view gone": schema(lambda d: d.remove("view"), "view: views"),
    "a view's pipeline": option("view", lambda o: o["pipeline"].pop(), "views"),
    "a view of another collection": option("view", lambda o: o.update(viewOn="orders"), "views"),
    "a view's collation": option("french", lambda o: o.pop("collation"), "views"),
    "a capped collection that is none": Damage(
        lambda d: d.describe("capped", lambda f: f["options"].clear()), 3, frozenset({"shop.capped: options"})
    ),
    "a capped collection's limit": option("capped", lambda o: o.update(max={"$numberInt": "60"})),
    "the granularity of a time series": option(
        "weather", lambda o: (o["timeseries"].update(granularity="hours"), o["timeseries"].pop("bucketMaxSpanSeconds"))
    ),
    "a time series that expires": option("weather", lambda o: o.update(expireAfterSeconds={"$numberLong": "3600"})),
    "a clustered collection that is none": schema(
        lambda d: d.describe("clustered", lambda f: f["options"].clear()),
        "clustered: options",
        "clustered/_id_: indexes",
        "clustered/own: indexes",
    ),
    "an empty collection gone": schema(
        lambda d: d.remove("empty"), "empty: options", "empty/_id_: indexes", "empty: table"
    ),
    "a collection's collation": schema(
        lambda d: d.describe(
            "german", lambda f: [each.pop("collation", None) for each in (f["options"], *f["indexes"])]
        ),
        *("german: options", "german/_id_: indexes", "german/own_1: indexes"),
    ),
    "a collection gone": schema(
        lambda d: d.remove("orders"),
        *("orders: options", "orders/_id_: indexes", "orders/customer_1: indexes", "orders: table"),
    ),
    "a collection's description gone": schema(lambda d: d.json("orders").unlink(), "orders/customer_1: indexes"),
    "a collection too many": schema(_more, "more: options", "more/_id_: indexes", "more: table"),
    "a database too many": Damage(
        _database_more, 3, frozenset({"other.notes: options", "other.notes/_id_: indexes", "other.notes: table"})
    ),
}
LOAD = {
    "a document twice": Damage(
        lambda d: d.reorder("orders", lambda found: [*found, found[5]]), 2, "shop.orders: .*duplicate key"
    ),
    "a value twice under a unique index": Damage(
        lambda d: d.rewrite("indexed", 3, lambda o: {**o, "u": 4}),
        2,
        r"shop\.indexed.*duplicate key|duplicate key.*shop\.indexed",
    ),
    "a time series that is none": Damage(
        lambda d: d.describe("weather", lambda f: (f.pop("type"), f["options"].clear())),
        1,
        r"shop\.weather: weather\.bson",
    ),
}
BROKEN = {
    "cut in a document": Damage(lambda d: cut(d.bson("orders"), -7), 1, r"shop/orders\.bson is not whole documents"),
    "a document's length flipped": Damage(lambda d: flip(d.bson("orders"), 1), 1, r"shop/orders\.bson is not whole"),
    "a file of documents gone": Damage(lambda d: d.bson("orders").unlink(), 1, r"no documents of shop\.orders"),
    "a description cut": Damage(
        lambda d: cut(d.json("orders"), -9), 1, r"shop/orders\.metadata\.json is not mongodump's metadata"
    ),
    "empty but valid": Damage(
        lambda d: [path.unlink() for path in (d.root / "shop").iterdir()], 1, "there is no collection"
    ),
}
DAMAGES = {**VALUE, **DATA, **SCHEMA, **LOAD, **BROKEN}
