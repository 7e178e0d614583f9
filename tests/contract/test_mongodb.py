"""The MongoDB engine on real servers: what is dumped comes back, and what does not is seen."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import bson
import pymongo
import pytest

from killick import programs
from killick.contents import Contents
from killick.engines import Source, connect, inspect
from killick.engines.mongodb import documents, mending, oplog, tools
from killick.engines.mongodb.address import SYSTEM, Address, password_file
from killick.engines.mongodb.engine import Mongo
from killick.errors import (
    AccessDenied,
    Corrupt,
    EmptyDump,
    NotFound,
    Refused,
    RestoreError,
    SettingsError,
    SourceError,
    Unreachable,
)
from killick.watch import unwatched
from tests.contract import mongo_data
from tests.kit import wrapper
from tests.lab.mongod import Mongod

Client = pymongo.MongoClient[dict[str, Any]]


@pytest.fixture(autouse=True)
def _programs(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)


@pytest.fixture(scope="module")
def throwaway() -> Iterator[Mongod]:
    with Mongod() as server:
        yield server


def engine(server: Mongod, database: str = "") -> Mongo:
    url = server.url(database).replace(f":{quote(server.password, safe='')}@", "@")
    found = connect(Source(name="db", url=url, password=server.password))
    assert isinstance(found, Mongo)
    return found


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


@pytest.fixture
def target(throwaway: Mongod) -> Mongod:
    return emptied(throwaway)


def same(one: Contents, other: Contents) -> None:
    """Everything that is compared, table by table, so that a difference can be read."""
    assert one.tables.keys() == other.tables.keys()
    for key, table in one.tables.items():
        assert (key, table) == (key, other.tables[key])
    for kind in one.groups.keys() | other.groups.keys():
        assert one.groups.get(kind, {}) == other.groups.get(kind, {}), kind


def test_everything_comes_back_from_a_standalone_server(standalone: Mongod, target: Mongod, tmp_path: Path) -> None:
    with standalone.client() as client:
        mongo_data.everything(client["app"])
        client["second"]["c"].insert_one({"_id": 1})
    contents = engine(standalone).dump(tmp_path, 2, unwatched)
    same(contents, engine(standalone).contents())
    assert contents.snapshot == ""
    assert "not of one moment" in contents.notes[0]
    assert any("line break" in note for note in contents.notes)
    assert not [note for note in contents.notes if "the server counted" in note]
    assert not (tmp_path / "mongodb" / "admin").exists()
    assert engine(target).load(tmp_path, 2, contents, unwatched) == ()
    same(contents, engine(target).contents(contents))
    assert contents.tables["app.capped"].sequence
    assert set(mongo_data.ODD_NAMES) <= {key.removeprefix("app.") for key in contents.tables}


def test_a_replica_set_under_writes_is_dumped_as_of_one_moment(replica: Mongod, target: Mongod, tmp_path: Path) -> None:
    with replica.client() as client:
        mongo_data.everything(client["app"])
        mongo_data.large(client["other"], megabytes=30)
        client["app"]["busy"].insert_many([{"_id": i, "n": 0, "pad": "x" * 500} for i in range(4000)])
        stop = threading.Event()
        errors: list[Exception] = []

        def write() -> None:
            try:
                with replica.client() as own, own.start_session() as session:
                    n = 0
                    while not stop.is_set():
                        n += 1
                        own["app"]["busy"].insert_one({"n": n})
                        own["app"]["busy"].update_many({"_id": {"$in": [n % 4000, n % 37]}}, {"$inc": {"n": 1}})
                        own["app"]["busy"].delete_one({"_id": 4000 - n})
                        own["app"]["weather"].insert_one({"at": bson.DatetimeMS(n).as_datetime(), "where": {"n": n}})
                        with session.start_transaction():
                            own["app"]["one"].insert_one({"n": n}, session=session)
                            own["app"]["two"].insert_one({"n": n}, session=session)
            except Exception as error:
                errors.append(error)

        client["app"]["one"].insert_one({"n": 0})
        client["app"]["two"].insert_one({"n": 0})
        writer = threading.Thread(target=write)
        writer.start()
        try:
            contents = engine(replica).dump(tmp_path, 2, unwatched)
        finally:
            stop.set()
            writer.join()
        assert errors == []
    assert contents.loose == {}
    assert contents.snapshot.endswith("Z")
    touched = oplog.read(tmp_path / "mongodb" / oplog.FILE)
    assert {"app.busy", "app.weather", "app.one", "app.two"} <= touched.documents
    assert not touched.reshaped
    assert contents.tables["app.one"].rows == contents.tables["app.two"].rows
    assert engine(target).load(tmp_path, 2, contents, unwatched) == ()
    same(contents, engine(target).contents(contents))


def test_a_moment_that_the_server_forgot_is_said_and_proven_before_the_replay(
    replica: Mongod, target: Mongod, tmp_path: Path
) -> None:
    with replica.client() as client:
        client["app"]["busy"].insert_many([{"_id": i, "pad": "x" * 500} for i in range(3000)])
        client["app"]["still"].insert_one({"_id": 1})
        client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=0)
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                client["app"]["busy"].insert_one({"n": 1})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            contents = engine(replica).dump(tmp_path, 2, unwatched)
        finally:
            stop.set()
            writer.join()
            client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=300)
    assert list(contents.loose.get("documents", {})) == ["app.busy"]
    assert list(contents.tables) == ["app.still"]
    assert engine(target).load(tmp_path, 2, contents, unwatched) == ()
    restored = engine(target).contents(contents)
    same(contents, restored)
    log = [bson.decode(entry) for entry in documents.read(tmp_path / "mongodb" / oplog.FILE)]
    written = [entry["o"]["_id"] for entry in log if entry["ns"] == "app.busy"]
    with target.client() as client:
        assert client["app"]["busy"].count_documents({"_id": {"$in": written}}) == len(written) > 0
    emptied(target)
    cut = tmp_path / "mongodb" / "app" / "busy.bson"
    cut.write_bytes(b"".join(list(documents.read(cut))[1:]))
    with pytest.raises(RestoreError, match=r"app\.busy does not hold what was dumped"):
        engine(target).load(tmp_path, 2, contents, unwatched)


def test_collections_that_come_and_go_while_it_is_dumped(replica: Mongod, target: Mongod, tmp_path: Path) -> None:
    with replica.client() as client:
        mongo_data.large(client["app"], megabytes=40)
        client["app"]["goes"].insert_one({"_id": 1})
        client["app"]["stays"].insert_one({"_id": 1})
        stop = threading.Event()

        def change() -> None:
            n = 0
            while not stop.is_set() and n < 40:
                n += 1
                client["app"][f"new{n}"].insert_one({"_id": n})
                client["app"]["stays"].create_index(f"f{n}")
            client["app"]["goes"].drop()

        writer = threading.Thread(target=change)
        writer.start()
        try:
            contents = engine(replica).dump(tmp_path, 1, unwatched)
        finally:
            stop.set()
            writer.join()
    assert "app.stays" in contents.tables
    engine(target).load(tmp_path, 2, contents, unwatched)
    restored = engine(target).contents(contents)
    touched = oplog.read(tmp_path / "mongodb" / oplog.FILE)
    assert touched.reshaped
    for key in contents.tables.keys() & restored.tables.keys():
        assert (key, contents.tables[key]) == (key, restored.tables[key])
    assert {"app.large", "app.stays"} <= contents.tables.keys() & restored.tables.keys()


@pytest.mark.parametrize("what", ["a collection", "an index"])
def test_what_came_while_mongodump_began_fails_the_dump(
    replica: Mongod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs_path: str, what: str
) -> None:
    """It is listed no more, and the oplog is not followed yet: as mongodump would have left it."""
    with replica.client() as client:
        client["app"]["c"].create_index("n")
        client["app"]["other"].insert_one({"_id": 1})
    harm = {
        "a collection": "rm $3/app/other.*",
        "an index": """sed -i 's/,{"v":[^,]*,"key":{"n":[^,]*,"name":"n_1"}//' $3/app/c.metadata.json""",
    }[what]
    script = f'"$REAL" "$@" || exit; while [ $# -gt 3 ]; do shift; done; {harm}'
    (real, *_) = programs.installed("mongodump")
    monkeypatch.setenv("PROGRAMS", f"{wrapper(tmp_path / 'bin', real.path, script)}:{programs_path}")
    missed = {"a collection": r"app\.other", "an index": r"app\.c"}[what]
    with pytest.raises(EmptyDump, match=rf"mongodump (missed what became of|left out) {missed}") as caught:
        engine(replica).dump(tmp_path / "dump", 1, unwatched)
    assert caught.value.hint == "run the backup again"


@pytest.mark.parametrize("often", [1, 3])
def test_a_collection_is_renamed_while_it_is_dumped(
    replica: Mongod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, often: int
) -> None:
    """As $out does at its end. mongodump gives up, and is run again: the second time in peace, or never."""
    disturbed: list[Future[None]] = []
    dumped = tools.dump

    def renamed(*given: Any, **more: Any) -> bool:
        with ThreadPoolExecutor(1) as beside:
            over = threading.Event()
            if len(disturbed) < often:
                disturbed.append(beside.submit(rename, over))
            try:
                return dumped(*given, **more)
            finally:
                over.set()

    def rename(over: threading.Event) -> None:
        while not over.wait(0.01):
            client["app"]["kept"].aggregate([{"$limit": 100}, {"$out": "report"}])

    monkeypatch.setattr(tools, "dump", renamed)
    with replica.client() as client:
        client["app"]["kept"].insert_many([{"n": n} for n in range(1000)])
        if often == 1:
            assert engine(replica).dump(tmp_path, 2, unwatched).tables["app.report"].rows == 100
        else:
            with pytest.raises(SourceError, match=r"renamed while it was dumped.*\$out"):
                engine(replica).dump(tmp_path, 2, unwatched)
    assert [each.result() for each in disturbed] == [None] * often


def test_a_view_that_comes_where_none_was(replica: Mongod, target: Mongod, tmp_path: Path) -> None:
    """The oplog writes into system.views, which the copy has not yet. It takes the rights of a throwaway."""
    with replica.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
    contents = engine(replica).dump(tmp_path, 1, unwatched)
    log = tmp_path / "mongodb" / oplog.FILE
    last = bson.decode(list(documents.read(log))[-1])
    view = {"_id": "app.view", "viewOn": "c", "pipeline": []}
    made = {**last, "op": "i", "ns": "app.system.views", "o": view, "o2": {"_id": view["_id"]}}
    log.write_bytes(log.read_bytes() + bson.encode(made))
    mending.known(log, contents.tables, ())
    with pytest.raises(AccessDenied) as refused:
        engine(target).load(tmp_path, 2, contents, unwatched)
    assert "viewOn" not in refused.value.message
    emptied(target)
    with target.client() as client:
        client.admin.command("grantRolesToUser", target.user, roles=["__system"])
        try:
            engine(target).load(tmp_path, 2, contents, unwatched)
        finally:
            client.admin.command("revokeRolesFromUser", target.user, roles=["__system"])
    assert set(engine(target).contents().groups["views"]) == {"app.view"}


def test_documents_of_a_collection_that_was_dropped_meanwhile_are_left_out(standalone: Mongod, tmp_path: Path) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
    (tmp_path / "mongodb/app").mkdir(parents=True)
    (tmp_path / "mongodb/app/dropped.bson").write_bytes(bson.encode({"_id": 1}))  # as mongodump leaves it: no metadata
    contents = engine(standalone, "app").dump(tmp_path, 1, unwatched)
    assert set(contents.tables) == {"app.c"}
    assert "app/dropped.bson: dropped while it was dumped, and left out" in contents.notes
    assert not (tmp_path / "mongodb/app/dropped.bson").exists()


def test_one_database_goes_beside_another_name(standalone: Mongod, target: Mongod, tmp_path: Path) -> None:
    with standalone.client() as client:
        mongo_data.everything(client["app"])
        client["other"]["c"].insert_one({"_id": 1})
    contents = engine(standalone, "app").dump(tmp_path, 2, unwatched)
    assert {key.partition(".")[0] for key in contents.tables} == {"app"}
    with target.client() as client:
        client["app"]["in_the_way"].insert_one({})
    notes = engine(target, "app__new").load(tmp_path, 2, contents, unwatched)
    assert notes == ("app of the backup was restored as app__new",)
    same(contents, engine(target, "app__new").contents(contents))


@pytest.mark.parametrize("source", ["standalone", "replica"])
def test_the_schema_alone(source: str, request: pytest.FixtureRequest, target: Mongod, tmp_path: Path) -> None:
    server = request.getfixturevalue(source)
    with server.client() as client:
        mongo_data.everything(client["app"])
    contents = engine(server, "app").dump(tmp_path, 2, unwatched)
    into = engine(target, "app")
    into.rows = False
    assert into.load(tmp_path, 2, contents, unwatched) == ()
    found = into.contents(contents)
    assert found.groups == contents.groups
    assert {table.rows for table in found.tables.values()} == {0}


def test_one_database_of_a_whole_dump(replica: Mongod, target: Mongod, tmp_path: Path) -> None:
    with replica.client() as client:
        client["app"]["a"].insert_one({"_id": 1})
        client["app"]["b"].insert_one({"_id": 1})
        client["other"]["c"].insert_one({"_id": 1})
    contents = engine(replica).dump(tmp_path, 2, unwatched)
    with pytest.raises(RestoreError, match="app, other"):
        engine(target, "third").load(tmp_path, 2, contents, unwatched)
    notes = engine(target, "app").load(tmp_path, 2, contents, unwatched)
    assert ["oplog is replayed only" in note for note in notes] == [True]
    assert set(engine(target).contents().tables) == {"app.a", "app.b"}
    with pytest.raises(Refused, match="not empty"):
        engine(target, "app").load(tmp_path, 2, contents, unwatched)
    emptied(target)
    engine(target).load(tmp_path, 2, contents, unwatched, only=["app.b", "other.c"])
    assert set(engine(target).contents().tables) == {"app.b", "other.c"}
    with pytest.raises(NotFound, match=r"app\.nothing"):
        engine(emptied(target)).load(tmp_path, 2, contents, unwatched, only=["app.nothing"])


def test_a_named_database_is_of_one_moment_when_it_is_alone(replica: Mongod, target: Mongod, tmp_path: Path) -> None:
    with replica.client() as client:
        client["app"]["a"].insert_one({"_id": 1})
        contents = engine(replica, "app").dump(tmp_path / "alone", 2, unwatched)
        assert contents.snapshot
        assert engine(target, "app").load(tmp_path / "alone", 2, contents, unwatched) == ()
        same(contents, engine(target, "app").contents(contents))
        client["other"]["a"].insert_one({"_id": 1})
    contents = engine(replica, "app").dump(tmp_path / "beside", 2, unwatched)
    assert contents.snapshot == ""
    assert "other databases lie beside" in contents.notes[0]
    assert set(contents.tables) == {"app.a"}


def _swapped_fields(db: mongo_data.Db) -> None:
    db.pair.replace_one({"_id": 1}, {"b": 2, "a": 1})


def _wider(db: mongo_data.Db) -> None:
    db.pair.update_one({"_id": 2}, {"$set": {"a": bson.Int64(1)}})


def _without_option(db: mongo_data.Db) -> None:
    db.indexed.drop_index("once")
    db.indexed.create_index("u", unique=True, name="once")


DAMAGES: dict[str, Callable[[mongo_data.Db], object]] = {
    "field order": _swapped_fields,
    "Int32 to Int64": _wider,
    "minus zero": lambda db: db.types.update_one({"_id": 1}, {"$set": {"v": 0.0}}),
    "precision of a decimal": lambda db: db.pair.update_one({"_id": 3}, {"$set": {"a": bson.Decimal128("1.0")}}),
    "document missing": lambda db: db.pair.delete_one({"_id": 1}),
    "document added": lambda db: db.pair.insert_one({"_id": 99}),
    "index missing": lambda db: db.indexed.drop_index("pair"),
    "index option": _without_option,
    "validator": lambda db: db.command("collMod", "old", validator={}),
    "validation level": lambda db: db.command("collMod", "old", validationLevel="strict"),
    "view missing": lambda db: db.drop_collection("view"),
    "view's pipeline": lambda db: db.command("collMod", "view", viewOn="old", pipeline=[{"$match": {"age": 8}}]),
    "collection missing": lambda db: db.drop_collection("empty"),
    "time to live": lambda db: db.command("collMod", "indexed", index={"name": "born_1", "expireAfterSeconds": 60}),
}


def test_every_damage_is_seen(standalone: Mongod) -> None:
    with standalone.client() as client:
        for name, damage in DAMAGES.items():
            client.drop_database("app")
            db = client["app"]
            mongo_data.types(db)
            db.create_collection("empty")
            db.old.insert_one({"age": 7})
            db.command("collMod", "old", validator={"age": {"$gt": 0}}, validationLevel="moderate")
            db.command("create", "view", viewOn="old", pipeline=[{"$match": {"age": 7}}])
            db.pair.insert_many([{"_id": 1, "a": 1, "b": 2}, {"_id": 2, "a": 1}, {"_id": 3, "a": bson.Decimal128("1")}])
            mongo_data.indexes(db)
            before = engine(standalone, "app").contents()
            assert before == engine(standalone, "app").contents()
            damage(db)
            assert engine(standalone, "app").contents() != before, name


def test_a_file_cut_between_two_documents_is_seen_after_its_silent_restore(
    standalone: Mongod, target: Mongod, tmp_path: Path
) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_many([{"_id": i} for i in range(10)])
    contents = engine(standalone, "app").dump(tmp_path, 2, unwatched)
    data = tmp_path / "mongodb" / "app" / "c.bson"
    data.write_bytes(b"".join(list(documents.read(data))[:9]))
    engine(target, "app").load(tmp_path, 2, contents, unwatched)
    restored = engine(target, "app").contents(contents)
    assert (contents.tables["app.c"].rows, restored.tables["app.c"].rows) == (10, 9)
    inspect("mongodb", tmp_path)
    data.write_bytes(data.read_bytes()[:-3])
    with pytest.raises(Corrupt, match=r"app/c\.bson is not whole documents: it breaks at byte 112"):
        inspect("mongodb", tmp_path)
    data.unlink()
    with pytest.raises(Corrupt, match=r"no documents of app\.c"):
        inspect("mongodb", tmp_path)


def test_what_mongorestore_refuses_is_an_error(standalone: Mongod, target: Mongod, tmp_path: Path) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_one({"_id": "Eva's secret"})
    contents = engine(standalone, "app").dump(tmp_path, 2, unwatched)
    data = tmp_path / "mongodb" / "app" / "c.bson"
    data.write_bytes(data.read_bytes() * 2)
    with pytest.raises(RestoreError, match="duplicate key") as caught:
        engine(target, "app").load(tmp_path, 2, contents, unwatched)
    assert "secret" not in str(caught.value)


def test_an_empty_database_is_no_backup(standalone: Mongod, tmp_path: Path) -> None:
    with pytest.raises(EmptyDump, match=r"the database nothing at .* holds no collection"):
        engine(standalone, "nothing").dump(tmp_path, 2, unwatched)
    with pytest.raises(EmptyDump, match="holds no collection"):
        engine(standalone).dump(tmp_path, 2, unwatched)
    assert engine(standalone).facts().empty


def test_facts(standalone: Mongod, replica: Mongod) -> None:
    with standalone.client() as client:
        client["app"]["large"].insert_many([{"v": bytes(100_000)} for _ in range(5)])
        client["app"]["small"].insert_one({"_id": 1})
        client["killick"]["copies"].insert_one({"_id": "app"})
    facts = engine(standalone, "app").facts()
    assert (facts.engine, facts.database, facts.server_version, facts.copy) == ("mongodb", "app", "6.0.5", True)
    assert 500_000 < facts.largest < facts.bytes < 510_000
    assert not facts.empty
    assert not engine(standalone).facts().copy
    assert "killick.copies" not in engine(standalone).contents().tables
    other = engine(replica).facts()
    assert other.empty
    assert other.details["replica_set"] == "rs0"
    assert facts.identity == engine(standalone).facts().identity
    assert len({facts.identity, other.identity, ""}) == 3


@pytest.mark.parametrize("password", ["pä$s:w@rd/#?%&'\"\\ {}[]", "-p", "null", "1234", "a: b #c"])
def test_odd_passwords_work_and_never_show(standalone: Mongod, tmp_path: Path, password: str) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
        client["app"].command("createUser", "ann o", pwd=password, roles=["readWrite"])
        try:
            url = f"mongodb://ann%20o@127.0.0.1:{standalone.port}/app"
            one = connect(Source(name="db", url=url, password=password))
            assert isinstance(one, Mongo)
            assert one.dump(tmp_path, 1, unwatched).rows == 1
            with password_file(one.address) as config:
                assert config.stat().st_mode & 0o777 == 0o600
                assert config.parent.stat().st_mode & 0o777 == 0o700
                command = tools.dump_command(one.address, config, tmp_path, 1, oplog=False)
                assert not any(password in word for word in command.argv if len(password) > 4)
            assert not config.exists()
            assert password not in repr(one.address)
            wrong = connect(Source(name="db", url=url, password=password + "x"))
            with pytest.raises(AccessDenied, match=r"refuses.*password, the user or its authSource"):
                wrong.facts()
        finally:
            client["app"].command("dropUser", "ann o")


def test_a_user_without_rights_is_told_which(replica: Mongod, tmp_path: Path) -> None:
    with replica.client() as client:
        client["app"]["c"].insert_one({"_id": 1})
        client["app"].command("createUser", "reader", pwd="pw", roles=["read"])
        client["app"].command("createUser", "nobody", pwd="pw", roles=[])
        try:
            base = f"127.0.0.1:{replica.port}/app?replicaSet=rs0"
            reader = connect(Source(name="db", url=f"mongodb://reader@{base}", password="pw"))
            contents = reader.dump(tmp_path, 1, unwatched)
            assert contents.rows == 1
            assert "may not read the oplog" in contents.notes[0]
            assert reader.facts().identity == ""
            assert all(check.ok for check in reader.checks())
            nobody = connect(Source(name="db", url=f"mongodb://nobody@{base}", password="pw"))
            with pytest.raises(AccessDenied) as caught:
                nobody.facts()
            assert "role backup" in caught.value.hint
            assert not all(check.ok for check in nobody.checks())
        finally:
            client["app"].command("dropUser", "reader")
            client["app"].command("dropUser", "nobody")


def test_mongodump_that_is_refused_is_told_in_a_sentence(standalone: Mongod, tmp_path: Path) -> None:
    def dumped(address: Address) -> None:
        tools.dump(address, tmp_path / "o", 1, oplog=False, done=lambda: 0, total=0, watch=unwatched)

    right = engine(standalone).address
    with pytest.raises(AccessDenied, match="refuses the login of mongodump"):
        dumped(Address(right.url, "app", right.host, "wrong"))


def test_an_unreachable_server_is_told_in_one_sentence() -> None:
    url = "mongodb://ann@127.0.0.1:1/app?serverSelectionTimeoutMS=300"
    with pytest.raises(Unreachable, match=r"^MongoDB at 127\.0\.0\.1:1 cannot be reached: [^\n]*refused") as caught:
        connect(Source(name="db", url=url, password="s3cret")).facts()
    assert "s3cret" not in str(caught.value)
    assert "Topology" not in str(caught.value)


def test_progress_is_told(standalone: Mongod, tmp_path: Path) -> None:
    with standalone.client() as client:
        client["app"]["c"].insert_many([{"_id": i, "v": bytes(1000)} for i in range(100)])
    told: list[tuple[int, int]] = []
    engine(standalone, "app").dump(tmp_path, 1, lambda done, total=0, unit="bytes": told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 100_000


def test_the_parts_of_an_address() -> None:
    def url(text: str) -> str:
        return Address.of(text).url

    assert url("mongodb://u@h/app") == "mongodb://u@h/?authSource=app"
    assert url("mongodb://u@h:1,i:2/app?authSource=admin&w=1") == "mongodb://u@h:1,i:2/?authSource=admin&w=1"
    assert url("mongodb://h/app?w=1") == "mongodb://h/?w=1"
    assert url("mongodb+srv://u@h/app") == "mongodb+srv://u@h/"
    assert url("mongodb://h") == "mongodb://h/"
    assert Address.of("mongodb://u:secret@h/app").url == "mongodb://u@h/?authSource=app"
    assert Address.of("mongodb://h/%C3%A9").database == "é"
    with pytest.raises(SettingsError, match="no name of a MongoDB database"):
        Address.of("mongodb://h/a.b")


def test_the_oplog_names_what_it_touches(tmp_path: Path) -> None:
    entries: list[dict[str, Any]] = [
        {"op": "n", "ns": "", "o": {}},
        {"op": "i", "ns": "app.a.b", "o": {}},
        {"op": "d", "ns": "config.x", "o": {}},
        {"op": "u", "ns": "app.system.buckets.w", "o": {}},
        {"op": "c", "ns": "admin.$cmd", "o": {"applyOps": [{"op": "i", "ns": "b.in", "o": {}}]}},
    ]
    file = tmp_path / oplog.FILE

    def read() -> oplog.Touched:
        file.write_bytes(b"".join(bson.encode({"ts": bson.Timestamp(9 + i, 1), **e}) for i, e in enumerate(entries)))
        return oplog.read(file)

    touched = read()
    assert touched.documents == {"app.a.b", "app.w", "b.in"}
    assert not touched.reshaped
    assert touched.moment == "1970-01-01T00:00:13Z"
    entries.append({"op": "c", "ns": "app.$cmd", "o": {"renameCollection": "app.x", "to": "z.y"}})
    entries.append({"op": "c", "ns": "q.$cmd", "o": {"drop": "gone"}})
    assert read().documents >= {"app.x", "z.y", "q.gone"}
    assert read().reshaped
