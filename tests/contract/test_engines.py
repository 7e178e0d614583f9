"""One suite for every engine of the package: a new file is taken up unasked, and fails until it brings a sample."""

import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from killick import engines
from killick.compare import OWNERSHIP, compare
from killick.contents import Contents
from killick.engines import Engine, Facts, Replaceable, Rewindable, Settling, Source, connect
from killick.errors import Corrupt, NotFound, Refused, SourceError
from killick.settings import target
from killick.watch import unwatched
from tests.lab.mongod import Mongod
from tests.lab.postgres import Postgres

ENGINES = sorted({module.__name__.rpartition(".")[2] for module in engines.modules().values()})


def having(role: type) -> list[str]:
    """The engines that have an optional role."""
    found = set()
    for scheme, module in engines.modules().items():
        if isinstance(connect(Source("sample", f"{scheme}://localhost/sample")), role):
            found.add(module.__name__.rpartition(".")[2])
    return sorted(found)


REPLACEABLE = having(Replaceable)
REWINDABLE = having(Rewindable)


@dataclass
class Trial:
    """A source with something in it, an empty place of the same kind, and an address where nobody answers.

    `change` makes what the source holds another. `stranger` puts something that is not killick's where `beside` would
    make its place, and gives a look at whether it is there.
    """

    source: Source
    empty: Source
    nowhere: Source
    change: Callable[[], object]
    stranger: Callable[[], Callable[[], bool]]

    @property
    def engine(self) -> Engine:
        return connect(self.source)


@pytest.fixture(params=ENGINES)
def trial(
    request: pytest.FixtureRequest, tmp_path: Path, programs_path: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Trial]:
    monkeypatch.setenv("PROGRAMS", programs_path)
    name = f"engines_{secrets.token_hex(4)}"
    match request.param:
        case "postgres":
            server: Postgres = request.getfixturevalue("postgres16")
            url = server.create(name)
            server.execute("CREATE TABLE t AS SELECT g AS id, md5(g::text) FROM generate_series(1, 100) g", name)
            named = f"SELECT datname FROM pg_database WHERE datname LIKE '{name}%'"

            def database() -> Callable[[], bool]:
                server.create(f"{name}__new")
                server.execute("CREATE TABLE theirs ()", f"{name}__new")
                return lambda: bool(server.execute("TABLE theirs", f"{name}__new") == [])

            yield Trial(
                target(url),
                target(server.create(f"{name}_e")),
                target("postgres://u:hush@127.0.0.1:1/x"),
                lambda: server.execute("INSERT INTO t VALUES (0, 'changed')", name),
                database,
            )
            for (each,) in server.execute(named):
                server.execute(f'DROP DATABASE "{each}" WITH (FORCE)')
        case "mongodb":
            mongod: Mongod = request.getfixturevalue("mongod")
            with mongod.client() as client:
                client[name].t.insert_many([{"_id": n} for n in range(100)])

                def other() -> Callable[[], bool]:
                    client[f"{name}__new"].theirs.insert_one({"_id": 1})
                    return lambda: client[f"{name}__new"].theirs.count_documents({}) == 1

                yield Trial(
                    target(mongod.url(name)),
                    target(mongod.url(f"{name}_e")),
                    target("mongodb://u:hush@127.0.0.1:1/x?serverSelectionTimeoutMS=500"),
                    lambda: client[name].t.insert_one({"_id": "changed"}),
                    other,
                )
                for each in client.list_database_names():
                    if each.startswith(name):
                        client.drop_database(each)
                client.killick.copies.delete_many({})
        case "files":
            (tmp_path / "source/inner").mkdir(parents=True)
            (tmp_path / "source/inner/a").write_text("a" * 1000)
            (tmp_path / "empty").mkdir()

            def folder() -> Callable[[], bool]:
                (tmp_path / "source__new").mkdir()
                (tmp_path / "source__new/theirs").touch()
                return (tmp_path / "source__new/theirs").exists

            yield Trial(
                *(target(str(tmp_path / each)) for each in ("source", "empty", "nowhere")),
                lambda: (tmp_path / "source/inner/a").write_text("changed"),
                folder,
            )
        case other:
            pytest.fail(f"this suite needs a sample for {other}")


def dumped(trial: Trial, folder: Path) -> Contents:
    folder.mkdir()
    return trial.engine.dump(folder, 1, unwatched)


def holds(engine: Engine, contents: Contents) -> bool:
    return compare(contents, engine.contents(contents), groups=contents.groups.keys() - OWNERSHIP) == []


