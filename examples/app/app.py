"""A small shop: makes its own data at the first start, and serves a page that counts it."""

import hashlib
import os
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg2
from psycopg2.extras import execute_values
from pymongo import MongoClient
from pymongo.errors import OperationFailure

UPLOADS = Path(os.environ["UPLOADS"])
ALREADY_INITIALIZED = 23

SCHEMA = """
CREATE TABLE customers (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    notes jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer int NOT NULL REFERENCES customers,
    placed timestamptz NOT NULL,
    items text[] NOT NULL,
    total numeric(10, 2) NOT NULL
);
CREATE INDEX ON orders (customer);
CREATE VIEW spent AS
    SELECT name, sum(total) FROM customers JOIN orders ON customer = customers.id GROUP BY customers.id;
"""


def secret(name: str) -> str:
    return Path(os.environ[name]).read_text().strip()


def postgres():
    return psycopg2.connect(os.environ["DATABASE_URL"], password=secret("DATABASE_PASSWORD_FILE"))


def mongo() -> MongoClient:
    return MongoClient(
        os.environ["MONGO_URL"], password=secret("MONGO_PASSWORD_FILE"), directConnection=True, tz_aware=True
    )


def initiate() -> None:
    """Makes the MongoDB server a replica set of one, as soon as it is there: before anything is restored into it."""
    client = mongo()
    try:
        client.admin.command("replSetInitiate")
    except OperationFailure as error:
        if error.code != ALREADY_INITIALIZED:
            raise
    while not client.admin.command("hello")["isWritablePrimary"]:
        time.sleep(0.1)


def first_start() -> None:
    """Fill what is empty; a second start finds everything there."""
    chance = random.Random(20261123)
    with postgres() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('customers') IS NULL")
        if cursor.fetchone()[0]:
            cursor.execute(SCHEMA)
            names = [
                f"{first} {last}"
                for first in ["Ana", "Björn", "文子", "Олег", "Zoë"]
                for last in ["Novák", "O'Hara", "İnce", "Š"]
            ]
            execute_values(
                cursor,
                "INSERT INTO customers (name, email) VALUES %s",
                [(chance.choice(names), f"customer{n}@example.org") for n in range(2000)],
                page_size=1000,
            )
            execute_values(
                cursor,
                "INSERT INTO orders (customer, placed, items, total) VALUES %s",
                [
                    (
                        chance.randint(1, 2000),
                        f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02} 12:00Z",
                        chance.sample(["anchor", "rope", "buoy", "lamp, brass", 'the "big" sail'], 2),
                        round(chance.uniform(1, 900), 2),
                    )
                    for _ in range(20_000)
                ],
                page_size=1000,
            )

    client = mongo()
    if not client.shop.events.estimated_document_count():
        client.shop.events.insert_many({"n": n, "what": chance.choice(["seen", "bought"])} for n in range(5000))
        client.shop.events.create_index("what")

    for n in range(20):
        picture = UPLOADS / f"{n % 3}" / f"picture {n}.bin"
        if not picture.exists():
            picture.parent.mkdir(exist_ok=True)
            picture.write_bytes(hashlib.sha256(str(n).encode()).digest() * 2000)


def counts() -> str:
    with postgres() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders)")
        customers, orders = cursor.fetchone()
    events = mongo().shop.events.estimated_document_count()
    uploads = sum(path.is_file() for path in UPLOADS.rglob("*.bin"))
    return f"{customers} customers, {orders} orders, {events} events, {uploads} uploads\n"


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = counts().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    first_start()
    ThreadingHTTPServer(("", 8000), Page).serve_forever()
