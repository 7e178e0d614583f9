"""How a move's data travels, on real databases: two projects of this machine's engine, "old" and "new".

One site for the module: each test leaves it as it found it, but the last, which moves it.
"""

import json
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from deploy.frozen import mark
from deploy.move import carry, databases, fences, site, volumes
from deploy.move.handover import Handover
from deploy.move.hosts import connect
from deploy.move.journal import Journal
from deploy.move.site import Site
from deploy.move.spec import Check, Jobs, Names, Server, Spec
from deploy.move.step import Move
from deploy.move.steps import freeze, step
from killick.errors import KillickError, Refused
from killick.watch import unwatched
from tests.lab import Missing, cache, docker, mongosh

HERE = Path(__file__).parent / "moved"
SOURCES = (("db", "db"), ("ledger", "db"), ("events", "mongo"), ("audit", "mongo"), ("uploads", ""))
"""Two databases in each server: they share its fence."""
MONGO = "mongosh --quiet --norc -u root -p root --eval"


class Lab:
    def __init__(self, folder: Path, image: str) -> None:
        self.folder, self.image = folder, image
        self.mark = uuid4().hex[:8]
        shell = folder / "mongosh"  # the real one: a stand-in's knows no JavaScript
        shell.write_text(f'#!/bin/sh\nexec {mongosh.programs()}/mongosh "$@"\n')
        shell.chmod(0o755)
        self.old, self.new = (self._site(where) for where in ("old", "new"))

    def _site(self, where: str) -> Site:
        folder, project = self.folder / where, f"killick-move-{where}-{self.mark}"
        shutil.copytree(HERE, folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / ".env").write_text(
            f"COMPOSE_PROJECT_NAME={project}\nWHERE={where}\nPORT={port}\nSIDECAR={self.image}\nCACHE={cache.root()}\n"
        )
        server = Server("local", f"127.0.0.1:{port}", str(folder), project, ("docker-compose.yml",))
        return Site(connect("local"), server, "sidecar")

    def move(self) -> Move:
        """A fresh one, with a journal in memory."""
        spec = Spec(
            site="site", environment="prod", names=("site.test",), old=self.old.server, new=self.new.server,
            sidecar="sidecar", apps=("app",), sources=SOURCES,
            proxy=None, forwarder=None, dns=Names("hand"), purge="off", check=Check(("/",), "X-Served-By"), jobs=Jobs(),
            limit=300, digest="",
        )  # fmt: skip
        id = f"20261128T{uuid4().int % 10**6:06d}Z"
        return Move(id, spec, self.old, self.new, cast(Any, None), Journal(None, []), cast(Any, None))

    def sql(self, query: str, where: str = "old", database: str = "site") -> str:
        at = self.old if where == "old" else self.new
        return at.compose("exec", "-T", "db", "psql", "-U", "site", "-d", database, "-XAtqc", query).strip()

    def mongo(self, script: str, where: str = "old") -> str:
        at = self.old if where == "old" else self.new
        return at.inside("mongo", f'exec {MONGO} "$1"', script).strip().splitlines()[-1]

    def writes(self) -> None:
        """Waits until the app writes."""
        before = int(self.sql("SELECT count(*) FROM orders"))
        docker_wait(lambda: int(self.sql("SELECT count(*) FROM orders")) > before)


def docker_wait(holds: Any) -> None:
    for _ in range(300):
        if holds():
            return
        subprocess.run(["sleep", "0.1"], check=True)
    raise AssertionError("it did not come about within 30 s")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    docker.engine()
    if docker.docker("compose", "version", check=False).returncode:
        raise Missing("no docker compose here: script/docker-engine installs it")
    # by its id: the name belongs to whoever built last
    built = docker.docker("image", "inspect", "--format={{.Id}}", docker.image("sidecar")).stdout.strip()
    folder = tmp_path_factory.mktemp("moved")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_CONFIG", os.environ.get("DOCKER_CONFIG") or str(Path.home() / ".docker"))  # its plugins
        patch.setenv("HOME", str(folder))
        made = Lab(folder, built)
        try:
            made.old.compose("up", "-d", "--wait", timeout=120)
            docker_wait(lambda: _up(made))
            made.mongo("db.getSiblingDB('events').clicks.insertMany([...Array(500).keys()].map((n) => ({n})))")
            made.mongo("db.getSiblingDB('audit').entries.insertMany([...Array(50).keys()].map((n) => ({n})))")
            made.sql("CREATE DATABASE ledger")
            made.sql("CREATE TABLE entries AS SELECT n FROM generate_series(1, 300) n", database="ledger")
            made.sql("CREATE ROLE reader; GRANT SELECT ON orders TO reader")
            made.old.compose("exec", "-T", "app", "sh", "-c", FILES)
            yield made
        finally:
            for each in (made.old, made.new):
                # what waits for a move that was not ended holds volumes, which `down` then leaves
                waiting = docker.docker(
                    "ps", "--all", "--quiet", f"--filter=name={each.server.project}$"
                ).stdout.split()
                docker.docker("rm", "--force", *waiting, check=False)
                each.compose("down", "--volumes", "--remove-orphans", "--timeout", "1", timeout=120)


