"""The scripts of a restore, run by a real mongosh."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from killick.engines import Equipped, Scripted, Source, connect
from killick.engines.mongodb import scripts
from killick.engines.mongodb.engine import Mongo
from killick.errors import AccessDenied, RestoreError, Unreachable, Unsupported
from tests.lab import mongosh
from tests.lab.mongod import Mongod

PASSWORD = "pä$s:w@rd/#?%&'\"\\ {}[]"


@pytest.fixture
def app(mongod: Mongod, programs_path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mongo]:
    """A database `scripted` with one document, as a user whose password is hard to pass on."""
    monkeypatch.setenv("PROGRAMS", f"{programs_path}:{mongosh.programs()}")
    with mongod.client() as client:
        client.drop_database("scripted")
        client["scripted"]["people"].insert_one({"_id": 1, "email": "eva@example.org"})
        client["scripted"].command("createUser", "ann o", pwd=PASSWORD, roles=["readWrite"])
        yield engine(mongod)
        client["scripted"].command("dropUser", "ann o")
        client.drop_database("scripted")


def engine(mongod: Mongod, password: str = PASSWORD) -> Mongo:
    url = f"mongodb://ann%20o@127.0.0.1:{mongod.port}/scripted?directConnection=true"
    found = connect(Source("db", url, password))
    assert isinstance(found, Mongo)
    return found


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str, name: str = "10 mask ü'.js") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return written


def test_a_script_runs_inside_the_database(mongod: Mongod, app: Mongo, script: Callable[[str], Path]) -> None:
    assert isinstance(app, Scripted)
    assert app.SCRIPTS == (".js",)
    assert isinstance(app, Equipped)
    app.equipped()
    app.script(
        script("""
        print(db.getName());
        for (const one of db.people.find().toArray()) {
            db.people.updateOne({_id: one._id}, {$set: {email: null, in: db.getName()}});
        }
        """)
    )
    with mongod.client() as client:
        assert client["scripted"]["people"].find_one() == {"_id": 1, "email": None, "in": "scripted"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("const a = ;", r"10 mask ü'\.js: SyntaxError: Unexpected token \(1:10\)"),
        ("print(1)\nthrow new Error('no such thing')", "Error: no such thing"),
        ("db.people.insertOne({_id: 1, email: 'eva@example.org'})", r"MongoServerError: E11000 .* dup key$"),
        ("db.people.insertMany([{_id: 1, email: 'eva@example.org', x: 'y'.repeat(9000)}])", r"E11000 .* dup key$"),
        ("quit(3)", "mongosh ended with status 3"),
    ],
)
def test_an_error_is_told_with_its_place_and_without_a_document(
    app: Mongo, script: Callable[[str], Path], text: str, said: str
) -> None:
    with pytest.raises(RestoreError) as caught:
        app.script(script(text))
    assert caught.value.message.startswith("10 mask ü'.js: ")
    assert re.search(said, caught.value.message)
    assert "eva@example.org" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_mongosh_it_is_told_before_anything_is_run(
    app: Mongo, mongod: Mongod, script: Callable[[str], Path], programs_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)
    with pytest.raises(Unsupported, match="needs mongosh, which is not installed") as caught:
        app.script(script("db.people.drop()"))
    assert "image that has mongosh" in caught.value.hint
    with pytest.raises(Unsupported, match="a script in JavaScript needs mongosh"):
        app.equipped()
    with mongod.client() as client:
        assert client["scripted"]["people"].count_documents({}) == 1


def test_who_may_not_and_who_cannot_reach_it(mongod: Mongod, app: Mongo, script: Callable[[str], Path]) -> None:
    with pytest.raises(AccessDenied, match="refuses the login of mongosh") as caught:
        engine(mongod, "wrong").script(script(""))
    assert "wrong" not in caught.value.message
    gone = "mongodb://ann%20o@127.0.0.1:1/scripted?serverSelectionTimeoutMS=500"
    nowhere = connect(Source("db", gone, PASSWORD))
    assert isinstance(nowhere, Mongo)
    with pytest.raises(Unreachable, match="cannot be reached by mongosh"):
        nowhere.script(script(""))


def test_the_password_is_in_no_argv_and_nowhere_by_itself_but_one(app: Mongo, tmp_path: Path) -> None:
    command = scripts.command(app.address, tmp_path / "x.js", tmp_path)
    assert not any(PASSWORD[:3] in word or "p%C3%A4" in word for word in command.argv)
    assert PASSWORD not in repr(command)
    assert "p%C3%A4" not in repr(command)
    environment = app.environment()
    url = f"mongodb://ann%20o@{app.address.host}/scripted?directConnection=true&authSource=scripted"
    assert environment == {
        "DATABASE_URL": url,
        "MONGO_URL": url,
        "MONGO_DATABASE": "scripted",
        "MONGO_PASSWORD": PASSWORD,
    }
