"""kill -9 before each change of a swap: what is in use is the old or the new, whole, once the next run has swept."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from killick.contents import Contents
from killick.engines import Engine, Replaceable, Rewindable, Source, connect
from killick.engines.files import renaming
from killick.engines.files.engine import Files
from killick.engines.mongodb.engine import Mongo
from killick.errors import Unreachable
from tests.kit import mounted, wait_for
from tests.lab.mongod import Mongod


class Killer:
    """See killed.py."""

    def __init__(self) -> None:
        self.exchange = True
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.killed"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def order(self, source: Source, verb: str, *arguments: object, after: int = 1 << 30) -> int:
        """The process that is to die."""
        assert self.process.stdin
        assert self.process.stdout
        order = {"url": source.url, "password": source.password, "verb": verb, "arguments": arguments, "after": after}
        self.process.stdin.write(json.dumps(order | {"exchange": self.exchange}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def dies(self, source: Source, verb: str, *arguments: object, after: int) -> bool:
        """Whether it was killed; False when it was done before."""
        self.order(source, verb, *arguments, after=after)
        end = self.end()
        assert end in {"done", "killed"}
        return end == "killed"

    def close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def killer() -> Iterator[Killer]:
    found = Killer()
    yield found
    found.close()


Whole = tuple[Any, Any]


def holds(engine: Engine, like: Contents | None = None) -> Whole:
    return whole(engine.contents(like))


def whole(found: Contents) -> Whole:
    """All but the time of a root folder, which a mark changes for the moment until it is set again."""
    groups = {kind: dict(entries) for kind, entries in found.groups.items()}
    if "attributes" in groups:
        groups["attributes"]["."] = groups["attributes"]["."].rpartition(" ")[0]
    return found.tables, groups


@dataclass
class Scene:
    """In use is `old`, and what the verb brings is `new`."""

    source: Source
    old: Whole
    new: Whole


def each_death(
    killer: Killer, prepare: Callable[[str], Scene], tidy: Callable[[], bool], verb: str, step: int = 1
) -> set[str]:
    """Kills `verb` before every change that it makes, or every `step`-th, until it is done before it dies.

    Gives which of the two the next run found, or made whole.
    """
    seen = set()
    killed, after = True, 0
    arguments = ("first",) if verb == "swap" else ()
    while killed:
        scene = prepare(verb)
        engine = connect(scene.source)
        assert isinstance(engine, Replaceable)
        assert isinstance(engine, Rewindable)
        killed = killer.dies(scene.source, verb, *arguments, after=after)
        with suppress(Unreachable):  # a folder is missing for a moment, where names cannot be exchanged
            if verb == "swap" and holds(engine) == scene.new:
                assert engine.facts().copy, f"killed before change {after}: a copy is taken for production"
        notes = engine.sweep()
        now = holds(engine)
        assert now in (scene.old, scene.new), f"{verb}, killed before change {after}: neither of the two is in use"
        assert tidy(), f"{verb}, killed before change {after}: something is left"
        assert engine.sweep() == ()
        assert killed or (now == scene.new and notes == ())
        seen.add("old" if now == scene.old else "new")
        if now == scene.new or verb == "undo":
            engine.undo()
            assert holds(engine) == (scene.old if now == scene.new else scene.new)
        elif verb == "reset":
            engine.reset()
            assert holds(engine) == scene.new
        after += step
    assert after > 10
    return seen


def each_death_of_a_sweep(killer: Killer, prepare: Callable[[str], Scene], tidy: Callable[[], bool]) -> None:
    """What lies beside stays known for killick's until it is gone."""
    killed, after = True, 0
    while killed:
        scene = prepare("swap")
        engine = connect(scene.source)
        assert isinstance(engine, Replaceable)
        killed = killer.dies(scene.source, "sweep", after=after)
        engine.sweep()
        assert tidy(), f"killed before change {after}: something is left that nobody knows"
        assert holds(engine) == scene.old
        after += 1
    assert after > 1


