"""A MongoDB database is replaced by one that was loaded beside it: collections of all kinds, and readers meanwhile."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pymongo.errors import OperationFailure, PyMongoError

from killick.contents import Contents
from killick.engines import Source, connect
from killick.engines.mongodb import copying, names
from killick.engines.mongodb.address import SYSTEM
from killick.engines.mongodb.engine import Mongo
from killick.engines.mongodb.server import Server
from killick.engines.mongodb.structure import Collection
from killick.errors import AccessDenied, NoSpace, Refused, RestoreError, SettingsError, SourceError
from killick.watch import unwatched
from tests.contract import mongo_data
from tests.lab.mongod import Mongod


@pytest.fixture(autouse=True)
def _programs(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)


def emptied(server: Mongod) -> Mongod:
    with server.client() as client:
        for name in client.list_database_names():
            if name not in SYSTEM - {"killick"}:
                client.drop_database(name)
    return server


@pytest.fixture
def standalone(mongod: Mongod) -> Iterator[Mongod]:
    yield emptied(mongod)
    emptied(mongod)


@pytest.fixture
def replica(mongo_set: Mongod) -> Iterator[Mongod]:
    yield emptied(mongo_set)
    emptied(mongo_set)


@pytest.fixture(params=["mongod", "mongo_set"])
def server(request: pytest.FixtureRequest) -> Iterator[Mongod]:
    found = emptied(request.getfixturevalue(request.param))
    yield found
    emptied(found)


def engine(server: Mongod, database: str = "app") -> Mongo:
    url = server.url(database).replace(f":{quote(server.password, safe='')}@", "@")
    found = connect(Source(name="db", url=url, password=server.password))
    assert isinstance(found, Mongo)
    return found


def as_user(server: Mongod, name: str) -> Mongo:
    way = "replicaSet=rs0" if server.replica_set else "directConnection=true"
    found = connect(Source("db", f"mongodb://{name}@127.0.0.1:{server.port}/app?authSource=app&{way}", name))
    assert isinstance(found, Mongo)
    return found


def same(one: Contents, other: Contents) -> None:
    """Everything that is compared, table by table, so that a difference can be read."""
    assert one.tables.keys() == other.tables.keys()
    for key, table in one.tables.items():
        assert (key, table) == (key, other.tables[key])
    for kind in one.groups.keys() | other.groups.keys():
        assert one.groups.get(kind, {}) == other.groups.get(kind, {}), kind


def databases(server: Mongod) -> set[str]:
    with server.client() as client:
        return set(client.list_database_names()) - SYSTEM


def marks(server: Mongod) -> dict[str, str]:
    with server.client() as client:
        return {mark["_id"]: mark.get("kind", "") for mark in client["killick"]["copies"].find()}


def other_things(db: mongo_data.Db) -> None:
    """Names of `everything`, as another kind or with other contents; and some that only this has."""
    db["old"].insert_one({"_id": "in use"})
    db["gone"].insert_one({"_id": 1})
    db["gone"].create_index("n", name="n")
    db.command("create", "view", viewOn="gone", pipeline=[{"$match": {"_id": 1}}])
    db.command("create", "gone_view", viewOn="view", pipeline=[])
    db.command("create", "types", viewOn="gone", pipeline=[])  # a plain collection in `everything`
    db["french"].insert_one({"_id": "a view in everything"})
    db["weather"].insert_one({"_id": "a time series in everything"})
    db.create_collection("german", timeseries={"timeField": "at"})
    db["german"].insert_one({"at": mongo_data.datetime(2026, 1, 1), "v": 1})
    db.create_collection("capped", capped=True, size=4096)
    db["capped"].insert_many([{"_id": -n} for n in range(5)])
    db["system.js"].insert_one({"_id": "f", "value": 1})


def test_all_that_mongodb_can_hold_comes_into_use_and_goes_and_comes_back(server: Mongod, tmp_path: Path) -> None:
    with server.client() as client:
        mongo_data.everything(client["app"])
        client["app"]["system.js"].insert_one({"_id": "g", "value": 2})
        contents = engine(server).dump(tmp_path, 2, unwatched)
        client.drop_database("app")
        other_things(client["app"])
    before = engine(server).contents()
    beside = engine(server).beside("first", contents.rows)
    beside.load(tmp_path, 2, contents, unwatched)
    same(contents, beside.contents(contents))
    same(before, engine(server).contents())
    swapped = engine(server).swap("first")
    assert any("weather" in note and "cannot be renamed" in note for note in swapped.notes)
    same(contents, engine(server).contents())
    assert databases(server) == {"app", "app__old"}
    same(before, engine(server, "app__old").contents(before))
    engine(server).undo()
    same(before, engine(server).contents())
    engine(server).undo()
    same(contents, engine(server).contents())
    with server.client() as client:
        for collection in client["app"].list_collections(filter={"type": {"$ne": "view"}}):
            if collection["name"] not in {"weather", "old"}:  # a time series; a document older than its validator
                assert client["app"].validate_collection(collection["name"], full=True)["valid"]
        assert client["app"]["weather"].count_documents({}) == 200
        with pytest.raises(OperationFailure, match="failed validation"):
            client["app"]["old"].insert_one({"age": "no number"})


def test_a_snapshot_of_all_that_mongodb_can_hold(standalone: Mongod) -> None:
    server = standalone
    with server.client() as client:
        mongo_data.everything(client["app"])
        first = engine(server).contents()
        assert engine(server).snapshot() == ("app is kept as it is in app__snapshot",)
        same(first, engine(server, "app__snapshot").contents(first))
        client.drop_database("app")
        other_things(client["app"])
        second = engine(server).contents()
        for _ in range(2):
            engine(server).reset()
            same(first, engine(server).contents())
            engine(server).undo()
            same(second, engine(server).contents())


def test_whoever_reads_sees_the_old_until_one_moment_and_the_new_from_then_on(server: Mongod) -> None:
    with server.client() as client:
        for database, which, many in (("app", "old", 300), ("app__new", "new", 200)):
            if database != "app":
                engine(server).beside("first", 0)
            for name in ("a", "b", "c"):
                client[database][name].insert_many([{"_id": n, "is": which} for n in range(many)])
                client[database][name].create_index("is", name="is")
            client[database].command("create", "view", viewOn="a", pipeline=[{"$project": {"is": 1}}])
        stop = threading.Event()
        seen: dict[str, list[tuple[str, int]]] = {"a": [], "b": [], "c": [], "view": []}

        def look() -> None:
            with server.client() as own:
                while not stop.is_set():
                    for name, states in seen.items():
                        found = [(one["is"], 1) for one in own["app"][name].find({}, batch_size=1000)]
                        state = (",".join(sorted({which for which, _ in found})), len(found))
                        if not states or states[-1] != state:
                            states.append(state)

        reader = threading.Thread(target=look)
        reader.start()
        try:
            engine(server).swap("first")
            for _ in range(2):
                engine(server).undo()
        finally:
            stop.set()
            reader.join()
    for name, states in seen.items():
        assert set(states) == {("old", 300), ("new", 200)}, name
        assert states == [("old", 300), ("new", 200)] * (len(states) // 2), name


def test_what_is_written_while_it_is_copied_is_kept_too(standalone: Mongod, monkeypatch: pytest.MonkeyPatch) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_one({"_id": "before"})
        engine(standalone).beside("first", 0)
        client["app__new"]["c"].insert_one({"_id": "new"})
        real = copying.copy
        writes = iter(("first", "second"))

        def copy(server: Any, collection: Collection, database: str, name: str) -> None:
            real(server, collection, database, name)
            for word in [word for word in [next(writes, "")] if word]:
                client["app"]["c"].insert_one({"_id": word})
                client["app"][word].insert_one({"_id": "a collection that came"})

        monkeypatch.setattr(copying, "copy", copy)
        swapped = engine(standalone).swap("first")
        assert [note for note in swapped.notes if "written to" in note] == []
        kept = client["app__old"]
        assert {one["_id"] for one in kept["c"].find()} == {"before", "first", "second"}
        assert set(kept.list_collection_names()) == {"c", "first", "second"}
        assert client["app"].list_collection_names() == ["c"]


def test_what_is_written_to_all_the_time_is_told(standalone: Mongod, monkeypatch: pytest.MonkeyPatch) -> None:
    with standalone.client() as client:
        client["app"]["busy"].insert_one({"_id": "before"})
        client["app"]["quiet"].insert_one({"_id": "before"})
        engine(standalone).beside("first", 0)
        client["app__new"]["busy"].insert_one({"_id": "new"})
        real = copying.copy

        def copy(server: Any, collection: Collection, database: str, name: str) -> None:
            real(server, collection, database, name)
            client["app"]["busy"].insert_one({})

        monkeypatch.setattr(copying, "copy", copy)
        notes = engine(standalone).swap("first").notes
        assert ["busy was written to" in note for note in notes if "written" in note] == [True]


def test_one_database_of_a_whole_dump_is_the_one_that_is_replaced(replica: Mongod, tmp_path: Path) -> None:
    with replica.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
        client["other"]["c"].insert_one({"_id": 2})
        contents = engine(replica, "").dump(tmp_path, 2, unwatched)
        assert contents.snapshot
        client["app"]["c"].insert_one({"_id": 3})
        notes = engine(replica).beside("first", 0).load(tmp_path, 2, contents, unwatched)
        (moment,) = notes
        assert moment.startswith("each collection is as of its own moment, from 20")
        assert f" to {contents.snapshot}:" in moment
        assert [one["_id"] for one in client["app__new"]["c"].find()] == [1]
        engine(replica).swap("first")
        assert [one["_id"] for one in client["app"]["c"].find()] == [1]
        assert [one["_id"] for one in client["other"]["c"].find()] == [2]
        third = engine(replica, "third").beside("first", 0)
        with pytest.raises(RestoreError, match="app, other, and none of them is third"):
            third.load(tmp_path, 2, contents, unwatched)


def test_a_dump_of_another_name_goes_beside_too(standalone: Mongod, tmp_path: Path) -> None:
    with standalone.client() as client:
        client["production"]["c"].insert_one({"_id": 1})
    contents = engine(standalone, "production").dump(tmp_path, 2, unwatched)
    beside = engine(standalone).beside("first", 0)
    notes = beside.load(tmp_path, 2, contents, unwatched)
    assert notes == ("production of the backup was restored as app",)
    same(contents, beside.contents(contents))


def test_a_whole_server_has_nothing_beside_it_and_can_be_cleared(standalone: Mongod, tmp_path: Path) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
        client["other"]["c"].insert_one({"_id": 1})
    whole = engine(standalone, "")
    contents = whole.dump(tmp_path, 2, unwatched)
    for role in (
        lambda: whole.beside("first", 0),
        lambda: whole.swap("first"),
        whole.undo,
        whole.snapshot,
        whole.reset,
    ):
        with pytest.raises(SettingsError, match="names no database") as caught:
            role()
        assert "--in-place" in caught.value.hint
    assert whole.sweep() == ()
    whole.clear("first")
    assert databases(standalone) == set()
    assert whole.facts().copy
    assert engine(standalone).facts().copy
    whole.load(tmp_path, 2, contents, unwatched)
    same(contents, whole.contents())
    whole.clear("first", copy=False)
    assert not whole.facts().copy


@pytest.mark.parametrize("copy", [True, False])
def test_an_empty_server_is_filled_as_of_one_moment(replica: Mongod, tmp_path: Path, copy: bool) -> None:
    with replica.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
        client["other"]["c"].insert_one({"_id": 1})
    contents = engine(replica, "").dump(tmp_path, 2, unwatched)
    emptied(replica)
    whole = engine(replica, "")
    place = whole.beside("first", 0)
    assert whole.facts().copy  # before it holds any of it
    assert place.load(tmp_path, 2, contents, unwatched) == ()
    same(contents, place.contents(contents))
    assert not whole.swap("first", copy=copy).kept
    assert whole.facts().copy is copy


def test_databases_that_are_not_killicks_stay(standalone: Mongod) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
        client["app__old"]["theirs"].insert_one({})
        client["app__snapshot"]["theirs"].insert_one({})
        with pytest.raises(Refused, match="app__snapshot is there, and is not killick's"):
            engine(standalone).snapshot()
        engine(standalone).beside("first", 0)
        client["app__new"]["c"].insert_one({"_id": 2})
        notes = engine(standalone).swap("first").notes
        assert "what was in app is kept in app__old2" in notes
        with pytest.raises(Refused, match="app__old is there"):  # app__old2 is wanted until the new is in use
            engine(standalone).beside("second", 0)
        assert client["app"]["c"].find_one() == {"_id": 2}
        assert client["app__old"]["theirs"].count_documents({}) == 1
        assert client["app__snapshot"]["theirs"].count_documents({}) == 1
        assert databases(standalone) == {"app", "app__old", "app__old2", "app__snapshot"}


def test_what_lies_beside_is_no_part_of_the_servers_data(replica: Mongod, tmp_path: Path) -> None:
    with replica.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
        engine(replica).beside("first", 0)
        client["app__new"]["c"].insert_one({"_id": 2})
        engine(replica).swap("first", copy=False)
        engine(replica).snapshot()
    assert databases(replica) == {"app", "app__old", "app__snapshot"}
    contents = engine(replica, "").dump(tmp_path / "all", 2, unwatched)
    assert set(contents.tables) == {"app.c"}
    assert {path.name for path in (tmp_path / "all/mongodb").iterdir() if path.is_dir()} == {"app"}
    assert engine(replica).dump(tmp_path / "app", 2, unwatched).snapshot  # it is alone: of one moment
    assert engine(replica, "app__old").dump(tmp_path / "old", 2, unwatched).rows == 1
    assert not engine(replica, "app__old").facts().copy


def test_a_mark_by_hand_counts_and_comes_back_with_its_data(standalone: Mongod) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
        client["killick"]["copies"].insert_one({"_id": "app"})
        engine(standalone).beside("first", 0)
        assert not engine(standalone, "app__new").facts().copy
        client["app__new"]["c"].insert_one({"_id": 2})
        engine(standalone).swap("first", copy=False)
        assert not engine(standalone).facts().copy
        engine(standalone).undo()
        assert engine(standalone).facts().copy
        assert client["killick"]["copies"].find_one({"_id": "app"}) == {"_id": "app"}


def test_too_little_room_is_seen_before_anything_is_made(standalone: Mongod) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
    with pytest.raises(NoSpace, match=r"free, and 1152921\.5 TB would go in beside app") as caught:
        engine(standalone).beside("first", 1 << 60)
    assert "--in-place" in caught.value.hint
    assert databases(standalone) == {"app"}
    assert marks(standalone) == {}


def test_a_name_that_is_too_long_to_be_kept_is_told_before_anything_is_loaded(standalone: Mongod) -> None:
    name = "c" * (255 - len("app."))
    with standalone.client() as client:
        client["app"][name].insert_one({"_id": 1})
    with pytest.raises(Refused, match="too long for a copy of it in app__old"):
        engine(standalone).beside("first", 0)
    assert marks(standalone) == {}


@pytest.mark.parametrize("rights", [["app"], ["app", "killick"], ["app", "app__new", "killick"]])
def test_a_user_without_the_rights_is_told_which(standalone: Mongod, rights: list[str]) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
        roles = [{"role": role, "db": database} for database in rights for role in ("readWrite", "dbAdmin")]
        client["app"].command("createUser", "some", pwd="some", roles=roles)
        try:
            with pytest.raises(AccessDenied) as caught:
                as_user(standalone, "some").beside("first", 0)
        finally:
            client["app"].command("dropUser", "some")
    assert "readWrite and dbAdmin on app, app__new, app__old, app__old2, app__snapshot and killick" in caught.value.hint
    assert databases(standalone) == {"app"}
    assert marks(standalone) == {}


def test_a_user_with_the_rights_of_the_cure_can_do_all_of_it(server: Mongod) -> None:
    with server.client() as client:
        client["app"]["c"].insert_one({"_id": "old"})
        every = ("app", "app__new", "app__old", "app__old2", "app__snapshot", "killick")
        roles = [{"role": role, "db": database} for database in every for role in ("readWrite", "dbAdmin")]
        client["app"].command("createUser", "some", pwd="some", roles=roles)
        try:
            user = as_user(server, "some")
            user.beside("first", 0)
            client["app__new"]["c"].insert_one({"_id": "new"})
            user.swap("first")
            user.undo()
            user.snapshot()
            user.reset()
            assert user.sweep() == ()
            assert client["app"]["c"].find_one() == {"_id": "old"}
            user.clear("first")
            assert user.facts().empty
        finally:
            client["app"].command("dropUser", "some")


def test_an_error_before_anything_changed_takes_all_of_it_back(
    standalone: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_many([{"_id": n} for n in range(3)])
        before = engine(standalone).contents()
        engine(standalone).beside("first", 0)
        client["app__new"]["c"].insert_one({"_id": "new"})
        monkeypatch.setattr(copying, "written", broken)
        with pytest.raises(SourceError, match="out of luck"):
            engine(standalone).swap("first")
    same(before, engine(standalone).contents())
    assert databases(standalone) == {"app"}
    assert marks(standalone) == {}


def test_an_error_half_way_is_told_and_the_next_run_finishes(
    standalone: Mongod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with standalone.client() as client:
        for database in ("app", "app__new"):
            if database != "app":
                engine(standalone).beside("first", 0)
            client[database]["c"].insert_one({"_id": database})
            client[database].create_collection("series", timeseries={"timeField": "at"})
        before = engine(standalone).contents()
        with monkeypatch.context() as patched:
            patched.setattr(copying, "drop", broken)
            with pytest.raises(RestoreError, match=r"the swap of app stopped half-way: .*out of luck") as caught:
                engine(standalone).swap("first")
        assert "finishes the swap first" in caught.value.hint
        with pytest.raises(SourceError, match="exchanges what is in the database app"):
            engine(standalone).dump(tmp_path, 1, unwatched)
        assert engine(standalone).facts().copy  # from before the first rename on
        (note, *_) = engine(standalone).undo()
        assert "it has been finished" in note
        same(before, engine(standalone).contents())
        engine(standalone).undo()
        assert client["app"]["c"].find_one() == {"_id": "app__new"}


def broken(*_arguments: object, **_named: object) -> None:
    raise PyMongoError("out of luck")


@pytest.mark.parametrize("name", sorted(SYSTEM))
def test_a_database_of_the_servers_own_is_never_replaced(standalone: Mongod, name: str) -> None:
    with pytest.raises(Refused, match="of the server's own"):
        engine(standalone, name).beside("first", 0)
    with pytest.raises(Refused, match="of the server's own"):
        engine(standalone, name).clear("first")
    assert marks(standalone) == {}


def test_documents_that_are_too_large_together_for_the_servers_cache_go_over(
    standalone: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are depends on what else is in the server's cache then, so its answer is put into its mouth."""

    real = copying.rename

    def rename(server: Server, old: str, new: str) -> None:
        if old.partition(".")[0] != new.partition(".")[0]:
            raise OperationFailure("transaction is too large and will not fit in the storage engine cache", 388)
        real(server, old, new)

    monkeypatch.setattr(copying, "rename", rename)
    with standalone.client() as client:
        engine(standalone).beside("first", 0)
        new = client["app__new"]
        for n in range(4):
            new["files"].insert_one({"_id": n, "data": bytes(15 << 20)})
        new["files"].create_index("n", name="n")
        before = engine(standalone, "app__new").contents()
        engine(standalone).swap("first")
    same(renamed(before), engine(standalone).contents())
    assert databases(standalone) == {"app"}


def renamed(contents: Contents) -> Contents:
    """What app__new held, as app's."""
    return Contents.from_json(json.loads(json.dumps(contents.to_json()).replace("app__new", "app")))


def test_names_beside_are_never_too_long_and_never_one_for_two() -> None:
    assert names.beside("app", "new") == "app__new"
    long = ["x" * 63, "x" * 62 + "y", "é" * 31, "é" * 30 + "ü"]
    made = {names.beside(name, what) for name in long for what in ("new", "old", "old2", "snapshot")}
    assert len(made) == 16
    assert all(len(name.encode()) <= 63 for name in made)


def test_a_database_with_a_long_name_is_replaced(standalone: Mongod) -> None:
    name = "n" * 60
    with standalone.client() as client:
        client[name]["c"].insert_one({"_id": "old"})
        place = engine(standalone, name).beside("first", 0)
        client[place.address.database]["c"].insert_one({"_id": "new"})
        engine(standalone, name).swap("first")
        assert client[name]["c"].find_one() == {"_id": "new"}
        engine(standalone, name).undo()
        assert client[name]["c"].find_one() == {"_id": "old"}