def test_it_is_an_engine_and_goes_by_its_module(trial: Trial) -> None:
    assert isinstance(trial.engine, Engine)
    facts = trial.engine.facts()
    assert isinstance(facts, Facts)
    assert facts.engine == engines.name(trial.source.url)
    assert facts.bytes > 0
    assert (facts.empty, facts.copy) == (False, False)
    assert connect(trial.empty).facts().empty


def test_a_dump_fills_the_folder_and_counts_all(trial: Trial, tmp_path: Path) -> None:
    contents = dumped(trial, tmp_path / "dump")
    assert any(path.is_file() for path in (tmp_path / "dump").rglob("*"))
    (table,) = contents.tables.values()
    assert table.rows in (100, 1000)  # rows, documents; a file's bytes
    assert table.checksum
    assert Contents.from_json(json.loads(json.dumps(contents.to_json()))) == contents


def test_what_was_dumped_comes_back_the_same(trial: Trial, tmp_path: Path) -> None:
    contents = dumped(trial, tmp_path / "dump")
    copy = connect(trial.empty)
    copy.load(tmp_path / "dump", 2, contents, unwatched)
    assert holds(copy, contents)
    assert not copy.facts().empty
    with pytest.raises(Refused):
        copy.load(tmp_path / "dump", 1, contents, unwatched)


def test_two_looks_at_the_same_see_the_same_and_a_change_is_seen(trial: Trial, tmp_path: Path) -> None:
    contents = dumped(trial, tmp_path / "dump")
    assert compare(contents, trial.engine.contents(contents)) == []
    name, table = next(iter(contents.tables.items()))
    changed = replace(contents, tables={name: replace(table, checksum=table.checksum[::-1])})
    assert [m.what for m in compare(changed, trial.engine.contents(contents))] == ["checksum"]