class MongoScenes:
    """A database with what can be renamed, what cannot, and what changes its kind."""

    def __init__(self, server: Mongod) -> None:
        self.server = server
        url = server.url("app").replace(f":{quote(server.password, safe='')}@", "@")
        self.source = Source("db", url, server.password)

    @property
    def engine(self) -> Mongo:
        found = connect(self.source)
        assert isinstance(found, Mongo)
        return found

    def fill(self, database: str, which: str) -> None:
        with self.server.client() as client:
            db = client[database]
            db["both"].insert_many([{"_id": n, "is": which} for n in range(3)])
            db["both"].create_index("is")
            db[f"only {which}"].insert_one({"_id": which})
            db.command("create", "view", viewOn="both", pipeline=[{"$match": {"is": which}}])
            db.create_collection("series", timeseries={"timeField": "at"})
            db["series"].insert_one({"at": datetime.now(UTC), "is": which})
            if which == "old":
                db["kind"].insert_one({"_id": 1})
            else:
                db.command("create", "kind", viewOn="both", pipeline=[])

    def emptied(self) -> None:
        with self.server.client() as client:
            for name in set(client.list_database_names()) - {"admin", "config", "local"}:
                client.drop_database(name)

    def __call__(self, verb: str) -> Scene:
        self.emptied()
        engine = self.engine
        if verb == "reset":
            self.fill("app", "new")
            new = holds(engine)
            engine.snapshot()
            with self.server.client() as client:
                client.drop_database("app")
            self.fill("app", "old")
            return Scene(self.source, holds(engine), new)
        first, second = ("old", "new") if verb == "swap" else ("new", "old")
        self.fill("app", first)
        before = engine.contents()
        beside = engine.beside("first", 0)
        self.fill(beside.address.database, second)
        after = holds(beside, before)
        if verb == "swap":
            return Scene(self.source, whole(before), after)
        engine.swap("first")
        return Scene(self.source, holds(engine), whole(before))

    def tidy(self) -> bool:
        with self.server.client() as client:
            names = set(client.list_database_names()) - {"admin", "config", "local", "killick", "app", "app__snapshot"}
            marks = {mark["_id"] for mark in client["killick"]["copies"].find()} - {"app", "app__snapshot"}
        return names == marks and names in (set(), {"app__old"}, {"app__old2"})


