"""A developer's refresh through the command line: replaced, undone, guarded, interrupted."""

import json
import os
import pty
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from killick.compare import compare
from killick.contents import Contents
from tests.blocks import blocks
from tests.kit import Project, wait_for, wrapper
from tests.lab.pgbouncer import Pgbouncer
from tests.lab.postgres import Postgres
from tests.lab.s3 import S3

CHECKSUM = "SELECT md5(string_agg(o::text, '|' ORDER BY id)) FROM orders o"


@dataclass
class Local:
    """A developer's own database, on a server of its own, with a table that production does not have."""

    server: Postgres
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def mine(self) -> bool:
        """Whether it is what the developer had."""
        return self.tables() == {"mine"} and self.server.execute("SELECT * FROM mine", self.name) == [("my own",)]

    def tables(self) -> set[str]:
        found = self.server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", self.name)
        return {name for (name,) in found}

    def checksum(self) -> str:
        return str(self.server.execute(CHECKSUM, self.name)[0][0])

    def beside(self) -> list[str]:
        found = self.server.execute(f"SELECT datname FROM pg_database WHERE datname LIKE '{self.name}%' ORDER BY 1")
        return [name.removeprefix(self.name) for (name,) in found]


@pytest.fixture(scope="session")
def laptop() -> Iterator[Postgres]:
    with Postgres(16, contrib=True) as server:
        yield server


@pytest.fixture
def local(laptop: Postgres, project: Project) -> Iterator[Local]:
    """Where `killick restore` of the project goes to."""
    found = Local(laptop, f"dev_{secrets.token_hex(4)}")
    laptop.create(found.name)
    laptop.execute("CREATE TABLE mine (what text); INSERT INTO mine VALUES ('my own')", found.name)
    project.environment["RESTORE_URL"] = found.url
    yield found
    for end in ("", "__new", "__old", "__snapshot"):
        laptop.execute(f'DROP DATABASE IF EXISTS "{found.name}{end}" WITH (FORCE)')


def test_replaced_and_undone(project: Project, postgres16: Postgres, database: str, local: Local) -> None:
    id = project.back_up()
    assert f"--yes {local.name}" in project.run("restore", expect=5).err
    assert "is not empty" in project.run("restore", "--yes", expect=5).err
    assert local.mine()
    done = project.run("restore", "--json", "--yes", local.name).json
    assert set(done) == {"id", "into", "seconds", "rows", "undo"}
    assert (done["id"], done["rows"], done["undo"]) == (id, 7000, "killick restore --undo")
    assert list(done["seconds"]) == ["download", "check", "decode", "restore", "analyze", "swap"]
    assert local.server.password not in json.dumps(done)
    assert local.checksum() == postgres16.execute(CHECKSUM, database)[0][0]
    assert local.beside() == ["", "__old"]

    undone = project.run("restore", "--undo", "--json").json
    assert (undone["id"], undone["undo"]) == (None, "killick restore --undo")
    assert local.mine()
    project.run("restore", "--undo")
    assert local.tables() == {"customers", "orders"}


def test_a_copy_is_refreshed_by_a_word_and_never_backed_up(project: Project, local: Local) -> None:
    project.back_up()
    project.run("restore", "--yes", local.name)
    assert "there is no terminal to ask on" in project.run("restore", expect=5).err
    told = project.run("restore", "--yes").out
    assert "old" in told
    assert "to undo it: killick restore --undo" in told
    refused = project.run("backup", expect=5, DATABASE_URL=local.url, RESTORE_URL=None)
    assert "is a copy" in refused.err


def test_a_password_in_into_is_never_shown(project: Project, local: Local) -> None:
    project.back_up()
    done = project.run("restore", "--json", "--into", local.url, "--yes", local.name)
    assert done.json["undo"].startswith("killick restore --undo --into postgres")
    told = project.run("restore", "--into", local.url, "--yes")
    undone = project.run("restore", "--undo", "--json", "--into", local.url)
    assert local.server.password not in "".join(ran.out + ran.err for ran in (done, told, undone))


def test_another_name_than_the_targets(project: Project, local: Local) -> None:
    project.back_up()
    assert f"the target is {local.name}" in project.run("restore", "--yes", "shop", expect=5).err
    assert local.mine()