FILES = """
cd /uploads
mkdir -p 'a b/deep' gone
for n in 1 2 3; do head -c 100000 /dev/urandom >"a b/deep/$n.jpg"; done
echo old >gone/file; echo stays >changed; ln -s changed link; ln changed hard
printf x >"$(printf 'new\\nline')"; chown 1234:5678 changed; chmod 600 changed
"""


def _up(made: Lab) -> bool:
    try:
        return bool(made.mongo("db.runCommand({ping: 1}).ok")) and int(made.sql("SELECT count(*) FROM orders")) > 0
    except KillickError:
        return False


@contextmanager
def fenced(lab: Lab) -> Iterator[Move]:
    move, fence = lab.move(), step("fence")
    try:
        fence.act(move, unwatched)
        yield move
    finally:
        fence.undo(move)
        for each in (lab.old, lab.new):
            Handover(each, move.id).remove(lab.image)


def hba(lab: Lab) -> str:
    """Bytes, owner and rights."""
    return lab.old.inside("db", 'cd "$PGDATA"; sha256sum pg_hba.conf; stat -c "%a %U %G" pg_hba.conf; ls pg_hba*')


def test_nothing_is_in_the_way_and_looking_changes_nothing(lab: Lab) -> None:
    move = lab.move()
    before = _state(lab)
    asked = (site.in_the_way, freeze.in_the_way, fences.in_the_way, carry.in_the_way, volumes.in_the_way)
    assert [sentence for ask in asked for sentence in ask(move)] == []
    assert _state(lab) == before


def test_what_is_in_the_way_is_told_with_its_cure(lab: Lab) -> None:
    move = lab.move()
    compose = Path(lab.new.server.directory, "docker-compose.yml")
    kept = compose.read_text()
    lab.sql("BEGIN; INSERT INTO orders (note) VALUES ('prepared'); PREPARE TRANSACTION 'left'")
    try:
        compose.write_text(kept.replace("postgres:16", "postgres:15"))
        said = "\n".join([*site.in_the_way(move), *fences.in_the_way(move)])
        assert "docker-compose.yml is not the same on both servers" in said
        assert "db is postgres:16 on local and postgres:15 on local (move first, upgrade later)" in said
        assert "prepared transactions are open, whose COMMIT PREPARED would write later: 'left' (end each" in said
        compose.unlink()
        assert "docker-compose.yml is not there" in "\n".join(site.in_the_way(move))
    finally:
        compose.write_text(kept)
        lab.sql("ROLLBACK PREPARED 'left'")


def test_another_move_is_told_and_what_it_moved_stays(lab: Lab) -> None:
    """Its lock is another machine's; what it left on old is seen."""
    move = lab.move()
    theirs = Path(lab.old.home, mark(lab.old.server.project))
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_text("20251128T230000Z\n")
    try:
        (sentence,) = freeze.in_the_way(move)
        assert "the move 20251128T230000Z holds" in sentence and "rm ~/" in sentence
        for change in (lambda: step("rehearse").act(move, unwatched), lambda: step("rehearse").undo(move)):
            with pytest.raises(Refused, match="20251128T230000Z holds"):
                change()
    finally:
        theirs.unlink()
    assert list(freeze.in_the_way(move)) == []


def test_an_unpinned_name_is_told(lab: Lab) -> None:
    env = Path(lab.new.server.directory, ".env")
    kept = env.read_text()
    env.write_text(kept.replace("COMPOSE_PROJECT_NAME", "SOMETHING_ELSE"))
    try:
        assert "whoever leaves -p out starts with empty volumes" in "\n".join(site.in_the_way(lab.move()))
    finally:
        env.write_text(kept)