def test_a_dump_is_looked_at_without_a_server(trial: Trial, tmp_path: Path) -> None:
    dumped(trial, tmp_path / "dump")
    engine = engines.name(trial.source.url)
    engines.inspect(engine, tmp_path / "dump")
    largest = max((p for p in (tmp_path / "dump").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    if engine == "files":  # any bytes make a file: its hash is what tells
        return
    largest.write_bytes(largest.read_bytes()[:-7])
    with pytest.raises(Corrupt):
        engines.inspect(engine, tmp_path / "dump")


def test_doctor_finds_nothing_here_and_tells_the_cure_elsewhere(trial: Trial) -> None:
    assert all(check.ok for check in trial.engine.checks())
    try:
        bad = [check for check in connect(trial.nowhere).checks() if not check.ok]
        assert bad
        assert all(check.cure for check in bad)
    except SourceError as error:
        assert error.hint


def test_nobody_there_is_one_sentence_without_the_password(trial: Trial, tmp_path: Path) -> None:
    (tmp_path / "dump").mkdir()
    with pytest.raises(SourceError) as caught:
        connect(trial.nowhere).facts()
        connect(trial.nowhere).dump(tmp_path / "dump", 1, unwatched)  # a folder may be made by a restore
    assert caught.value.hint
    assert "hush" not in str(caught.value) + repr(trial.nowhere)


def test_an_engine_is_there_that_can_be_replaced_and_one_that_can_be_rewound() -> None:
    assert REPLACEABLE
    assert REWINDABLE


@pytest.fixture
def in_use(trial: Trial) -> Replaceable:
    engine = trial.engine
    assert isinstance(engine, Replaceable)
    return engine


replaceable = pytest.mark.parametrize("trial", REPLACEABLE, indirect=True)


def loaded_beside(engine: Replaceable, dump: Path, contents: Contents, origin: str = "first") -> Engine:
    place = engine.beside(origin, 1000)
    assert place.facts().empty
    place.load(dump, 2, contents, unwatched)
    if isinstance(place, Settling):
        place.settle()
    return place


@replaceable
def test_what_was_loaded_beside_comes_into_use_and_goes_and_comes_back(
    trial: Trial, in_use: Replaceable, tmp_path: Path
) -> None:
    new = dumped(trial, tmp_path / "dump")
    trial.change()
    old = trial.engine.contents()
    place = loaded_beside(in_use, tmp_path / "dump", new)
    assert holds(place, new)
    assert holds(trial.engine, old)
    assert not trial.engine.facts().copy
    assert in_use.swap("first").kept
    assert holds(trial.engine, new)
    assert trial.engine.facts().copy
    in_use.undo()
    assert holds(trial.engine, old)
    assert not trial.engine.facts().copy
    in_use.undo()
    assert holds(trial.engine, new)
    assert trial.engine.facts().copy
    assert in_use.sweep() == ()


@replaceable
def test_the_last_of_several_swaps_is_undone(trial: Trial, in_use: Replaceable, tmp_path: Path) -> None:
    first = dumped(trial, tmp_path / "first")
    trial.change()
    second = dumped(trial, tmp_path / "second")
    for name, contents in (("first", first), ("second", second)):
        loaded_beside(in_use, tmp_path / name, contents, name)
        assert in_use.swap(name).kept
    assert holds(trial.engine, second)
    in_use.undo()
    assert holds(trial.engine, first)


@replaceable
def test_of_an_empty_target_nothing_is_kept(trial: Trial, tmp_path: Path) -> None:
    contents = dumped(trial, tmp_path / "dump")
    engine = connect(trial.empty)
    assert isinstance(engine, Replaceable)
    loaded_beside(engine, tmp_path / "dump", contents)
    assert not engine.swap("first").kept
    assert holds(engine, contents)
    with pytest.raises(NotFound):
        engine.undo()
    assert holds(engine, contents)


@replaceable
def test_production_itself_bears_no_mark_also_where_a_copy_was(
    trial: Trial, in_use: Replaceable, tmp_path: Path
) -> None:
    contents = dumped(trial, tmp_path / "dump")
    for copy in (True, False):
        loaded_beside(in_use, tmp_path / "dump", contents)
        in_use.swap("first", copy=copy)
        assert trial.engine.facts().copy is copy
    in_use.undo()
    assert trial.engine.facts().copy


@replaceable
def test_what_a_run_that_was_killed_left_is_swept(trial: Trial, in_use: Replaceable, tmp_path: Path) -> None:
    contents = dumped(trial, tmp_path / "dump")
    trial.change()
    now = trial.engine.contents()
    loaded_beside(in_use, tmp_path / "dump", contents)
    loaded_beside(in_use, tmp_path / "dump", contents)  # empty again, where something had been left
    assert trial.engine.facts().empty is False
    assert len(in_use.sweep()) == 1
    assert in_use.sweep() == ()
    assert holds(trial.engine, now)
    with pytest.raises(NotFound):
        in_use.swap("first")
    assert holds(trial.engine, now)


@replaceable
def test_what_is_not_killicks_is_never_removed(trial: Trial, in_use: Replaceable) -> None:
    still_there = trial.stranger()
    with pytest.raises(Refused) as caught:
        in_use.beside("first", 1000)
    assert caught.value.hint
    assert still_there()
    assert in_use.sweep() == ()
    assert still_there()


@replaceable
def test_what_another_run_is_filling_is_not_taken(trial: Trial, in_use: Replaceable) -> None:
    now = trial.engine.contents()
    in_use.beside("first", 1000)
    other = trial.engine
    assert isinstance(other, Replaceable)
    other.beside("second", 1000)
    with pytest.raises(Refused):
        in_use.swap("first")
    assert holds(trial.engine, now)


@replaceable
def test_cleared_it_can_be_filled_and_there_is_no_way_back(trial: Trial, in_use: Replaceable, tmp_path: Path) -> None:
    contents = dumped(trial, tmp_path / "dump")
    loaded_beside(in_use, tmp_path / "dump", contents)
    in_use.swap("first", copy=False)
    in_use.clear("first")
    assert (trial.engine.facts().empty, trial.engine.facts().copy) == (True, True)
    trial.engine.load(tmp_path / "dump", 1, contents, unwatched)
    assert holds(trial.engine, contents)
    assert trial.engine.facts().copy
    with pytest.raises(NotFound):
        in_use.undo()
    in_use.clear("first", copy=False)
    assert (trial.engine.facts().empty, trial.engine.facts().copy) == (True, False)


@pytest.mark.parametrize("trial", REWINDABLE, indirect=True)
def test_a_snapshot_is_come_back_to_again_and_again(trial: Trial, in_use: Replaceable) -> None:
    engine = trial.engine
    assert isinstance(engine, Rewindable)
    with pytest.raises(NotFound):
        engine.reset()
    first = engine.contents()
    engine.snapshot()
    assert holds(trial.engine, first)
    trial.change()
    second = trial.engine.contents()
    for _ in range(2):
        engine.reset()
        assert holds(trial.engine, first)
        in_use.undo()
        assert holds(trial.engine, second)
    engine.snapshot()  # instead of the one before
    engine.reset()
    assert holds(trial.engine, second)
    assert in_use.sweep() == ()