def test_a_dry_run_shows_the_plan_and_what_would_be_asked(project: Project, local: Local) -> None:
    project.back_up()
    told = project.run("restore", "--dry-run").out
    for step in ("download", "decode", "restore", "analyze", "swap"):
        assert step in told
    assert f"the name {local.name} would have to be typed" in told
    assert "it would be refused" in project.run("restore", "--dry-run", RESTORE_URL=None).out
    document = project.run("restore", "--dry-run", "--json").json
    assert [step["name"] for step in document["steps"]] == ["download", "decode", "restore", "analyze", "swap"]
    assert (document["asks"], document["refused"]) == ("name", None)
    assert "is the very database" in project.run("restore", "--dry-run", "--json", RESTORE_URL=None).json["refused"]
    assert local.mine()
    assert local.beside() == [""]


def answered(project: Project, answer: str, *argv: str) -> tuple[int, str]:
    """A verb on a terminal of its own, where somebody types `answer` once something was asked."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover  # the child
        os.execve(project.command()[0], project.command(*argv), project.with_({}))
    said = b""
    typed = False
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the child's end is closed
            break
        if not piece:
            break
        said += piece
        if not typed and (b"[y/N]" in said or b"type its name" in said):
            os.write(terminal, f"{answer}\n".encode())
            typed = True
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode()


def test_on_a_terminal_it_asks(project: Project, local: Local) -> None:
    project.back_up()
    code, said = answered(project, "production", "restore")
    assert code == 5
    assert "nothing was changed" in said
    assert local.mine()
    code, said = answered(project, local.name, "restore")
    assert code == 0, said
    assert local.tables() == {"customers", "orders"}
    code, said = answered(project, "n", "restore")
    assert code == 1
    assert "Replace" in said
    code, said = answered(project, "y", "restore")
    assert code == 0


# Guards


def forwarder(port: int) -> subprocess.Popen[bytes]:
    """Another address of the same server, as a pool or a tunnel has it."""
    script = (
        "import socket,sys,threading\n"
        "def pump(a,b):\n"
        "  try:\n"
        "    while d:=a.recv(65536): b.sendall(d)\n"
        "  except OSError: pass\n"
        "  finally:\n"
        "    for s in (a,b):\n"
        "      try: s.shutdown(2)\n"
        "      except OSError: pass\n"
        "l=socket.create_server(('127.0.0.1',0)); print(l.getsockname()[1],flush=True)\n"
        "while True:\n"
        f"  a,_=l.accept(); b=socket.create_connection(('127.0.0.1',{port}))\n"
        "  for x,y in ((a,b),(b,a)): threading.Thread(target=pump,args=(x,y),daemon=True).start()\n"
    )
    return subprocess.Popen(["python3", "-c", script], stdout=subprocess.PIPE)


def test_production_is_refused_whatever_it_is_called(project: Project, postgres16: Postgres, database: str) -> None:
    project.back_up()
    plain = postgres16.url(database)
    socket = plain.replace(f"127.0.0.1:{postgres16.port}", "") + f"?host={postgres16.sockets}&port={postgres16.port}"
    with forwarder(postgres16.port) as tunnel:
        assert tunnel.stdout is not None
        port = int(tunnel.stdout.readline())
        disguises = {
            "its own URL": plain,
            "another name of the host": plain.replace("127.0.0.1", "localhost"),
            "a socket": socket,
            "another port": plain.replace(f":{postgres16.port}/", f":{port}/"),
            "options": f"{plain}?application_name=laptop&connect_timeout=3",
        }
        for what, url in disguises.items():
            for consent in ((), ("--yes",), ("--yes", database)):
                refused = project.run("restore", "--into", url, *consent, expect=5)
                assert "is the very database" in refused.err, what
            assert "is the very database" in project.run("restore", "--yes", database, expect=5, RESTORE_URL=url).err
        tunnel.kill()
    assert postgres16.execute("SELECT count(*) FROM orders", database) == [(5000,)]
    for verb in ("snapshot", "reset"):
        assert "is the very database" in project.run(verb, expect=5).err


def test_through_a_pool(project: Project, postgres16: Postgres, database: str, local: Local) -> None:
    """Production is known behind it; a copy is made and put in place behind it, and its clients see it."""
    project.back_up()
    with Pgbouncer(postgres16) as pool:
        refused = project.run("restore", "--into", pool.url(database), "--yes", database, expect=5)
        assert "is the very database" in refused.err
    with Pgbouncer(local.server) as pool:
        client = psycopg2.connect(pool.url(local.name))
        client.autocommit = True
        with client.cursor() as cursor:
            cursor.execute("SELECT what FROM mine")
        project.run("restore", "--into", pool.url(local.name), "--yes", local.name)
        assert local.tables() == {"customers", "orders"}
        client.close()
        with psycopg2.connect(pool.url(local.name)) as again, again.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM orders")
            assert cursor.fetchone() == (5000,)
        again.close()


def test_a_clone_with_productions_identity_is_refused(project: Project, postgres16: Postgres, database: str) -> None:
    """A replica that was promoted, or a copied volume: nobody can tell it from production."""
    project.back_up()
    clone = Postgres(16)
    try:
        base = [postgres16.bin / "pg_basebackup", "-D", clone.folder / "data", "-h", "127.0.0.1"]
        subprocess.run(
            [*base, "-p", str(postgres16.port), "-U", "postgres", "-X", "fetch", "-c", "fast"],
            env={"PGPASSWORD": postgres16.password, "PATH": os.environ["PATH"]}, check=True,
        )  # fmt: skip
        subprocess.run(["chown", "-R", "nobody:nogroup", clone.folder], check=os.geteuid() == 0)
        clone.password = postgres16.password
        clone.start()
        refused = project.run("restore", "--into", clone.url(database), "--yes", database, expect=5)
        assert "is the very database" in refused.err
    finally:
        clone.close()


def test_the_newest_backup_tells_who_production_is_too(
    project: Project, postgres18: Postgres, database: str, local: Local
) -> None:
    """After a move an old backup names the old cluster, and production is the new one."""
    old = project.back_up()
    moved = postgres18.create(database)
    postgres18.execute("CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)", database)
    try:
        project.run("backup", "--adopt", DATABASE_URL=moved, RESTORE_URL=None)
        refused = project.run("restore", old, "--into", moved, "--yes", database, expect=5)
        assert "is the very database" in refused.err
    finally:
        postgres18.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


def test_what_a_move_restored_is_read_back_and_has_statistics(
    project: Project, postgres18: Postgres, database: str
) -> None:
    backup = project.back_up()
    moved = postgres18.create(database)
    try:
        settings = {"DATABASE_URL": moved, "RESTORE_URL": None}
        told = json.loads(project.run("restore", backup, "--adopt", "--look", "--json", **settings).out)
        seen, wanted = (Contents.from_json(told["look"][name]) for name in ("contents", "like"))
        assert compare(wanted, seen) == []
        assert seen.rows == told["rows"] > 0
        assert told["seconds"].keys() >= {"restore", "analyze", "swap", "look"}
        assert postgres18.execute("SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'orders'", database) == [(True,)]
    finally:
        postgres18.execute(f'DROP DATABASE "{database}" WITH (FORCE)')


def test_disaster_recovery(project: Project, postgres16: Postgres, database: str) -> None:
    postgres16.execute(f'CREATE ROLE "{database}_app"; ALTER TABLE orders OWNER TO "{database}_app"', database)
    project.back_up()
    postgres16.execute("DELETE FROM orders", database)
    wrong = project.run("restore", "--yes-overwrite-production", "db.example.org", expect=5)
    assert "the target's host is 127.0.0.1" in wrong.err
    try:
        project.run("restore", "--yes-overwrite-production", "127.0.0.1")
        owner = "SELECT count(*), (SELECT tableowner FROM pg_tables WHERE tablename = 'orders') FROM orders"
        assert postgres16.execute(owner, database) == [(5000, f"{database}_app")]
        project.run("backup")  # it is no copy, but production
    finally:
        for name in (database, f"{database}__old"):
            postgres16.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        postgres16.execute(f'DROP ROLE "{database}_app"')


def test_another_database_on_productions_server(project: Project, postgres16: Postgres, database: str) -> None:
    project.back_up()
    beside = f"{database}_beside"
    try:
        told = project.run("restore", "--into", postgres16.url(beside)).out
        assert "the very server that the backup was made on" in told
        assert "--yes" in project.run("restore", "--into", postgres16.url(beside), expect=5).err
    finally:
        postgres16.execute(f'DROP DATABASE IF EXISTS "{beside}"')


# What is wrong


def test_a_damaged_archive_never_touches_the_target(project: Project, local: Local) -> None:
    id = project.back_up()
    archive = next(Path(project.environment["STORE"].removeprefix("file://")).rglob("*.tar.zst"))
    whole = archive.read_bytes()
    damages = {
        "a byte flipped": whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:],
        "cut": whole[:-100],
        "longer": whole + b"x",
        "empty": b"",
        "another file": os.urandom(len(whole)),
    }
    for what, data in damages.items():
        archive.write_bytes(data)
        assert project.run("restore", "--yes", local.name, expect=4).err, what
        assert local.mine(), what
        assert local.beside() == [""], what
    archive.unlink()
    assert "is not in the store" in project.run("restore", id, "--yes", local.name, expect=4).err
    assert local.mine()


def test_tables_that_are_not_there(project: Project, local: Local) -> None:
    project.back_up()
    assert "did you mean" in project.run("restore", "--table", "order", "--yes", local.name, expect=3).err
    assert local.mine()


def test_the_wrong_key(project: Project, local: Local, tmp_path: Path) -> None:
    keys = [subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout for _ in range(2)]
    public = keys[0].partition("public key: ")[2].split()[0]
    project.back_up(AGE_RECIPIENTS=public)
    for key, identity in zip(keys, ("right", "wrong"), strict=True):
        (tmp_path / identity).write_text(key)
    wrong = project.run("restore", "--yes", local.name, expect=2, AGE_IDENTITY_FILE=str(tmp_path / "wrong"))
    assert "another key" in wrong.err
    assert local.mine()
    project.run("restore", "--yes", local.name, AGE_IDENTITY_FILE=str(tmp_path / "right"))
    assert local.tables() == {"customers", "orders"}


def test_a_backup_of_nothing_replaces_nothing(
    project: Project, postgres16: Postgres, database: str, local: Local
) -> None:
    postgres16.execute("DROP TABLE orders, customers CASCADE", database)
    project.back_up()
    assert "holds no table" in project.run("restore", "--yes", local.name, expect=5).err
    assert local.mine()


def test_options_that_contradict_each_other(project: Project) -> None:
    project.back_up()
    for argv in (
        ("--undo", "--dry-run"), ("--undo", "--table", "x"), ("--all", "--into", "postgres://u@h/x"),
        ("--to-sql", "--into", "postgres://u@h/x"), ("--all", "--table", "x"), ("--to-sql", "--json"),
    ):  # fmt: skip
        assert "do not go together" in project.run("restore", *argv, expect=2).err


def test_nothing_to_undo_or_to_reset(project: Project, local: Local) -> None:
    assert project.run("restore", "--undo", expect=3).err
    assert "killick snapshot" in project.run("reset", expect=3).err
    assert local.mine()


# Interrupted

PHASES = ("download", "check", "decode", "restore", "hooks", "analyze", "swap")


def interrupted(project: Project, local: Local, phase: str, number: signal.Signals) -> bool:
    """Stops a restore when `phase` has just begun. Whether it was stopped there: some are over too soon."""
    before = PHASES[: PHASES.index(phase)]
    with project.running("restore", "--yes", local.name) as process:
        assert process.stderr is not None
        seen: list[str] = []
        while len(seen) < len(before):
            line = process.stderr.readline()
            if not line:
                break
            event = json.loads(line) if line.startswith("{") else {}
            if event.get("event") == "phase-finished":
                seen.append(event["phase"])
        time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=60)
    return process.returncode != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_in_any_phase(project: Project, local: Local, tmp_path: Path, number: signal.Signals) -> None:
    """What is in use is the developer's own or production's copy, whole; and the next run works."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "10-slow.sql").write_text("SELECT pg_sleep(0.2);")
    project.environment["RESTORE_HOOKS"] = str(hooks)
    project.back_up()
    stopped = 0
    for phase in PHASES:
        before = local.tables()
        was_stopped = interrupted(project, local, phase, number)
        stopped += was_stopped
        after = local.tables()
        assert after in ({"mine"}, {"customers", "orders"}), phase
        if was_stopped and number is signal.SIGINT and phase != "swap":
            assert after == before, phase
            assert "__new" not in local.beside(), phase
        if after != {"mine"}:
            project.run("restore", "--undo")
    assert stopped >= 3
    project.run("restore", "--yes", local.name)
    assert local.tables() == {"customers", "orders"}
    assert "__new" not in local.beside()
    assert not list(project.scratch.glob("run-*"))