def test_nothing_gets_through_the_fence_and_lifting_it_restores_every_byte(lab: Lab) -> None:
    before, roles = hba(lab), _roles(lab)
    session = subprocess.Popen(
        [*lab.old.words, "exec", "-T", "app", "/opt/killick/bin/python", "-c", SESSION],
        cwd=lab.old.server.directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert session.stdin and session.stdout and session.stdout.readline() == "open\n"
    move, fence = lab.move(), step("fence")
    every = fences.of(move)
    assert not fence.probe(move)
    lab.sql("ALTER SYSTEM SET autovacuum = off")
    lab.sql("SELECT pg_reload_conf()")
    try:
        for each in every.values():  # the app goes on trying: it is not what keeps writes out
            each.up()
        rows = lab.sql("SELECT count(*) FROM orders")
        quiet = {name: each.quiet() for name, each in every.items()}
        said = session.communicate("go\n", timeout=60)[0]
        assert said == "lost\nrefused\n", said
        for url in (
            "postgres://site:site@db/site",
            "postgres://site:site@db/site?options=-cdefault_transaction_read_only%3Doff",
            "postgres://site:site@db/ledger",
        ):
            assert "rejects" in _login(lab, url)
        assert _mongo_write(lab) == "Unauthorized"
        assert (lab.sql("SELECT count(*) FROM orders"), {n: e.quiet() for n, e in every.items()}) == (rows, quiet)
        assert not any(each.lacks() for each in every.values())
        every["db"].up()  # again, as after an interruption
        assert not any(each.lacks() for each in every.values())
    finally:
        fence.undo(move)
    assert (hba(lab), _roles(lab)) == (before, roles)
    assert lab.sql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'move_%'") == "0"
    lab.writes()
    assert _mongo_write(lab) == "written"
    fence.undo(move)
    assert (hba(lab), _roles(lab)) == (before, roles)


SESSION = """
import sys, psycopg2
c = psycopg2.connect("postgres://site:site@db/site")
cursor = c.cursor()
cursor.execute("BEGIN READ WRITE")
cursor.execute("INSERT INTO orders (note) VALUES ('open')")
print("open", flush=True)
sys.stdin.readline()
try:
    c.commit(); print("committed")
except psycopg2.Error:
    print("lost")
try:
    psycopg2.connect("postgres://site:site@db/site"); print("in")
except psycopg2.Error:
    print("refused")
"""


def test_a_prepared_transaction_refuses_the_fence_and_nothing_stays_of_it(lab: Lab) -> None:
    before = hba(lab)
    lab.sql("BEGIN; INSERT INTO orders (note) VALUES ('prepared'); PREPARE TRANSACTION 'left'")
    try:
        with pytest.raises(Refused, match=r"prepared transactions .* 'left'"), fenced(lab):
            raise AssertionError("the fence was put up")
    finally:
        lab.sql("ROLLBACK PREPARED 'left'")
    assert hba(lab) == before
    lab.writes()


@pytest.mark.parametrize("at", ["cp -p --", 'mv -f -- "$prior.part"', 'mv -f -- "$hba.new"', "reload\nn=0"])
def test_a_fence_that_was_interrupted_is_lifted_or_put_up_again(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    from deploy.move.fences import postgres

    before, move = hba(lab), lab.move()
    fence = fences.of(move)["db"]
    assert at in postgres._UP
    for then in ("lift", "up"):
        with monkeypatch.context() as patch:
            patch.setattr(postgres, "_UP", postgres._UP.replace(at, f"kill -9 $$; {at}", 1))
            with pytest.raises(KillickError):
                fence.up()
        getattr(fence, then)()
        assert (fence.lacks() == "") is (then == "up")
        fence.lift()
        assert hba(lab) == before
    Handover(lab.old, move.id).remove(lab.image)


def test_a_write_behind_the_fence_is_seen(lab: Lab) -> None:
    with fenced(lab) as move:
        final = step("final")
        final.act(move, unwatched)
        assert final.probe(move)
        final.verify(move)
        lab.sql("UPDATE orders SET note = 'late' WHERE id = (SELECT min(id) FROM orders)")
        assert not final.probe(move)
        with pytest.raises(KillickError, match="not what was dumped"):
            final.verify(move)
        with pytest.raises(KillickError, match="somebody wrote there"):
            step("retire").act(move, unwatched)
    lab.writes()


def test_a_site_moves_and_nothing_is_lost(lab: Lab) -> None:
    move = lab.move()
    for name in ("prepare", "pre_sync", "rehearse"):
        _done(move, name)
    assert set(move.journal.kept("rehearse", "seconds")) == {"dump", "copy", "restore", "compare", "start"}
    assert databases.full(move) == []
    assert {each.service for each in lab.new.containers()} == {"db", "mongo"}, "what it started is gone"
    lab.old.compose("exec", "-T", "app", "sh", "-c", "cd /uploads; rm -r gone; echo more >>changed; echo n >new")
    lab.writes()
    for name in ("fence", "final", "land", "start"):
        _done(move, name)
    for source in ("db", "ledger", "events", "audit"):
        was, now = (move.journal.kept("land", f"{source}.{when}") for when in ("before", "after"))
        assert was == now
        assert was["rows"] >= {"ledger": 300, "audit": 50, "events": 500}.get(source, 1)
    counts = "SELECT count(*) || ' ' || max(id) || ' ' || md5(string_agg(note, ',' ORDER BY id)) FROM orders"
    assert lab.sql(counts) == lab.sql(counts, "new")
    assert lab.sql("SELECT has_table_privilege('reader', 'orders', 'SELECT')", "new") == "t"
    assert int(lab.sql("INSERT INTO orders (note) VALUES ('n') RETURNING id", "new")) > int(
        lab.sql("SELECT max(id) FROM orders")
    )
    assert lab.mongo("db.getSiblingDB('events').clicks.countDocuments()", "new") >= "500"
    listed = "cd /uploads; find . -printf '%p %y %m %U %G %n %l\\n' | sort; find . -type f -exec sha256sum {} + | sort"
    one, other = (
        each.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "sidecar", "-c", listed)
        for each in (lab.old, lab.new)
    )
    assert one == other
    assert "new" in one and "gone" not in one
    with urllib.request.urlopen(f"http://{lab.new.server.address}/") as answer:
        assert answer.headers["X-Served-By"] == "new"
    assert lab.old.server.project not in json.dumps(move.journal.events)
    came_back = Path(lab.new.home, mark(lab.new.server.project))  # of a move that led away from there, once
    came_back.parent.mkdir(parents=True, exist_ok=True)
    came_back.write_text("20251128T230000Z\n192.0.2.1, /srv/site\n")
    former = docker.docker(
        "run", "--detach", "--init", "--restart=always", "--entrypoint=sleep",
        f"--label=com.docker.compose.project={lab.old.server.project}", "--label=com.docker.compose.oneoff=False",
        "--label=com.docker.compose.service=former", lab.image, "9999",
    ).stdout.strip()  # fmt: skip
    try:
        _done(move, "retire")
        running = [each.service for each in lab.old.containers() if each.status == "running"]
    finally:
        docker.docker("rm", "--force", former)
    assert running == []
    assert not came_back.exists()
    policies = {each["HostConfig"]["RestartPolicy"]["Name"] for each in lab.old.inspected()}
    assert policies == {"no"}


def _done(move: Move, name: str) -> None:
    """As the runner does it, and once more, as after an interruption."""
    one = step(name)
    assert one.says(move)
    if not one.probe(move):
        one.act(move, unwatched)
    assert one.verify(move)
    assert one.probe(move) or name in ("pre_sync",)


def _state(lab: Lab) -> list[str]:
    """What bears the names of its two projects: other tests' containers come and go."""
    named = [f"--filter=name={site.server.project}" for site in (lab.old, lab.new)]
    told = [docker.docker(*words, "-q", *named).stdout for words in (("ps", "-a"), ("volume", "ls"), ("network", "ls"))]
    assert all(told)
    files = sorted(str(path) for path in lab.folder.rglob("*") if "store" not in path.parts)
    return [*told, *files, hba(lab)]


def _roles(lab: Lab) -> list[tuple[str, list[str]]]:
    told = lab.mongo("print(JSON.stringify(db.getSiblingDB('admin').system.users.find({}, {roles: 1}).toArray()))")
    return sorted((user["_id"], sorted(map(json.dumps, user["roles"]))) for user in json.loads(told))


def _mongo_write(lab: Lab) -> str:
    """As the app."""
    script = (
        "try { const e = connect('mongodb://app:app@127.0.0.1/events'); e.clicks.insertOne({}); print('written') }"
        " catch (e) { print(e.codeName || e.message) }"
    )
    return lab.old.inside("mongo", 'exec mongosh --quiet --norc --nodb --eval "$1"', script).strip().splitlines()[-1]


def _login(lab: Lab, url: str) -> str:
    script = "import psycopg2, sys\ntry: psycopg2.connect(sys.argv[1])\nexcept psycopg2.Error as e: print(e)"
    return lab.old.compose("exec", "-T", "app", "/opt/killick/bin/python", "-c", script, url)
