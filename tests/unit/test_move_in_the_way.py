"""What stands in the way of a move between two servers, each sentence with its cure, and that looking changes nothing.

The hosts are this machine's folders "old" and "new", with real files, git and disks; `docker` is a program that answers
from files. tests/end_to_end/test_move_data.py asks a real engine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.move import carry, site, sources
from deploy.move.cli import _show
from deploy.move.hosts import Local
from deploy.move.plan import Plan
from deploy.move.step import Move
from killick.errors import Refused
from killick.process import Command
from tests.kit import small_disk
from tests.lab import moves

DOCKER = """#!PYTHON
import json, pathlib, sys

def say(document):
    sys.exit(print(json.dumps(document)))

words = sys.argv[1:]
at = pathlib.Path.cwd()
down = pathlib.Path(FOLDER, "down")
if down.exists():
    sys.exit(down.read_text())
project = next((w.rpartition("=")[2] for w in words if w.startswith("label=com.docker.compose.project=")), "")
if words[0] == "info":
    sys.exit(print(at))
if words[0] == "ps":
    sys.exit(print(project))
if words[0] == "inspect":
    say(json.loads(pathlib.Path(FOLDER, words[1], "inspect.json").read_text()))
answers = json.loads((at / "docker.json").read_text() if (at / "docker.json").exists() else "{}")
verb = "look" if "look" in words else "config" if "config" in words else "version"
if verb in answers.get("fails", {}):
    sys.exit(answers["fails"][verb])
if verb == "version":
    sys.exit(print("2.20.0"))
if verb == "look":
    say({"facts": answers["facts"]})