def test_two_at_once(project: Project, local: Local, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "10-slow.sh").write_text(f"touch {tmp_path}/there; sleep 5")
    project.back_up()
    with project.running("restore", "--yes", local.name, RESTORE_HOOKS=str(hooks)) as first:
        wait_for((tmp_path / "there").exists)
        busy = project.run("restore", "--yes", local.name, expect=7)
        assert "process" in busy.err
        first.communicate(timeout=60)
        assert first.returncode == 0
    assert local.tables() == {"customers", "orders"}


# Hooks


def test_scripts_see_the_copy_before_anybody_else(project: Project, local: Local, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    (hooks / "db").mkdir(parents=True)
    (hooks / "20-names.sql").write_text("UPDATE customers SET name = 'name ' || id, note = current_database();")
    (hooks / "30-count.sh").write_text(
        'psql -XAtc "SELECT count(*) FROM customers" >"$OUT"; echo "$KILLICK_SOURCE $KILLICK_BACKUP" >>"$OUT"'.replace(
            "$OUT", str(tmp_path / "told")
        )
    )
    (hooks / "db/10-first.sql").write_text("CREATE TABLE hooked AS SELECT 1 AS one;")
    (hooks / "40-mongo.js").write_text("not for Postgres")
    (hooks / ".hidden").write_text("")
    id = project.back_up()
    path = f"{local.server.bin}:{os.environ['PATH']}"
    project.run("restore", "--yes", local.name, RESTORE_HOOKS=str(hooks), PATH=path)
    assert local.server.execute("SELECT DISTINCT note FROM customers", local.name) == [(f"{local.name}__new",)]
    assert "hooked" in local.tables()
    assert (tmp_path / "told").read_text().split() == ["2000", "db", id]


NEUTRALISERS = {
    "rails": (
        "CREATE TABLE ar_internal_metadata (key text, value text);"
        "INSERT INTO ar_internal_metadata VALUES ('environment', 'production'), ('schema_sha1', 'x')",
        "SELECT count(*) FROM ar_internal_metadata WHERE value = 'production'",
    ),
    "django": (
        "CREATE TABLE django_site (domain text, name text); CREATE TABLE django_session (session_key text);"
        "INSERT INTO django_site VALUES ('shop.example.org', 'Shop'); INSERT INTO django_session VALUES ('s')",
        "SELECT (SELECT count(*) FROM django_session) + (SELECT count(*) FROM django_site WHERE name = 'Shop')",
    ),
    "site-urls": (
        "CREATE TABLE wp_options (option_name text, option_value text);"
        "INSERT INTO wp_options SELECT o, 'https://shop.example.org' FROM unnest('{siteurl,home}'::text[]) o",
        "SELECT count(*) FROM wp_options WHERE option_value LIKE 'https%'",
    ),
}


def test_the_scripts_of_the_page(
    project: Project, postgres16: Postgres, database: str, local: Local, tmp_path: Path
) -> None:
    """docs/restore.md shows them: as they stand there."""
    page = blocks("docs/restore.md")
    assert set(page) == set(NEUTRALISERS)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name, (tables, _) in NEUTRALISERS.items():
        postgres16.execute(tables, database)
        (hooks / f"{name}.sql").write_text(page[name])
    project.back_up()
    project.run("restore", "--yes", local.name, RESTORE_HOOKS=str(hooks))
    for name, (_, still) in NEUTRALISERS.items():
        assert postgres16.execute(still, database) != [(0,)], name
        assert local.server.execute(still, local.name) == [(0,)], name


def test_a_script_that_fails_leaves_the_old_data_in_use(project: Project, local: Local, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    project.back_up()
    for name, text, said in (
        ("10-bad.sql", "SELECT 1;\nUPDATE nobody SET x = 1;", "10-bad.sql, line 2"),
        ("10-bad.sh", "echo it went wrong >&2; exit 3", "it went wrong"),
    ):
        (hooks / name).write_text(text)
        failed = project.run("restore", "--yes", local.name, expect=1, RESTORE_HOOKS=str(hooks))
        assert said in failed.err
        assert local.mine()
        assert local.beside() == [""]
        (hooks / name).unlink()
    (hooks / "notes.psql").write_text("")
    assert "notes.psql" in project.run("restore", "--yes", local.name, expect=2, RESTORE_HOOKS=str(hooks)).err


# Masks


def test_what_is_masked_is_nowhere_else(project: Project, local: Local) -> None:
    project.back_up()
    mask = {"MASK": "customers.name: name; customers.note: null", "MASK_KEY": "the key of this test"}
    told = project.run("restore", "--yes", local.name, **mask)
    assert "2 columns masked" in told.out
    assert local.server.execute("SELECT count(DISTINCT name), count(note) FROM customers", local.name) == [(2000, 0)]
    assert local.server.execute("SELECT count(*) FROM customers WHERE name LIKE 'name %'", local.name) == [(0,)]
    assert local.server.execute("SELECT count(*) FROM orders JOIN customers c ON c.id = customer", local.name) == [
        (5000,)
    ]
    assert not list(Path(project.environment["CACHE_DIR"]).rglob("*.tar.*"))
    first = local.checksum()
    project.run("restore", "--yes", **mask)
    assert local.checksum() == first
    assert mask["MASK_KEY"] not in "".join(ran.out + ran.err for ran in project.every)


def test_masks_that_are_wanted_and_missing(project: Project, postgres16: Postgres, database: str, local: Local) -> None:
    postgres16.execute("CREATE TABLE people (id int, email text); INSERT INTO people VALUES (1, 'a@b')", database)
    project.back_up()
    refused = project.run("restore", "--require-mask", "--yes", local.name, expect=5)
    assert "people.email" in refused.err
    assert local.mine()
    wrong = project.run("restore", "--yes", local.name, expect=2, MASK="people.emial: email")
    assert "email" in wrong.err
    assert local.mine()
    mask = "people.email: email, customers.name: keep"
    project.run("restore", "--require-mask", "--yes", local.name, MASK=mask, MASK_KEY="k")
    assert local.server.execute("SELECT count(*) FROM people WHERE email = 'a@b'", local.name) == [(0,)]


# Parts, scripts, places


def test_single_tables_and_the_schema_alone(project: Project, local: Local) -> None:
    project.back_up()
    assert "customers" in project.run("restore", "--table", "customers", "--yes", local.name).out
    assert local.tables() == {"customers"}
    assert local.server.execute("SELECT count(*) FROM customers", local.name) == [(2000,)]
    project.run("restore", "--schema-only", "--yes")
    assert local.tables() == {"customers", "orders"}
    assert local.server.execute("SELECT count(*) FROM customers", local.name) == [(0,)]
    (listed,) = project.run("show", "--json").json["evidence"]
    assert listed["kind"] == "backup"  # a part of a backup is no evidence of the whole


def test_to_sql(project: Project, postgres16: Postgres, database: str, local: Local) -> None:
    project.back_up()
    text = project.run("restore", "--to-sql").out
    target = local.server.create(f"{local.name}__snapshot")
    done = subprocess.run(
        [local.server.bin / "psql", "-Xqv", "ON_ERROR_STOP=1", target],
        input=text,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    got = local.server.execute(CHECKSUM, f"{local.name}__snapshot")
    assert got == postgres16.execute(CHECKSUM, database)
    assert "plain SQL" in project.run("restore", "--to-sql", expect=5, MASK="customers.name: name").err
    assert "COPY public.orders" not in project.run("restore", "--to-sql", "--table", "customers").out
    assert local.mine()


def test_in_place(project: Project, local: Local) -> None:
    project.back_up()
    assert project.run("restore", "--in-place", expect=5).err
    done = project.run("restore", "--in-place", "--json", "--yes", local.name).json
    assert done["undo"] is None
    assert local.tables() == {"customers", "orders"}
    assert local.beside() == [""]


def test_snapshot_and_reset(project: Project, local: Local) -> None:
    project.back_up()
    project.run("restore", "--yes", local.name)
    project.run("snapshot")
    local.server.execute("DELETE FROM orders; CREATE TABLE scribble (x int)", local.name)
    done = project.run("reset", "--json").json
    assert done["undo"] == "killick restore --undo"
    assert local.tables() == {"customers", "orders"}
    assert local.server.execute("SELECT count(*) FROM orders", local.name) == [(5000,)]
    project.run("restore", "--undo")
    assert "scribble" in local.tables()
    project.run("reset")
    assert "scribble" not in local.tables()


# All of a run, and a fresh checkout


@pytest.fixture
def uploads(project: Project, tmp_path: Path) -> Path:
    """A second source of the project; its copy goes to RESTORE_URL's side by FILES_UPLOADS of the laptop."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a.txt").write_text("production's")
    project.environment["FILES_UPLOADS"] = str(folder)
    return folder


def test_all_of_one_run(project: Project, local: Local, uploads: Path, tmp_path: Path) -> None:
    made = project.run("backup", "--json", RESTORE_URL=None).json
    mine = tmp_path / "laptop"
    mine.mkdir()
    (mine / "b.txt").write_text("mine")
    theirs = {"FILES_UPLOADS": str(mine)}
    assert project.run("restore", "--all", "--yes", expect=5, **theirs).err
    assert local.mine()
    local.server.execute(f"COMMENT ON DATABASE \"{local.name}\" IS 'killick: copy'")
    (mine / "b.txt").unlink()
    done = project.run("restore", "--all", "--json", "--yes", **theirs).json
    assert [each["id"] for each in done] == [each["id"] for each in made]
    assert local.tables() == {"customers", "orders"}
    assert (mine / "a.txt").read_text() == "production's"


def test_a_folder_named_by_hand_holds_the_files_and_nothing_else(
    project: Project, uploads: Path, tmp_path: Path
) -> None:
    project.run("backup", "uploads")
    project.run("restore", "--source", "uploads", "--into", f"file://{tmp_path}/by-hand")
    assert [path.name for path in (tmp_path / "by-hand").iterdir()] == ["a.txt"]
    assert (
        "is not empty" in project.run("restore", "--source", "uploads", "--into", f"{tmp_path}/by-hand", expect=5).err
    )


def test_when_one_cannot_be_made_none_is_taken_into_use(
    project: Project, local: Local, uploads: Path, tmp_path: Path
) -> None:
    project.run("backup", RESTORE_URL=None)
    local.server.execute(f"COMMENT ON DATABASE \"{local.name}\" IS 'killick: copy'")
    archive = next(Path(project.environment["STORE"].removeprefix("file://")).rglob("*-uploads.tar.zst"))
    archive.write_bytes(archive.read_bytes()[:-1])
    project.run("restore", "--all", "--yes", expect=4, FILES_UPLOADS=str(tmp_path / "laptop"))
    assert local.mine()
    assert local.beside() == [""]


def test_seed(project: Project, local: Local, uploads: Path, tmp_path: Path) -> None:
    project.run("backup", RESTORE_URL=None)
    theirs = {"FILES_UPLOADS": str(tmp_path / "laptop"), "SEED": "latest"}
    assert "SEED is off" in project.run("seed").out
    told = project.run("seed", **theirs).out
    assert "left as it is" in told
    assert local.mine()
    assert (tmp_path / "laptop/a.txt").read_text() == "production's"
    local.server.execute("DROP TABLE mine", local.name)
    (seeded,) = project.run("seed", "--json", **theirs).json
    assert seeded["rows"] == 7000
    assert local.tables() == {"customers", "orders"}
    local.server.execute("DELETE FROM orders", local.name)
    assert project.run("seed", "--json", **theirs).json == []
    assert local.server.execute("SELECT count(*) FROM orders", local.name) == [(0,)]


def test_a_seed_that_is_not_there(project: Project, laptop: Postgres) -> None:
    name = f"dev_{secrets.token_hex(4)}"
    url = laptop.create(name)
    try:
        assert "has no backups" in project.run("seed", expect=3, SEED="latest", RESTORE_URL=url).err
    finally:
        laptop.execute(f'DROP DATABASE "{name}"')


# Archives of older scripts

LEGACY = Path(__file__).parents[1] / "legacy/countable/backups"


@pytest.fixture
def site(project: Project, tmp_path: Path) -> Project:
    """STORE and PROJECT are all the configuration; the store is a copy, since evidence is left beside."""
    shutil.copytree(LEGACY, tmp_path / "countable")
    project.environment |= {"STORE": f"file://{tmp_path}/countable", "PROJECT": "harbour"}
    return project


def test_what_older_scripts_left_is_listed_fetched_and_restored(site: Project, local: Local, tmp_path: Path) -> None:
    listed = site.run("list", "--json").json
    assert len(listed) == 6
    assert {entry["manifest"] for entry in listed} == {False}
    assert listed[0]["time"].startswith("2026-11-15T03:00:02")
    cut = site.run("restore", "--yes", local.name, expect=4)
    assert "lrzip" in cut.err or "decode" in cut.err
    assert local.mine()

    sound = listed[1]["id"]
    site.run("fetch", sound, "-o", str(tmp_path / "harbour.sql"))
    assert (tmp_path / "harbour.sql").read_text().count("COPY harbour.boat") == 1
    done = site.run("restore", "--at", "2026-11-02", "--json", "--yes", local.name).json
    assert (done["id"], done["undo"]) == (sound, "killick restore --undo")
    boats = "SELECT count(*) FROM harbour.boat"
    assert local.server.execute(boats, local.name) == [(300,)]
    assert done["rows"] == 3679
    verified = {entry["id"]: entry["verified"] for entry in site.run("list", "--json").json}
    assert verified[sound]["level"] == 2
    site.run("restore", sound, "--yes")  # out of the cache
    site.run("restore", "--undo")
    assert local.server.execute(boats, local.name) == [(300,)]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("blank", 5, "holds no table"),
        ("lagoon", 4, "encrypted by lrzip"),
    ],
)
def test_older_archives_that_replace_nothing(site: Project, local: Local, name: str, code: int, said: str) -> None:
    assert said in site.run("restore", "--yes", local.name, expect=code, PROJECT=name).err
    assert local.mine()
    assert local.beside() == [""]


def test_an_older_dump_that_would_go_elsewhere_goes_into_the_target(site: Project, local: Local) -> None:
    """It says DROP DATABASE, CREATE DATABASE and connect, each of another database."""
    dangerous = "202401/quay.20240116-030000.sql.lrz"
    before = local.server.execute("SELECT datname FROM pg_database ORDER BY 1")
    told = site.run("restore", dangerous, "--yes", local.name, PROJECT="quay").out
    assert "✓" in told
    assert local.server.execute("SELECT count(*) FROM harbour.boat", local.name) == [(300,)]
    after = local.server.execute("SELECT datname FROM pg_database ORDER BY 1")
    assert {name for (name,) in after} - {name for (name,) in before} == {f"{local.name}__old"}


def test_an_older_dump_with_commands_is_refused(site: Project, local: Local, tmp_path: Path) -> None:
    folder = tmp_path / "countable/evil"
    folder.mkdir()
    text = "--\n-- PostgreSQL database dump\n--\nSELECT 1;\n\\! touch {}\n-- PostgreSQL database dump complete\n"
    (folder / "evil.20261101-030000.sql").write_text(text.format(tmp_path / "run"))
    refused = site.run("restore", "--yes", local.name, expect=5, PROJECT="evil")
    assert "line 5" in refused.err
    assert not (tmp_path / "run").exists()
    assert local.mine()


def test_older_dumps_are_not_masked(site: Project, local: Local) -> None:
    refused = site.run("restore", "--at", "2026-11-02", "--yes", local.name, expect=5, MASK="harbour.boat.name: name")
    assert "plain SQL" in refused.err
    assert local.mine()


# Evidence, and the cache


def test_a_refresh_is_evidence(project: Project, local: Local) -> None:
    project.back_up()
    project.run("restore", "--yes", local.name)
    record = project.run("show", "--json").json["evidence"][-1]
    assert (record["kind"], record["result"], record["level"]) == ("refresh", "passed", 2)
    assert record["rows"] == 7000
    assert project.run("list", "--json").json[0]["verified"]["level"] == 2


def test_a_second_refresh_downloads_nothing(project: Project, local: Local, s3: S3) -> None:
    bucket = s3.bucket(f"second-{secrets.token_hex(4)}")
    environment = {**s3.environment(), "STORE": bucket}
    id = project.back_up(**environment, RESTORE_URL=None)
    project.run("restore", "--yes", local.name, **environment)
    s3.client().put_object(Bucket=bucket.removeprefix("s3://"), Key=f"shop/{id}.tar.zst", Body=b"gone")
    project.run("restore", "--yes", local.name, **environment)
    assert local.tables() == {"customers", "orders"}
    assert not list(project.scratch.glob("run-*"))


def test_an_older_server_than_the_dumps(project: Project, postgres18: Postgres, laptop: Postgres) -> None:
    name = f"new_{secrets.token_hex(4)}"
    source = postgres18.create(name)
    postgres18.execute("CREATE TABLE t (x int)", name)
    try:
        project.back_up(DATABASE_URL=source)
        old = project.run("restore", "--into", laptop.url(f"{name}_c"), expect=1, DATABASE_URL=source)
        assert "18" in old.err
        assert "postgres:18" in old.err
        assert "download" not in old.err
        mine = laptop.create(f"{name}_m")
        laptop.execute("CREATE TABLE mine (x int)", f"{name}_m")
        project.run(
            "restore",
            "--in-place",
            "--into",
            mine,
            "--yes",
            f"{name}_m",
            expect=1,
            DATABASE_URL=source,
            RESTORE_URL=None,
        )
        assert laptop.execute("SELECT count(*) FROM mine", f"{name}_m") == [(0,)]
    finally:
        postgres18.execute(f'DROP DATABASE "{name}"')
        laptop.execute(f'DROP DATABASE IF EXISTS "{name}_m"')


def test_a_client_that_dies_midway(project: Project, local: Local, tmp_path: Path, programs_path: str) -> None:
    """pg_restore that dies leaves the old data in use, and nothing beside it."""
    folder = wrapper(
        tmp_path / "bin",
        local.server.bin / "pg_restore",
        'case "$*" in *--section=data*) kill -9 $$;; esac; exec $REAL "$@"',
    )
    project.back_up()
    failed = project.run("restore", "--yes", local.name, expect=1, PROGRAMS=f"{folder}:{programs_path}")
    assert "signal 9" in failed.err
    assert local.mine()
    assert local.beside() == [""]
