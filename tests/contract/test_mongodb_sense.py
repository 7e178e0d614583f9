"""What makes sense in MongoDB: questions asked by a real mongosh, damage that `validate` finds."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from killick.engines import Answer, Askable, Damage, Examinable, Examined, Source, connect
from killick.engines.mongodb import asking, validate
from killick.engines.mongodb.address import Address
from killick.engines.mongodb.engine import Mongo
from killick.errors import SourceError
from killick.watch import unwatched
from tests.lab import mongosh
from tests.lab.mongod import Mongod

MOMENT = "2026-11-23T03:00:00Z"
CANARY = "a row that nobody may read"


@pytest.fixture
def name(mongod: Mongod, programs_path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database of two documents."""
    monkeypatch.setenv("PROGRAMS", f"{programs_path}:{mongosh.programs()}")
    found = f"sense{time.monotonic_ns()}"
    with mongod.client() as client:
        client[found].people.insert_many([{"_id": 1, "name": CANARY}, {"_id": 2, "name": "Ωmega"}])
        yield found
        client.drop_database(found)


def engine(server: Mongod, database: str) -> Mongo:
    url = f"mongodb://{server.user}@127.0.0.1:{server.port}/{database}?authSource=admin&directConnection=true"
    found = connect(Source("db", url, server.password))
    assert isinstance(found, Mongo)
    assert isinstance(found, Askable)
    assert isinstance(found, Examinable)
    return found


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("// max: 3\nconst n = db.people.countDocuments();\nn", 2),
        ("print('Ωmega'); db.people.findOne({_id: 2}).name === 'Ωmega'", True),
        ("killick.snapshot.getTime() / 1000", 1795402800),
        ("Decimal128('1.5')", 1.5),
        ("1 / 0", float("inf")),
    ],
)
def test_a_value(mongod: Mongod, name: str, question: str, answer: Answer) -> None:
    assert engine(mongod, name).ask(question, MOMENT, 60) == answer


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("print('x'); undefined", "it gives neither a boolean nor a number"),
        ("const x = 1", "it gives no value"),
        ("db.people.findOne({_id: 5})", "it gives null"),
        ("db.people.findOne()", "it gives neither a boolean nor a number"),
        ("nonsense here", "mongosh cannot answer it: Missing semicolon. (1:8)"),
        ("db.people.nothing.more()", "mongosh cannot answer it: db.people.nothing.more is not a function"),
        (f"throw new Error('{CANARY}')", "mongosh cannot answer it: it throws an error"),
        (
            "db.people.aggregate([{$project: {n: {$toInt: '$name'}}}]).toArray()",
            "mongosh cannot answer it: PlanExecutor error during aggregation :: caused by :: Failed to parse number …",
        ),
    ],
)
def test_what_has_no_value(mongod: Mongod, name: str, question: str, sentence: str) -> None:
    with pytest.raises(SourceError) as raised:
        engine(mongod, name).ask(question, MOMENT, 60)
    assert raised.value.message.startswith(sentence)
    assert raised.value.hint
    assert CANARY not in str(raised.value)


def test_one_that_is_too_slow(mongod: Mongod, name: str) -> None:
    with pytest.raises(TimeoutError):
        engine(mongod, name).ask("sleep(300000)", MOMENT, 5)


def test_of_a_whole_server(mongod: Mongod, name: str) -> None:
    """Its URL names no database, and `db` is mongosh's own."""
    question = f"db.getName() === 'test' && db.getSiblingDB('{name}').people.countDocuments() === 2"
    assert engine(mongod, "").ask(question, MOMENT, 60) is True


def test_the_password_is_in_no_argv(mongod: Mongod, name: str, tmp_path: Path) -> None:
    address = Address.of(f"mongodb://ann@127.0.0.1:{mongod.port}/{name}", "s3cret!")
    assert not [word for word in asking.command(address, "1", MOMENT, tmp_path).argv if "s3cret" in word]


class Testing(Mongod):
    """One that can be told to make mistakes: https://github.com/mongodb/mongo/wiki/The-failpoint-system"""

    __test__ = False

    def argv(self) -> Sequence[str | Path]:
        return [*super().argv(), "--setParameter", "enableTestCommands=1"]


@pytest.fixture(scope="module")
def testing() -> Iterator[Mongod]:
    with Testing() as server:
        yield server


def test_what_is_sound(testing: Mongod) -> None:
    with testing.client() as client:
        shop = client.sound
        shop.orders.insert_many([{"_id": n, "said": CANARY} for n in range(100)])
        shop.orders.create_index("said")
        shop.create_collection("times", timeseries={"timeField": "at"})
        shop.times.insert_one({"at": datetime.now(UTC)})
        shop.command("create", "seen", viewOn="orders", pipeline=[])
        shop.create_collection("last", capped=True, size=4096)
        assert engine(testing, "sound").examine(unwatched) == Examined("3 collections")


def test_an_index_that_lacks_entries(testing: Mongod) -> None:
    with testing.client() as client:
        orders = client.damaged.orders
        orders.create_index("said")
        client.admin.command("configureFailPoint", "skipIndexNewRecords", mode="alwaysOn")
        orders.insert_many([{"_id": n, "said": CANARY} for n in range(3)])
        client.admin.command("configureFailPoint", "skipIndexNewRecords", mode="off")
        found = engine(testing, "damaged").examine(unwatched)
    assert found.damages == (
        Damage("damaged.orders", "6 index entries missing, index _id_ not valid, index said_1 not valid"),
    )
    assert CANARY not in str(found)


def test_documents_that_their_validator_refuses(testing: Mongod) -> None:
    """No damage: MongoDB lets a validator be set over documents that are there."""
    with testing.client() as client:
        client.odd.create_collection("people", validator={"name": {"$type": "int"}})
        client.odd.people.insert_one({"name": CANARY}, bypass_document_validation=True)
        found = engine(testing, "odd").examine(unwatched)
    assert found == Examined("1 collection", notes=("odd.people: 1 document does not comply with its validator",))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"valid": True, "errors": []}, ""),
        ({"valid": False, "errors": [CANARY, CANARY]}, "2 errors"),
        ({"valid": False, "corruptRecords": [7], "errors": [CANARY]}, "1 corrupt records"),
        ({"valid": False, "extraIndexEntries": [{"indexKey": CANARY}] * 2}, "2 index entries too many"),
        ({"valid": False, "indexDetails": {"a_1": {"valid": False}, "b_1": {"valid": True}}}, "index a_1 not valid"),
    ],
)
def test_what_the_server_says_of_damage(answer: dict[str, Any], said: str) -> None:
    """Its documented answer: https://www.mongodb.com/docs/manual/reference/command/validate/#output"""
    assert validate.damage(answer) == said