@pytest.fixture
def mongo_scenes(mongod: Mongod, programs_path: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[MongoScenes]:
    monkeypatch.setenv("PROGRAMS", programs_path)
    scenes = MongoScenes(mongod)
    yield scenes
    scenes.emptied()


# Step by step takes minutes where a disk is slow: script/test --all does it.
VERBS = pytest.mark.parametrize(
    ("verb", "step"),
    [
        *(("swap", 3), ("undo", 5), ("reset", 7)),
        *(pytest.param(verb, 1, marks=pytest.mark.slow) for verb in ("swap", "undo", "reset")),
    ],
)


@VERBS
def test_a_mongodb_database(killer: Killer, mongo_scenes: MongoScenes, verb: str, step: int) -> None:
    assert each_death(killer, mongo_scenes, mongo_scenes.tidy, verb, step) == {"old", "new"}


def test_a_mongodb_database_is_swept(killer: Killer, mongo_scenes: MongoScenes) -> None:
    each_death_of_a_sweep(killer, mongo_scenes, mongo_scenes.tidy)


def test_what_a_killed_run_had_asked_of_the_server_is_ended_too(
    killer: Killer, mongod: Mongod, mongo_scenes: MongoScenes
) -> None:
    scene = mongo_scenes("swap")
    with mongod.client() as client:
        client["app__new"]["both"].insert_many([{"pad": "x" * 400} for _ in range(200_000)])
        asked = [{"$currentOp": {}}, {"$match": {"command.renameCollection": "app__new.both"}}]
        pid = killer.order(scene.source, "swap", "first")
        wait_for(lambda: bool(list(client.admin.aggregate(asked))))
        os.kill(pid, signal.SIGKILL)
        assert killer.end() == "killed"
        notes = mongo_scenes.engine.sweep()
        assert "interrupted before anything had changed" in notes[0]
        assert list(client.admin.aggregate(asked)) == []
        assert holds(mongo_scenes.engine) == scene.old
        assert mongo_scenes.tidy()
        assert not [name for name in client["app"].list_collection_names() if name.startswith(("killick.", "tmp"))]


@pytest.mark.slow
@pytest.mark.parametrize("after", [8, 14, 20, 26, 32])
def test_a_server_that_dies_with_it(
    killer: Killer, programs_path: str, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)
    with Mongod() as server:
        scenes = MongoScenes(server)
        scene = scenes("swap")
        assert killer.dies(scene.source, "swap", "first", after=after)
        server.stop(kill=True)
        server.start()
        assert scenes.engine.sweep()
        assert holds(scenes.engine) in (scene.old, scene.new)
        assert scenes.tidy()


class FileScenes:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = Source("media", root.as_uri())

    @property
    def engine(self) -> Files:
        found = connect(self.source)
        assert isinstance(found, Files)
        return found

    def fill(self, root: Path, which: str) -> None:
        (root / "both").mkdir()
        (root / "both" / which).write_text(which)
        (root / "same name").write_text(which)
        (root / f"only {which}").symlink_to(which)
        (root / "kind").mkdir() if which == "old" else (root / "kind").touch()
        root.chmod(0o750 if which == "old" else 0o755)
        os.utime(root, ns=(1, len(which) * 10**9 + (which == "old")))

    def emptied(self) -> None:
        for path in (self.root, *self.root.parent.glob(f"{self.root.name}__*")):
            for one in path.iterdir():
                shutil.rmtree(one) if one.is_dir() and not one.is_symlink() else one.unlink()
            if path != self.root:
                path.rmdir()

    def __call__(self, verb: str) -> Scene:
        self.emptied()
        engine = self.engine
        first, second = ("old", "new") if verb == "swap" else ("new", "old")
        self.fill(self.root, first)
        before = holds(engine)
        if verb == "reset":
            engine.snapshot()
        beside = engine.beside("first", 0)
        self.fill(Path(beside.root), second)
        after = holds(beside)
        if verb == "swap":
            return Scene(self.source, before, after)
        engine.swap("first")
        return Scene(self.source, holds(engine), before)

    def tidy(self) -> bool:
        """An empty folder may be left, that died before it bore a mark: nothing without one is removed."""
        places = [path for path in self.root.parent.glob(f"{self.root.name}*") if any(path.iterdir())]
        names = {path.name.removeprefix(self.root.name) for path in places}
        inside = {path.name for path in self.root.glob(".killick/*")}
        return names <= {"", "__old", "__snapshot"} and inside <= {"mark.json", "old", "snapshot"}


@pytest.fixture(params=[True, False], ids=["exchange", "plain renames"])
def exchange(request: pytest.FixtureRequest, killer: Killer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whether the file system can exchange two names, here and in the process that dies."""
    killer.exchange = request.param
    if not request.param:
        monkeypatch.setattr(renaming, "exchange", lambda _one, _other: False)
    yield
    killer.exchange = True


@pytest.mark.usefixtures("exchange")
@VERBS
def test_a_folder_that_can_be_renamed(killer: Killer, tmp_path: Path, verb: str, step: int) -> None:
    (tmp_path / "uploads").mkdir()
    scenes = FileScenes(tmp_path / "uploads")
    assert each_death(killer, scenes, scenes.tidy, verb, step) == {"old", "new"}


@pytest.mark.usefixtures("exchange")
@VERBS
def test_a_folder_that_is_a_mount_point(killer: Killer, tmp_path: Path, verb: str, step: int) -> None:
    root = tmp_path / "uploads"
    root.mkdir()
    with mounted(root):
        scenes = FileScenes(root)
        assert each_death(killer, scenes, scenes.tidy, verb, step) == {"old", "new"}


def test_a_folder_is_swept(killer: Killer, tmp_path: Path) -> None:
    (tmp_path / "uploads").mkdir()
    scenes = FileScenes(tmp_path / "uploads")
    each_death_of_a_sweep(killer, scenes, scenes.tidy)
