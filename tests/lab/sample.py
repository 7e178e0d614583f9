"""The sample project of demo and tests: a shop's database, its uploads, its MongoDB. The same for every run."""

import json
import math
import random
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from bson import Binary, Decimal128, Int64, ObjectId, Regex

from tests.lab.rows import copy

SEED = 20261123
FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
MONTHS = 12
# The share of each table in all rows; order_lines take what is left.
SHARES = {"customers": 0.06, "products": 0.01, "orders": 0.2, "payments": 0.17, "reviews": 0.05, "audit.events": 0.15}
CATEGORIES, ATTACHMENTS, LARGE_OBJECTS = 40, 300, 12

GIVEN, FAMILY, GOODS, LOOKS = (
    line.split()
    for line in """
Ada Björn Chloé Đặng Ελένη Фёдор Grzegorz 花子 İpek José Kōji Łukasz Måns Ñusta Ömer Siobhán Tomáš
Müller Nguyễn O'Brien Papadópoulos Quiñones Ростов Søndergård Þórsdóttir Ünal Vondráček 山田 Żak de_la_Cruz
anchor shackle rope buoy lamp compass chart sail oar bell kettle net lantern hook cleat winch
small grüne старый 新しい brass tarred light heavy folding double quiet crème
""".strip().splitlines()
)
PHRASES = (
    "tab\there",
    "line\nbreak",
    "back\\slash",
    "percent % sign",
    "\\N is not null",
    "emoji ⚓🛟",
    "",
    "\\.",
    '"quoted"',
)


def load(connection: Any, rows: int = 200_000, seed: int = SEED) -> dict[str, int]:
    """Fill an empty database; the rows of each table, partitions summed: at least `rows` in all.

    `connection` is psycopg2's, of somebody who may create schemas. Everything is committed.
    """
    chance = random.Random(seed)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET timezone = 'UTC'")
        cursor.execute((Path(__file__).parent / "shop.sql").read_text())
        for first, next_ in pairwise(_month(number) for number in range(MONTHS + 1)):
            cursor.execute(
                f"CREATE TABLE orders_{first:%Y_%m} PARTITION OF orders FOR VALUES FROM ('{first}') TO ('{next_}')"
            )
        shop = _Shop(chance, rows)
        counts = {
            table: copy(cursor, f"{table} ({', '.join(columns)})", lines) for table, columns, lines in shop.tables()
        }
        _large_objects(cursor, chance)
        cursor.execute("REFRESH MATERIALIZED VIEW bestsellers")
        cursor.execute(
            "CREATE TRIGGER remember AFTER INSERT ON customers FOR EACH ROW EXECUTE FUNCTION audit.remember()"
        )
        for table in ("categories", "products", "customers", "attachments", "audit.events"):
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {counts[table]})")
        cursor.execute("SELECT setval('invoice_number', (SELECT max(invoice) FROM payments))")
        cursor.execute("ANALYZE")
    return counts


