"""Clients that work in a database while it is backed up: rows, schema, sequences, large objects."""

import multiprocessing
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2.errors import DeadlockDetected, InternalError_, LockNotAvailable, UndefinedObject, UndefinedTable

from tests.lab.postgres import Postgres

SCHEMA = """
    CREATE TABLE accounts (id serial PRIMARY KEY, owner text NOT NULL, balance numeric CHECK (balance >= -10000));
    CREATE TABLE movements (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account int REFERENCES accounts ON DELETE CASCADE,
        amount numeric, at timestamptz DEFAULT clock_timestamp(), twice numeric GENERATED ALWAYS AS (amount * 2) STORED
    );
    CREATE TABLE log (at timestamptz, said text) PARTITION BY RANGE (at);
    CREATE TABLE log_old PARTITION OF log FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
    CREATE TABLE log_new PARTITION OF log DEFAULT;
    CREATE MATERIALIZED VIEW balances AS SELECT owner, sum(balance) FROM accounts GROUP BY owner;
    CREATE UNIQUE INDEX ON balances (owner);
    CREATE SEQUENCE tickets; CREATE SEQUENCE round MAXVALUE 50 CYCLE; CREATE SEQUENCE restarted;
    CREATE TABLE changing (a int, b text); CREATE TABLE emptied (id serial, at timestamptz DEFAULT clock_timestamp());
    CREATE ROLE passing;
    INSERT INTO accounts (owner, balance) SELECT 'owner ' || i % 50, i FROM generate_series(1, 500) i;
    INSERT INTO movements (account, amount) SELECT 1 + i % 500, i FROM generate_series(1, 3000) i;
    INSERT INTO changing SELECT i, 'text ' || i FROM generate_series(1, 500) i
"""

# InternalError_: "tuple concurrently updated". Undefined: the statement before, which would have made it, gave up
_AGAIN = (DeadlockDetected, InternalError_, LockNotAvailable, UndefinedObject, UndefinedTable)
Run = Callable[[str], None]
Rounds = Callable[[], list[int]]
"""How many each writer has made so far."""


def money(run: Run, chance: random.Random) -> None:
    a, b = chance.sample(range(1, 501), 2)
    run(
        f"UPDATE accounts SET balance = balance - 1 WHERE id = {min(a, b)};"
        f" UPDATE accounts SET balance = balance + 1 WHERE id = {max(a, b)};"
        f" INSERT INTO movements (account, amount) SELECT {a}, i FROM generate_series(1, 5) i"
    )
    run("DELETE FROM movements WHERE id IN (SELECT id FROM movements ORDER BY id LIMIT 4)")
    run("INSERT INTO log SELECT clock_timestamp() - random() * interval '900 days', 'said' FROM generate_series(1, 3)")


def numbers(run: Run, chance: random.Random) -> None:
    run("SELECT nextval('tickets'), nextval('round')")
    run("SELECT nextval('restarted')" if chance.random() < 0.9 else "ALTER SEQUENCE restarted RESTART")
    run("INSERT INTO emptied DEFAULT VALUES" if chance.random() < 0.9 else "TRUNCATE emptied RESTART IDENTITY")


def tables(run: Run, chance: random.Random) -> None:
    name = f"passing_{chance.randrange(5)}"
    run(f"CREATE TABLE IF NOT EXISTS {name} (id serial PRIMARY KEY, t text)")
    run(f"INSERT INTO {name} (t) SELECT 'x' FROM generate_series(1, 20)")
    run(f"GRANT SELECT ON {name} TO passing")
    run(f"COMMENT ON TABLE {name} IS 'of now'")
    run("ALTER TABLE changing ADD COLUMN IF NOT EXISTS c int DEFAULT 5, ALTER a TYPE bigint")
    run("ALTER TABLE changing DROP COLUMN IF EXISTS c, ALTER a TYPE int")
    run("UPDATE changing SET b = b || '.' WHERE a % 50 = 0")
    if chance.random() < 0.01:  # anew: a dropped column counts for ever, and a table has 1600 at most
        run("CREATE TABLE anew AS SELECT a, b FROM changing; DROP TABLE changing; ALTER TABLE anew RENAME TO changing")
    run(f"DROP TABLE IF EXISTS {name}")


def indexes(run: Run, chance: random.Random) -> None:
    run("CREATE INDEX CONCURRENTLY IF NOT EXISTS passing ON movements (account, amount)")
    run("REFRESH MATERIALIZED VIEW CONCURRENTLY balances")
    run("DROP INDEX CONCURRENTLY IF EXISTS passing")
    run("VACUUM accounts; " if chance.random() < 0.5 else "ANALYZE movements")


def objects(run: Run, chance: random.Random) -> None:
    number = 9000 + chance.randrange(20)
    run(
        f"SELECT lo_from_bytea({number}, 'contents')"
        f" WHERE NOT EXISTS (SELECT FROM pg_largeobject_metadata WHERE oid = {number})"
    )
    run(f"SELECT lo_put({number}, {chance.randrange(5000)}, 'more')")
    if chance.random() < 0.5:
        run(f"SELECT lo_unlink({number})")


WRITERS = (money, numbers, tables, indexes, objects)


@contextmanager
def writing(server: Postgres, database: str) -> Iterator[Rounds]:
    """All of them, each in a process and a session of its own. Raises when one of them ended before its time."""
    spawned = multiprocessing.get_context("spawn")  # the driver of this process is killick's, with its own wait loop
    ended = spawned.Event()
    counts = [spawned.Value("q", 0) for _ in WRITERS]
    address = (server.port, server.password, database)
    children = [spawned.Process(target=_work, args=(*address, i, counts[i], ended)) for i in range(len(WRITERS))]
    for child in children:
        child.start()
    try:
        yield lambda: [count.value for count in counts]
    finally:
        ended.set()
        for child in children:
            child.join()
    ends = {writer.__name__: child.exitcode for writer, child in zip(WRITERS, children, strict=True)}
    assert not any(ends.values()), f"a writer met an error: {ends}"


def _work(port: int, password: str, database: str, index: int, count: Any, ended: Any) -> None:
    writer = WRITERS[index]
    connection = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", password=password, dbname=database)
    connection.autocommit = True
    chance = random.Random(index)

    def run(statement: str) -> None:
        with connection.cursor() as cursor, suppress(*_AGAIN):
            cursor.execute(statement)

    if writer is not indexes:  # as migrations do that hold up nobody; an index would be left half made
        run("SET lock_timeout = '10ms'")
    while not ended.wait(0.05):
        writer(run, chance)
        count.value += 1
    connection.close()
