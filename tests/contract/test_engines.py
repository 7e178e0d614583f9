"""One suite for every engine of the package: a new file is taken up unasked, and fails until it brings a sample."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from killick import engines
from killick.compare import OWNERSHIP, compare
from killick.contents import Contents
from killick.engines import Engine, Facts, Source, connect
from killick.errors import Corrupt, Refused, SourceError
from killick.settings import target
from killick.watch import unwatched
from tests.lab.mongod import Mongod
from tests.lab.postgres import Postgres

ENGINES = sorted({module.__name__.rpartition(".")[2] for module in engines.modules().values()})


@dataclass
class Trial:
    """A source with something in it, an empty place of the same kind, and an address where nobody answers."""

    source: Source
    empty: Source
    nowhere: Source

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
            yield Trial(target(url), target(server.create(f"{name}_e")), target("postgres://u:hush@127.0.0.1:1/x"))
            for each in (name, f"{name}_e"):
                server.execute(f"DROP DATABASE {each} WITH (FORCE)")
        case "mongodb":
            with Mongod() as one, Mongod() as other:
                with one.client() as client:
                    client[name].t.insert_many([{"n": n} for n in range(100)])
                nowhere = target("mongodb://u:hush@127.0.0.1:1/x?serverSelectionTimeoutMS=500")
                yield Trial(target(one.url(name)), target(other.url(name)), nowhere)
        case "files":
            (tmp_path / "source/inner").mkdir(parents=True)
            (tmp_path / "source/inner/a").write_text("a" * 1000)
            (tmp_path / "empty").mkdir()
            yield Trial(*(target(str(tmp_path / each)) for each in ("source", "empty", "nowhere")))
        case other:
            pytest.fail(f"this suite needs a sample for {other}")


def dumped(trial: Trial, folder: Path) -> Contents:
    folder.mkdir()
    return trial.engine.dump(folder, 1, unwatched)


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
    got = copy.contents(contents)
    assert compare(contents, got, groups=contents.groups.keys() - OWNERSHIP) == []
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
