"""What an application does to a MongoDB database while it is dumped: everything that the oplog can hold, but renames.

mongodump refuses to end well where a collection was renamed meanwhile.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import bson
from gridfs import GridFS
from pymongo.errors import OperationFailure

from tests.contract.mongo_data import Db
from tests.lab.mongod import Mongod

_BUSY = 3000
_DDL = 40  # collections that come and go


def filled(db: Db) -> None:
    """What the writers below write to; a few megabytes, so that a dump takes a while."""
    db.busy.insert_many([{"_id": n, "n": 0, "pad": "x" * 1500} for n in range(_BUSY)])
    db.create_collection("last", capped=True, size=1 << 16, max=300)
    db.create_collection("weather", timeseries={"timeField": "at", "metaField": "where"})
    for name in ("one", "two", "last", "kept"):
        db[name].insert_one({"n": 0})
    GridFS(db).put(bytes(3000), chunkSize=1000)


@contextmanager
def writing(server: Mongod, database: str, seed: int) -> Iterator[None]:
    """Every writer at once, each in a thread. Raises what stopped one of them."""
    stop = threading.Event()
    errors: list[Exception] = []

    def run(turn: Callable[[Db, random.Random, int], None], number: int) -> None:
        chance = random.Random(seed * 10 + number)
        try:
            with server.client() as client:
                n = seed * 1_000_000
                while not stop.is_set():
                    n += 1
                    turn(client[database], chance, n)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(turn, number)) for number, turn in enumerate(TURNS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []


def documents(db: Db, chance: random.Random, n: int) -> None:
    some = chance.randrange(_BUSY)
    db.busy.insert_one({"n": n, "at": datetime.now(UTC)})
    db.busy.update_many({"_id": {"$in": [some, some + 1]}}, {"$inc": {"n": 1}, "$push": {"list": n}})
    db.busy.delete_one({"_id": some + 7})
    db.busy.replace_one({"_id": some + 7}, {"n": bson.Int64(n)}, upsert=True)


def transactions(db: Db, _chance: random.Random, n: int) -> None:
    with db.client.start_session() as session, session.start_transaction():
        db.one.insert_one({"n": n}, session=session)
        db.two.insert_many([{"n": n}, {"n": n}], session=session)
        db.two.delete_one({"n": n - 3}, session=session)


def kinds(db: Db, chance: random.Random, n: int) -> None:
    db.last.insert_one({"n": n})
    db.weather.insert_one({"at": datetime.now(UTC), "where": chance.randrange(4), "t": n / 7})
    files = GridFS(db)
    if n % 10 == 0:
        files.delete(files.put(bytes(3000), chunkSize=1000))
        files.put(bytes(3000), chunkSize=1000)


def structure(db: Db, chance: random.Random, n: int) -> None:
    name, other = f"c{n % _DDL}", f"c{chance.randrange(_DDL)}"
    db.drop_collection(name)
    db[name].insert_one({"_id": n})
    db[name].create_index("n", name="n", unique=True)
    try:
        db.command("collMod", other, validator={"n": {"$ne": n}})
        db[other].create_index(f"f{n}")
        db[other].drop_index("n_1") if chance.random() < 0.1 else None
    except OperationFailure:
        pass  # it is not there now, or has no such index
    db.drop_collection("view")
    db.create_collection("view", viewOn=name, pipeline=[{"$match": {"n": n}}])
    db.kept.create_index(f"f{n}")
    db.kept.drop_index(f"f{n}_1")


TURNS = (documents, transactions, kinds, structure)