def _month(number: int) -> date:
    return date(FIRST_DAY.year + number // 12, number % 12 + 1, 1)


class _Shop:
    """Rows in COPY's text form, table by table in the order of their foreign keys."""

    def __init__(self, chance: random.Random, rows: int) -> None:
        self.chance = chance
        self.counts = {table: max(1, math.ceil(rows * share)) for table, share in SHARES.items()}
        self.counts["order_lines"] = max(rows - sum(self.counts.values()), self.counts["orders"])
        self.placed = sorted(self._moments(self.counts["orders"]))

    def tables(self) -> Iterator[tuple[str, list[str], Iterable[tuple[object, ...]]]]:
        yield "categories", ["parent", "name"], self._categories()
        yield (
            "products",
            ["category", "name", "description", "price", "tags", "properties", "thumbnail"],
            self._products(),
        )
        yield "customers", ["email", "name", "home", "born", "newsletter", "joined"], self._customers()
        yield "orders", ["id", "customer", "status", "placed", "note"], self._orders()
        yield "order_lines", ["order_id", "placed", "line", "product", "quantity", "price"], self._lines()
        yield "payments", ["id", "order_id", "placed", "amount"], self._payments()
        yield "reviews", ["product", "customer", "stars", "words", "weight"], self._reviews()
        yield "attachments", ["customer", "name", "contents"], self._attachments()
        yield "audit.events", ["at", "took", "client", "what", "details"], self._events()

    def _moments(self, count: int) -> list[datetime]:
        seconds = (_month(MONTHS) - _month(0)).days * 86_400
        return [FIRST_DAY + timedelta(seconds=self.chance.randrange(seconds)) for _ in range(count)]

    def _categories(self) -> Iterator[tuple[object, ...]]:
        for number in range(1, CATEGORIES + 1):
            parent = None if number <= 5 else (number - 1) % 5 + 1
            yield parent, f"{self.chance.choice(LOOKS)} {self.chance.choice(GOODS)} № {number}"

    def _products(self) -> Iterator[tuple[object, ...]]:
        for number in range(self.counts["products"]):
            tags = self.chance.sample(LOOKS, self.chance.randrange(4))
            properties = {
                "weight": round(self.chance.random() * 20, 3),
                "sizes": self.chance.choices("SMLX", k=2),
                "maker": {"name": self._name(), "since": self.chance.randrange(1850, 2020)},
            }
            yield (
                self.chance.randrange(1, CATEGORIES + 1),
                f"{self.chance.choice(LOOKS)} {self.chance.choice(GOODS)}",
                self._words(20) if number % 7 else None,
                f"{self.chance.randrange(100, 90_000) / 100:.2f}",
                "{" + ",".join(f'"{tag}"' for tag in tags) + "}",
                json.dumps(properties, ensure_ascii=False),
                self._bytes(64) if number % 3 else None,
            )

    def _customers(self) -> Iterator[tuple[object, ...]]:
        for number in range(self.counts["customers"]):
            home = f'("{self.chance.randrange(1, 200)}, Quay ""{number % 50}""","Port {self.chance.choice(GOODS)}",NO)'
            yield (
                f"customer{number}@example.org",
                self._name(),
                home if number % 5 else None,
                date(1940, 1, 1) + timedelta(days=self.chance.randrange(25_000)),
                (None, "t", "f")[number % 3],
                FIRST_DAY - timedelta(minutes=self.chance.randrange(2_000_000)),
            )

    def _orders(self) -> Iterator[tuple[object, ...]]:
        statuses = ("placed", "paid", "shipped", "returned", "заказ отменён")
        for number, placed in enumerate(self.placed, 1):
            note = json.dumps({"gift": True, "text": self.chance.choice(PHRASES)}) if number % 9 == 0 else None
            yield number, self._customer(), self.chance.choice(statuses), placed, note

    def _lines(self) -> Iterator[tuple[object, ...]]:
        orders = len(self.placed)
        for number in range(self.counts["order_lines"]):
            order = number % orders
            price = f"{self.chance.randrange(100, 90_000) / 100:.2f}"
            quantity = self.chance.randrange(1, 9)
            yield order + 1, self.placed[order], number // orders + 1, self._product(), quantity, price

    def _payments(self) -> Iterator[tuple[object, ...]]:
        paid = self.chance.sample(range(len(self.placed)), self.counts["payments"])
        for order in paid:
            amount = f"{self.chance.randrange(-50_000, 900_000) / 100:.2f}"
            yield uuid.UUID(int=self.chance.getrandbits(128), version=4), order + 1, self.placed[order], amount

    def _reviews(self) -> Iterator[tuple[object, ...]]:
        pairs = self.counts["products"] * self.counts["customers"]
        for pair in self.chance.sample(range(pairs), min(self.counts["reviews"], pairs)):
            product, customer = divmod(pair, self.counts["customers"])
            weight = self.chance.choice((self.chance.random(), 0.1, -0.0, math.nan, math.inf, 1e-300))
            yield product + 1, customer + 1, self.chance.randrange(1, 6), self._words(12), weight

    def _attachments(self) -> Iterator[tuple[object, ...]]:
        for number in range(ATTACHMENTS):
            yield (
                self._customer(),
                f"scan {number} {self.chance.choice(LOOKS)}.pdf",
                self._bytes(self.chance.randrange(4000)),
            )

    def _events(self) -> Iterator[tuple[object, ...]]:
        kinds = ("login", "view", "basket", "error", "вход")
        for at in self._moments(self.counts["audit.events"]):
            details = json.dumps({"page": f"/{self.chance.choice(GOODS)}", "ms": self.chance.randrange(900)})
            client = f"10.{self.chance.randrange(256)}.{self.chance.randrange(256)}.1"
            took = f"{self.chance.randrange(90)} milliseconds"
            yield at.replace(tzinfo=None), took, client, self.chance.choice(kinds), details

    def _name(self) -> str:
        return f"{self.chance.choice(GIVEN)} {self.chance.choice(FAMILY)}"

    def _words(self, most: int) -> str:
        words = self.chance.choices((*GOODS, *LOOKS), k=self.chance.randrange(1, most))
        return " ".join((*words, self.chance.choice(PHRASES)))

    def _bytes(self, count: int) -> str:
        return "\\x" + self.chance.randbytes(count).hex()

    def _customer(self) -> int:
        return self.chance.randrange(1, self.counts["customers"] + 1)

    def _product(self) -> int:
        return self.chance.randrange(1, self.counts["products"] + 1)


def _large_objects(cursor: Any, chance: random.Random) -> None:
    for number in range(1, LARGE_OBJECTS + 1):
        contents = chance.randbytes(chance.randrange(1, 50_000))
        cursor.execute(
            "UPDATE attachments SET scan = lo_from_bytea(%s, %s) WHERE id = %s", (700_000 + number, contents, number)
        )


def uploads(folder: Path, files: int = 300, seed: int = SEED) -> int:
    """Fill a folder as a site's users do; how many entries it holds, folders not counted."""
    chance = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        place = folder / f"{2020 + number % 6}" / f"{chance.randrange(1, 13):02}"
        place.mkdir(parents=True, exist_ok=True)
        name = f"{chance.choice(LOOKS)} {chance.choice(GOODS)} {number}.{chance.choice(('jpg', 'pdf', 'txt'))}"
        (place / name).write_bytes(chance.randbytes(chance.randrange(1, 4_000)) * chance.randrange(1, 8))
    odd = folder / "odd"
    odd.mkdir()
    (odd / "empty").touch()
    (odd / "new\nline").write_text("a name with a line break")
    (odd / "-rf").write_text("a name that looks like an option")
    (odd / ("long" * 60)).write_text("a name of 240 bytes")
    (odd / "ünïcödé 数据 ⚓.txt").write_text("a name in three scripts")
    (odd / "private").write_text("only its owner reads this")
    (odd / "private").chmod(0o600)
    (odd / "program").write_text("#!/bin/sh\n")
    (odd / "program").chmod(0o755)
    (odd / "link").symlink_to("empty")
    (odd / "dangling").symlink_to("/nowhere/at/all")
    (odd / "twin").hardlink_to(odd / "program")
    with (odd / "sparse").open("wb") as sparse:
        sparse.seek(8 * 1024 * 1024)
        sparse.write(b"end")
    return sum(1 for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def mongo(client: Any, documents: int = 20_000, database: str = "shop", seed: int = SEED) -> dict[str, int]:
    """Fill a MongoDB database; the documents of each collection, `documents` or a few more in all."""
    chance = random.Random(seed)
    shop = client[database]

    def identity() -> ObjectId:
        return ObjectId(chance.randbytes(12))

    def moment() -> datetime:
        return FIRST_DAY + timedelta(milliseconds=chance.randrange(30_000_000_000))

    baskets = [
        {
            "_id": identity(),
            "customer": f"{chance.choice(GIVEN)} {chance.choice(FAMILY)}",
            "at": moment(),
            "lines": [
                {"good": chance.choice(GOODS), "price": Decimal128(f"{chance.randrange(9_000) / 100:.2f}")}
                for _ in range(chance.randrange(5))
            ],
            "place": {"type": "Point", "coordinates": [chance.uniform(-179, 179), chance.uniform(-85, 85)]},
        }
        for _ in range(math.ceil(documents * 0.6))
    ]
    visits = [
        {"_id": number, "at": moment(), "page": f"/{chance.choice(GOODS)}", "bytes": Int64(chance.getrandbits(40))}
        for number in range(math.ceil(documents * 0.4))
    ]
    values: list[object] = [None, True, math.nan, -0.0, 2**31, Int64(5), "ünï ⚓", [], {}, identity()]
    values += [Binary(b"\0\xff"), Regex("^a", "i"), Decimal128("NaN"), moment(), {"a": {"b": [1, "1"]}}]
    kinds = [{"_id": f"kind {number}", "value": value} for number, value in enumerate(values)]
    shop.create_collection("visits", capped=True, size=64 * 1024 * 1024)
    shop.create_collection("baskets", validator={"$jsonSchema": {"required": ["customer"]}})
    collections: dict[str, list[dict[str, Any]]] = {"baskets": baskets, "visits": visits, "every kind of value": kinds}
    for name, contents in collections.items():
        shop[name].insert_many(contents)
    shop.baskets.create_index([("customer", 1), ("at", -1)], name="by customer")
    shop.baskets.create_index([("place", "2dsphere")])
    shop.baskets.create_index("at", expireAfterSeconds=10**9, partialFilterExpression={"lines.0": {"$exists": True}})
    shop.create_collection("big baskets", viewOn="baskets", pipeline=[{"$match": {"lines.3": {"$exists": True}}}])
    return {name: len(contents) for name, contents in collections.items()}