say({**answers["config"], "name": words[words.index("-p") + 1] if "-p" in words else answers["name"]})
"""
FACTS = {"bytes": 1000, "identity": "7001", "empty": False, "server_version": "16.4"}
DB = {"image": "postgres:16"}
SIDECAR = {"environment": {"DATABASE_URL": "postgres://shop@db/shop"}}
FILE = "docker-compose.yml"


@dataclass
class World:
    move: Move
    folder: Path

    def change(self, side: str, **answers: Any) -> None:
        path = self.folder / side / "docker.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | answers))
        sources.held.cache_clear()

    def services(self, side: str, **services: Any) -> None:
        """None takes one away."""
        every = {"sidecar": SIDECAR, "db": DB, "app": {}} | services
        self.change(side, config={"services": {name: each for name, each in every.items() if each is not None}})

    def runs(self, side: str, *services: str) -> None:
        (self.folder / side / "inspect.json").write_text(json.dumps([_container(service) for service in services]))


def _container(service: str) -> dict[str, Any]:
    state = {"Status": "running", "ExitCode": 0, "StartedAt": "2026-11-24T03:00:00Z"}
    config = {"Labels": {"com.docker.compose.service": service}, "Image": service}
    return {"Id": service, "Config": config, "State": state, "RestartCount": 0}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER.replace("PYTHON", sys.executable).replace("FOLDER", repr(str(tmp_path))))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    made = moves.move(moves.spec())
    servers = []
    for side, server in (("old", made.spec.old), ("new", made.spec.new)):
        folder = tmp_path / side
        folder.mkdir()
        (folder / FILE).write_text("services: {}\n")
        (folder / "docker.json").write_text("{}")
        servers.append(replace(server, directory=str(folder), project=side))
    old, new = (replace(each, server=server) for each, server in zip((made.old, made.new), servers, strict=True))
    world = World(replace(made, old=old, new=new), tmp_path)
    for side in ("old", "new"):
        world.change(side, name=side, facts=FACTS)
        world.services(side)
        world.runs(side, "sidecar", "db", "app")
    world.change("new", facts={**FACTS, "identity": "7002", "empty": True})
    return world


def told(world: World) -> list[str]:
    before = {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()}
    found = list(site.in_the_way(world.move)) + list(carry.in_the_way(world.move))
    assert {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()} == before
    return found


def test_nothing(world: World) -> None:
    assert told(world) == []


@pytest.mark.parametrize("project", ["docker", "compose"])
def test_a_project_by_the_name_of_a_program(world: World, project: str) -> None:
    new = world.move.new
    world.move = replace(world.move, new=replace(new, server=replace(new.server, project=project)))
    (world.folder / project).mkdir()
    shutil.copy(world.folder / "new" / "inspect.json", world.folder / project)
    world.change("new", name=project)
    assert told(world) == []


def _commit(world: World) -> None:
    for side in ("old", "new"):
        for words in (("init", "-q"), ("add", FILE), ("commit", "-qm", side)):
            who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
            subprocess.run(["git", "-C", str(world.folder / side), *who, *words], check=True)


@pytest.mark.parametrize(
    ("come", "says"),
    [
        (lambda w: (w.folder / "down").write_text("Cannot connect to the Docker daemon"),
         r"local: no docker with compose answers: .*Cannot connect.* \(install it, or give this user the right\)"),
        (lambda w: (w.folder / "new" / FILE).unlink(), r"new/docker-compose.yml is not there \(check the project out"),
        (lambda w: shutil.rmtree(w.folder / "new"), r"new/docker-compose.yml is not there|can't cd to"),
        (lambda w: w.change("new", fails={"config": "yaml: line 3: did not find"}),
         r"compose on local refuses docker-compose.yml: yaml: line 3: did not find.*config"),
        (lambda w: w.change("new", name="folder"),
         r"compose would call the project folder, not new: .* with empty volumes \(write `name: new` at the top"),
        (lambda w: w.services("new", sidecar=None),
         r"no service sidecar \(add killick's sidecar, or correct `sidecar`"),
        (lambda w: (w.folder / "new" / FILE).write_text("services: {app: {}}\n"),
         r"docker-compose.yml is not the same on both servers \(check out the same commit"),
        (_commit, r"local has \w{10} and local \w{10} \(check out the same commit\)"),
        (lambda w: w.services("new", db={"image": "postgres:17"}),
         r"db is postgres:16 on local and postgres:17 on local \(move first, upgrade later\)"),
        (lambda w: w.services("new", db=None), r"there is no service db on both servers \(correct `sources`\)"),
        (lambda w: w.runs("old", "app"), r"db does not run on local \(start it: there is nothing to move otherwise\)"),
        (lambda w: w.services("old", app=None), r"there is no service app on local \(correct `apps`\)"),
        (lambda w: w.change("new", facts={**FACTS, "empty": True}),
         r"both servers show the very same cluster \(7001\).*\(start with an empty volume on new\)"),
        (lambda w: w.change("new", facts={**FACTS, "identity": "7002"}),
         r"shop on local is not empty \(move what is there away"),
        (lambda w: w.change("new", facts={**FACTS, "identity": "7002", "empty": True, "server_version": "17.1"}),
         r"db: 16.4 and 17.1 \(move first, upgrade later\)"),
        (lambda w: w.change("old", facts={**FACTS, "bytes": 1 << 60}),
         r"MiB free, and 2 times the data is .*\(make room"),
        (lambda w: w.change("old", facts=None), r"there is no database shop on local \(correct DATABASE_URL\)"),
        (lambda w: w.change("old", fails={"look": "killick: db does not answer"}),
         r"db does not answer"),
        (lambda w: w.services("old", sidecar={"environment": {}}),
         r"the settings of sidecar do not tell where the source db is \(set DATABASE_URL there"),
    ],
)  # fmt: skip
def test_what_is(world: World, come: Callable[[World], object], says: str) -> None:
    come(world)
    found = told(world)
    assert [sentence for sentence in found if re.search(says, sentence)], found


class Late(Local):
    """Its clock is 5 s ahead."""

    def command(self, argv: Sequence[str]) -> Command:
        return super().command([argv[0], "--date=5 seconds", *argv[1:]] if argv[0] == "date" else argv)


def test_clocks_that_are_apart(world: World) -> None:
    world.move = replace(world.move, new=replace(world.move.new, host=Late()))
    assert told(world) == ["the clocks of the two servers are 5 s apart (timedatectl set-ntp true, on both)"]


def test_a_disk_that_is_too_small(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "a small disk", 2) as disk:
        monkeypatch.setenv("HOME", str(disk))
        world.change("old", facts={**FACTS, "bytes": 3 << 20})
        (sentence,) = told(world)
        assert sentence.endswith("MiB free, and 2 times the data is 6 MiB (make room)")


@pytest.mark.parametrize(("sentences", "says"), [(("x (y)",), "1 thing is"), (("x (y)", "z (w)"), "2 things are")])
def test_a_plan_with_something_in_the_way_is_refused(
    sentences: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan("shop", (("freeze", "nobody deploys"),), None, sentences)
    for as_json in (True, False):
        with pytest.raises(Refused, match=f"{says} in the way of a move of shop"):
            _show(plan, as_json)
        assert "x (y)" in capsys.readouterr().out
