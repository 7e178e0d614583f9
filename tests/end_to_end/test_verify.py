"""Verification of real backups: sound ones pass, damaged ones fail at the right level, and the rest is said."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from killick import programs
from killick.contents import Table
from killick.engines import Source
from killick.manifest import Manifest
from killick.stores import connect
from killick.throwaway import Copy
from killick.watch import Phases
from tests.end_to_end.backups import PROJECT, Backups
from tests.kit import short_folder
from tests.lab import Missing
from tests.lab.mongod import Mongod
from tests.lab.ordinary import ordinary
from tests.lab.postgres import Postgres
from verify.options import Options
from verify.report import Report
from verify.verify import verify

CANARY = "a row that nobody may read"
SCHEMA = f"""
    CREATE ROLE clerk;
    CREATE SCHEMA "Ünder scored";
    CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, mail text UNIQUE);
    CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers,
        total numeric CHECK (total >= 0), twice numeric GENERATED ALWAYS AS (total * 2) STORED);
    CREATE INDEX by_customer ON orders (customer);
    CREATE TABLE "Ünder scored"."we ""ird" (x jsonb, y bytea, z text[]);
    CREATE VIEW rich AS SELECT customer, sum(total) FROM orders GROUP BY customer;
    CREATE TABLE notes (said text);
    INSERT INTO customers (name, mail) SELECT 'Ωmega ' || g, g || '@example.org' FROM generate_series(1, 200) g;
    INSERT INTO orders (customer, total) SELECT 1 + g % 200, g FROM generate_series(1, 1000) g;
    INSERT INTO "Ünder scored"."we ""ird" VALUES ('{{"a": "\\u2693"}}', '\\x00ff', '{{"a,b",NULL}}');
    INSERT INTO notes VALUES ('{CANARY}');
    GRANT SELECT ON customers TO clerk;
"""
VARIANTS = {
    "empty": "TRUNCATE customers, orders, notes",
    "row missing": "DELETE FROM notes",
    "row doubled": "INSERT INTO notes SELECT * FROM notes",
    "value changed": "UPDATE orders SET total = total + 1 WHERE id = 500",
    "two values swapped": "UPDATE customers SET name = 'Ωmega ' || 15 - id WHERE id IN (7, 8)",
    "index missing": "DROP INDEX by_customer",
    "constraint missing": "ALTER TABLE orders DROP CONSTRAINT orders_total_check",
    "foreign key missing": "ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey",
    "table missing": "DROP TABLE notes",
    "view missing": "DROP VIEW rich",
    "grant missing": "REVOKE SELECT ON customers FROM clerk",
    "sequence behind": "SELECT setval('customers_id_seq', 5)",
    "extension missing": "DROP EXTENSION {extension}",
    "column added": "ALTER TABLE notes ADD extra int",
}
"""What was done to the database before a dump that then stands under the manifest of the sound one."""
LEVEL = {
    **dict.fromkeys(("empty", "row missing", "row doubled", "value changed", "two values swapped"), 4),
    "sequence behind": 3,
}


@pytest.fixture(scope="module", autouse=True)
def installed(programs_path: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        yield


@pytest.fixture(scope="module")
def made(postgres16: Postgres, installed: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """{"store": its folder, "old", "new", every variant: an id}."""
    folder = tmp_path_factory.mktemp("store")
    backups = Backups(folder)
    names = {"store": str(folder)}
    url = postgres16.create("sound")
    there = "SELECT name FROM pg_available_extensions WHERE name IN ('vector', 'pg_trgm') ORDER BY name DESC"
    extension = postgres16.execute(there)[0][0]  # one of the wheel's, or one of Debian's
    postgres16.execute(f"{SCHEMA}; CREATE EXTENSION {extension}", "sound")
    for i, (name, statement) in enumerate(VARIANTS.items()):
        postgres16.execute('CREATE DATABASE "variant" TEMPLATE "sound"')
        postgres16.execute(statement.format(extension=extension), "variant")
        names[name] = backups.make(Source("variant", postgres16.url("variant")), i)
        postgres16.execute('DROP DATABASE "variant"')
    names["old"] = backups.make(Source("db", url), 0)
    postgres16.execute("INSERT INTO notes VALUES ('later')", "sound")
    names["new"] = backups.make(Source("db", url), 1)
    return names


@pytest.fixture
def backups(made: dict[str, str], tmp_path: Path) -> Backups:
    return Backups(Path(made["store"])).copied(tmp_path / "store")


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "scratch", where="process")  # in a container: test_containers.py


def told(report: Report) -> tuple[str, int, int | None]:
    return report.result, report.level, report.failed_level


def verified(backups: Backups, id: str, options: Options) -> Report:
    report = verify(backups.store, backups.find(id), options, Phases())
    assert CANARY not in json.dumps(report.to_record()) + report.text()
    assert not list(options.scratch.glob("run-*"))
    return report


def test_a_sound_backup_passes(backups: Backups, made: dict[str, str], options: Options) -> None:
    report = verified(backups, made["new"], options)
    assert told(report) == ("passed", 5, None), report.text()
    assert report.mismatches == ()
    assert report.tables == 4
    assert report.rows == 200 + 1000 + 1 + 2
    assert list(report.seconds) == ["download", "check", "decode", "start", "restore", "compare", "amcheck", "history"]
    assert report.restore_seconds
    assert report.copy is not None
    assert report.copy.version.startswith("16.")
    assert report.empty
    assert "can be restored" in report.text()


def test_a_throwaway_that_is_not_empty(
    backups: Backups, made: dict[str, str], options: Options, postgres16: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is loaded into it: a restore over data would prove nothing, and might be somebody's."""
    url = postgres16.create("somebodys")
    postgres16.execute("CREATE TABLE theirs ()", "somebodys")
    taken = Copy(Source("throwaway", url, owners=True), "process", "16.14", "none", "none", "nobody")
    monkeypatch.setattr("verify.climb.throwaway", lambda *_: nullcontext(taken))
    report = verified(backups, made["new"], options)
    assert (report.result, report.failed_level) == ("unverifiable", None)
    assert "not empty" in report.error
    assert postgres16.execute("SELECT relname FROM pg_stat_user_tables", "somebodys") == [("theirs",)]


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_it_goes_as_far_as_it_is_asked_to(backups: Backups, made: dict[str, str], options: Options, level: int) -> None:
    """A dump whose data differs passes below level 4, and is not loaded below level 2."""
    backups.take_dump(made["new"], made["row missing"])
    report = verified(backups, made["new"], replace(options, level=level))
    assert told(report) == ("passed", level, None), report.text()
    assert (report.copy is None) == (level < 2)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_dump_that_is_not_what_its_manifest_promises(
    backups: Backups, made: dict[str, str], options: Options, variant: str
) -> None:
    backups.take_dump(made["old"], made[variant])
    report = verified(backups, made["old"], options)
    level = LEVEL.get(variant, 3)
    assert told(report) == ("failed", level - 1, level), report.text()
    assert report.mismatches
    assert "FAILED" in report.text()


def cut(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def cut_in_a_line(path: Path) -> None:
    """After the first column of a line in the middle: the rest of it is missing, and all that follows."""
    data = path.read_bytes()
    cut(path, data.index(b"\t", data.index(b"\n", len(data) // 2)))


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def largest(dump: Path) -> Path:
    return max(dump.rglob("*.dat"), key=lambda path: path.stat().st_size)


def notes(dump: Path) -> Path:
    return next(path for path in dump.rglob("*.dat") if CANARY in path.read_text(errors="replace"))


def forget_role(dump: Path) -> None:
    file = dump / "globals.sql"
    text = file.read_text()
    file.write_text("\n".join(line for line in text.splitlines() if "clerk" not in line))
    assert file.read_text() != text


OBJECTS: dict[str, tuple[Callable[[Backups, dict[str, str]], None], int]] = {
    "truncated": (lambda b, m: cut(b.archive(m["new"]), b.archive(m["new"]).stat().st_size // 2), 0),
    "one byte short": (lambda b, m: cut(b.archive(m["new"]), b.archive(m["new"]).stat().st_size - 1), 0),
    "flipped at the start": (lambda b, m: flip(b.archive(m["new"]), 0), 0),
    "flipped in the middle": (lambda b, m: flip(b.archive(m["new"]), b.archive(m["new"]).stat().st_size // 2), 0),
    "archive gone": (lambda b, m: b.archive(m["new"]).unlink(), 0),
    "an older one in its place": (lambda b, m: shutil.copy(b.archive(m["old"]), b.archive(m["new"])) and None, 0),
    "an older one, sizes and hashes put right": (lambda b, m: swap_whole(b, m["new"], m["old"]), 1),
    "another source's, sizes and hashes put right": (lambda b, m: swap_whole(b, m["new"], m["row missing"]), 1),
    "manifest cut": (lambda b, m: cut(b.beside(m["new"]), 200), 0),
    "manifest of another backup": (lambda b, m: shutil.copy(b.beside(m["old"]), b.beside(m["new"])) and None, 0),
    "identity edited": (lambda b, m: b.rewrite(m["new"], identity="42"), 1),
    "rows edited": (lambda b, m: b.rewrite(m["new"], contents=fewer(b.manifest(m["new"])).contents), 1),
    "rows edited, inside too": (lambda b, m: b.remake(m["new"], changed=fewer), 4),
    "no manifest inside": (lambda b, m: without_inner(b, m["new"]), 1),
    "a table's data gone": (lambda b, m: b.remake(m["new"], lambda dump: notes(dump).unlink()), 1),
    "the list of contents cut": (lambda b, m: b.remake(m["new"], lambda d: cut(next(d.rglob("toc.dat")), 300)), 1),
    "a table cut in a line": (lambda b, m: b.remake(m["new"], lambda dump: cut_in_a_line(largest(dump))), 1),
    "a role gone": (lambda b, m: b.remake(m["new"], forget_role), 2),
    "a value changed": (lambda b, m: b.remake(m["new"], lambda d: flip(notes(d), 3)), 4),
}  # fmt: skip


def swap_whole(backups: Backups, id: str, other: str) -> None:
    theirs = backups.manifest(other).archive
    mine = backups.manifest(id).archive
    assert theirs is not None
    assert mine is not None
    shutil.copy(backups.archive(other), backups.archive(id))
    backups.rewrite(id, archive=replace(theirs, key=mine.key))


def fewer(manifest: Manifest) -> Manifest:
    assert manifest.contents is not None
    tables = dict(manifest.contents.tables)
    tables["public.notes"] = Table(**{**{n: getattr(tables["public.notes"], n) for n in Table.__slots__}, "rows": 1})
    return replace(manifest, contents=replace(manifest.contents, tables=tables))


def of_an_old_server(manifest: Manifest) -> Manifest:
    assert manifest.contents is not None
    loose = {**manifest.contents.loose, "versions": {"server": "9", "client": "15"}}
    return replace(manifest, server_version="9.6.24", contents=replace(manifest.contents, loose=loose))


def without_inner(backups: Backups, id: str) -> None:
    """The archive of somebody who made it with tar alone."""
    from killick.codecs import Choice, encode
    from killick.stream import measure
    from killick.tar import pack

    held = backups.manifest(id).archive
    assert held is not None
    folder = backups.folder / "apart"
    folder.mkdir()
    backups.unpacked(id, folder)
    (folder / "manifest.json").unlink()
    new = backups.folder / "new"
    encoded = encode(Choice.of("zstd"), pack(folder, ("first", b"")), new)
    whole = measure(new)
    new.replace(backups.folder / held.key)
    backups.rewrite(
        id,
        archive=replace(
            held, bytes=whole.size, sha256=whole.sha256, raw_bytes=encoded.raw.size, raw_sha256=encoded.raw.sha256
        ),
    )


@pytest.mark.parametrize("damage", OBJECTS)
def test_damage_in_the_store(backups: Backups, made: dict[str, str], options: Options, damage: str) -> None:
    harm, level = OBJECTS[damage]
    harm(backups, made)
    report = verified(backups, made["new"], options)
    assert told(report) == ("failed", max(0, level - 1), level), report.text()
    assert report.error
    assert report.hint


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """A folder with names, modes and links as users make them."""
    root = tmp_path / "up loads%"
    (root / "in ner").mkdir(parents=True)
    (root / "in ner/picture ⚓.txt").write_text(CANARY)
    (root / "in ner/picture ⚓.txt").chmod(0o640)
    (root / os.fsdecode(b"not utf-8 \xff")).write_bytes(b"\0" * 5000)
    (root / "link").symlink_to("in ner")
    (root / "closed").mkdir()
    (root / "closed").chmod(0o500)
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 20)
    return root


def test_files(uploads: Path, tmp_path: Path, options: Options) -> None:
    backups = Backups(tmp_path / "store")
    id = backups.make(Source("uploads", f"file://{quote(str(uploads))}"))
    report = verified(backups, id, options)
    assert told(report) == ("passed", 4, None), report.text()
    assert "files" in report.text()
    assert report.copy is not None
    assert report.copy.where == "process"


FILES: dict[str, tuple[Callable[[Path], object], set[int]]] = {
    "one changed": (lambda dump: flip(next(dump.rglob("picture*")), 3), {2, 4}),
    "one gone": (lambda dump: next(dump.rglob("picture*")).unlink(), {2, 3, 4}),
    "one too many": (lambda dump: (dump / "files/more").write_text(""), {3, 4}),
    "a link elsewhere": (lambda dump: relink(next(dump.rglob("link"))), {2, 3, 4}),
    "all gone": (lambda dump: shutil.rmtree(dump / "files"), {1, 2, 3, 4}),
}


def relink(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc")


@pytest.mark.parametrize("damage", FILES)
def test_damaged_files(uploads: Path, tmp_path: Path, options: Options, damage: str) -> None:
    """The hashes of the archive are right: only what is in it tells. `load` may be the first to see it."""
    backups = Backups(tmp_path / "store")
    id = backups.make(Source("uploads", f"file://{quote(str(uploads))}"))
    harm, levels = FILES[damage]
    backups.remake(id, harm)
    report = verified(backups, id, options)
    assert report.result == "failed", report.text()
    assert report.failed_level in levels, report.text()


def test_mongodb(mongo_set: Mongod, tmp_path: Path, options: Options) -> None:
    """Sound, then under the manifest of other data: one document changed, one missing, an index missing."""
    backups = Backups(tmp_path / "store")
    source = Source("db", re.sub(r":[^:@/]*@", "@", mongo_set.url()), mongo_set.password)
    with mongo_set.client() as client:
        orders = client[f"verify{time.monotonic_ns()}"].orders
        orders.insert_many([{"_id": n, "said": CANARY} for n in range(100)])
        orders.create_index("said")
        sound = backups.make(source, 0)
        orders.update_one({"_id": 7}, {"$set": {"said": "else"}})
        changed = backups.make(source, 1)
        orders.delete_one({"_id": 7})
        missing = backups.make(source, 2)
        client.drop_database(orders.database.name)
    report = verified(backups, sound, options)
    assert told(report) == ("passed", 5, None), report.text()
    assert "100 documents" in report.text() or report.rows > 100
    for other in (changed, missing):
        backups.take_dump(sound, other)
        report = verified(backups, sound, options)
        assert report.result == "failed", report.text()
        assert report.failed_level in {2, 4}, "the load of MongoDB compares what it counted"


def unverifiable(report: Report, reason: str) -> None:
    assert (report.result, report.failed_level, report.reason) == ("unverifiable", None, reason), report.text()
    assert report.error
    assert report.hint
    assert "says nothing about the backup" in report.text()


def test_no_server_of_that_version(backups: Backups, made: dict[str, str], options: Options) -> None:
    backups.remake(made["new"], changed=of_an_old_server)
    report = verified(backups, made["new"], options)
    unverifiable(report, "version")
    assert "9" in report.error
    assert report.level == 1


def test_an_extension_that_the_throwaway_lacks(tmp_path: Path, options: Options) -> None:
    """The source has contrib modules, the server that is here for throwaways has none."""
    with Postgres(16, contrib=True) as server:
        url = server.create("app")
        server.execute("CREATE EXTENSION citext; CREATE TABLE t (x citext)", "app")
        backups = Backups(tmp_path / "store")
        id = backups.make(Source("db", url))
    report = verified(backups, id, options)
    unverifiable(report, "extension")
    assert "citext" in report.error


def test_pruned_meanwhile(backups: Backups, made: dict[str, str], options: Options) -> None:
    backup = backups.find(made["new"])
    backups.archive(made["new"]).unlink()
    backups.beside(made["new"]).unlink()
    assert verify(backups.store, backup, options).reason == "pruned"


def test_a_later_format(backups: Backups, made: dict[str, str], options: Options) -> None:
    beside = backups.beside(made["new"])
    beside.write_text(beside.read_text().replace("killick/1", "killick/2"))
    unverifiable(verified(backups, made["new"], options), "format")


def test_another_recipe(backups: Backups, made: dict[str, str], options: Options) -> None:
    backups.rewrite(made["new"], recipe={"rows": 2, "schema": 1})
    unverifiable(verified(backups, made["new"], options), "recipe")


def test_too_slow(backups: Backups, made: dict[str, str], options: Options) -> None:
    unverifiable(verified(backups, made["new"], replace(options, timeout=0.4)), "timeout")


@pytest.fixture
def age() -> None:
    if shutil.which("age-keygen") is None:
        raise Missing("no age here: apt-get install age")


def test_encrypted_without_its_key_or_without_age(
    postgres16: Postgres, made: dict[str, str], tmp_path: Path, options: Options, age: None
) -> None:
    identity = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    recipient = re.search(r"age1\w+", identity)
    assert recipient
    backups = Backups(tmp_path / "store")
    id = backups.make(Source("db", postgres16.url("sound")), recipients=(recipient.group(),))
    unverifiable(verified(backups, id, options), "key")
    another = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    unverifiable(verified(backups, id, replace(options, identity=another)), "key")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        unverifiable(verified(backups, id, replace(options, identity=identity)), "environment")
    report = verified(backups, id, replace(options, identity=identity))
    assert told(report) == ("passed", 5, None), report.text()


def test_a_codec_that_is_not_here(
    backups: Backups, made: dict[str, str], options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is a fault of this machine: it must not alarm anybody about the backup."""
    monkeypatch.setenv("PATH", "/nowhere")
    unverifiable(verified(backups, made["new"], options), "environment")


def test_no_room(made: dict[str, str], backups: Backups, tmp_path: Path) -> None:
    scratch = tmp_path / "a file"
    scratch.write_text("")
    unverifiable(verify(backups.store, backups.find(made["new"]), Options(scratch)), "disk")


def test_a_store_that_went_away(made: dict[str, str], backups: Backups, options: Options) -> None:
    unreachable = connect("s3://bucket/prefix", None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patch.setenv("AWS_ACCESS_KEY_ID", "x")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        unverifiable(verify(unreachable, backups.find(made["new"]), options), "network")


class Killick:
    """The program, as its users run it."""

    def __init__(self, backups: Backups, scratch: Path) -> None:
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "PROGRAMS", "HOME", "PYTHONPATH") if name in os.environ},
            "PROJECT": PROJECT,
            "STORE": backups.url,
            "SCRATCH_DIR": str(scratch),
            "VERIFY_IN": "process",
        }

    def __call__(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "killick", *arguments], env={**self.env, **env}, capture_output=True, text=True
        )


@pytest.fixture
def killick(backups: Backups) -> Iterator[Killick]:
    with short_folder() as scratch:
        yield Killick(backups, scratch)


def test_the_command_for_programs(killick: Killick, backups: Backups, made: dict[str, str]) -> None:
    done = killick("verify", "latest", "--source", "db", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert list(document) == ["id", "result", "level", "failed_level", "error", "seconds", "tables", "mismatches"]
    assert (document["id"], document["result"], document["level"]) == (made["new"], "passed", 5)
    assert document["failed_level"] is None
    assert document["error"] is None
    (name,) = backups.evidence(made["new"])
    assert name.endswith("-verify-passed-5.json")
    shown = json.loads(killick("show", made["new"], "--json").stdout)
    (record,) = shown["evidence"]
    assert (record["kind"], record["result"], record["level"], record["tables"]) == ("verify", "passed", 5, 4)
    assert record["where"]["network"]
    assert record["where"]["empty"]
    assert record["restore_seconds"] > 0
    listed = json.loads(killick("list", "--source", "db", "--json").stdout)
    assert listed[0]["verified"]["level"] == 5


def test_the_command_for_people(killick: Killick, backups: Backups, made: dict[str, str]) -> None:
    flip(backups.archive(made["old"]), 100)
    done = killick("verify", made["old"])
    assert done.returncode == 1
    assert "FAILED at level 0" in done.stdout
    assert "SHA-256" in done.stdout
    assert [name[17:] for name in backups.evidence(made["old"])] == ["verify-failed-0.json"]
    assert "verify-finished" in done.stderr


def test_all_gives_an_array_and_the_worst_code(killick: Killick, backups: Backups, made: dict[str, str]) -> None:
    cut(backups.archive(made["new"]), 10)
    done = killick("verify", "all", "--json", "--level", "1")
    assert done.returncode == 1
    documents = json.loads(done.stdout)
    assert {document["id"][17:]: document["result"] for document in documents} == {"db": "failed", "variant": "passed"}


def test_random_takes_each_in_turn(killick: Killick, made: dict[str, str]) -> None:
    seen = [
        json.loads(killick("verify", "random", "--source", "db", "--level", "0", "--json").stdout)["id"] for _ in "123"
    ]
    assert set(seen[:2]) == {made["old"], made["new"]}
    assert seen[2] == seen[0]


def test_several_sources_and_none_named(killick: Killick) -> None:
    done = killick("verify")
    assert done.returncode == 2
    assert "db, variant" in done.stderr


def test_an_id_that_there_is_not(killick: Killick, made: dict[str, str]) -> None:
    done = killick("verify", made["new"][:-1])
    assert done.returncode == 3
    assert made["new"] in done.stderr


def test_manifest_lost(killick: Killick, backups: Backups, made: dict[str, str]) -> None:
    """Named, it fails; as the latest it is not considered."""
    backups.beside(made["new"]).unlink()
    done = killick("verify", made["new"], "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["failed_level"] == 0
    assert backups.evidence(made["new"])
    done = killick("verify", "--source", "db", "--level", "0", "--json")
    assert json.loads(done.stdout)["id"] == made["old"]


def test_could_not_verify_is_six(killick: Killick, backups: Backups, made: dict[str, str]) -> None:
    backups.remake(made["new"], changed=of_an_old_server)
    done = killick("verify", made["new"], "--json")
    assert done.returncode == 6
    assert json.loads(done.stdout)["result"] == "unverifiable"
    assert [name[17:] for name in backups.evidence(made["new"])] == ["verify-unverifiable-1.json"]


def test_a_store_that_does_not_answer_is_six(killick: Killick) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    done = killick("verify", STORE="s3://bucket/x", AWS_ENDPOINT_URL="http://127.0.0.1:9", **keys)
    assert done.returncode == 6, done.stderr


def test_evidence_that_cannot_be_written_does_not_change_the_result(
    killick: Killick, backups: Backups, made: dict[str, str]
) -> None:
    (backups.folder / PROJECT / f"{made['new']}.evidence").write_text("in the way")
    done = killick("verify", made["new"], "--level", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not recorded" in done.stdout


@contextmanager
def holding(killick: Killick, id: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A verification with its server up, and the name of its run."""
    child = subprocess.Popen(
        [sys.executable, "-m", "killick", "verify", id], env=killick.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        end = time.monotonic() + 60
        while not (found := servers(child.pid)):
            assert child.poll() is None
            assert time.monotonic() < end
            time.sleep(0.01)
        yield child, found[0]
    finally:
        child.kill()
        child.communicate()


def servers(ancestor: int = 1) -> list[str]:
    """The runs that throwaway servers belong to: those that a process started, or all, other tests' among them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        match = words[0].endswith("/postgres") and re.search(r"/(run-\w+)/server/data", "".join(words))
        if match and ancestor in (1, *ancestors(int(entry.parent.name))):
            found.append(match.group(1))
    return found


def ancestors(pid: int) -> Iterator[int]:
    """The process that started it, the one that started that, and so on; fewer where one ended meanwhile."""
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return
        yield pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_killed_it_leaves_nothing_after_the_next_run(
    killick: Killick, backups: Backups, made: dict[str, str], number: signal.Signals
) -> None:
    with holding(killick, made["new"]) as (child, run):
        child.send_signal(number)
        assert child.wait(5) != 0
    assert backups.evidence(made["new"]) == []
    end = time.monotonic() + 10
    while run in servers():
        assert time.monotonic() < end
        time.sleep(0.05)
    done = killick("verify", made["new"], "--level", "0")
    assert ("swept" in done.stderr) == (number is signal.SIGKILL), done.stderr
    assert not [path for place in ("/var/tmp", "/tmp", killick.env["SCRATCH_DIR"]) for path in left(Path(place), run)]


def left(place: Path, run: str) -> list[Path]:
    return [path for folder in (place, *place.glob("*throwaway*")) for path in folder.glob(run)]


def test_as_an_ordinary_user(backups: Backups, made: dict[str, str], programs_path: str) -> None:
    programs.installed("postgres")
    with ordinary() as user:
        subprocess.run(["cp", "-r", str(backups.folder), str(user.home / "store")], check=True)
        subprocess.run(["chmod", "-R", "a+rwX", str(user.home / "store")], check=True)
        code = (
            "import sys; from pathlib import Path; from killick import stores, catalog;"
            " from verify.options import Options; from verify.verify import verify;"
            " store = stores.connect('file://' + sys.argv[1]);"
            f" backup = next(b for b in catalog.read(store, {PROJECT!r}).backups if b.id == sys.argv[2]);"
            " report = verify(store, backup, Options(Path('scratch'))); print(report.text());"
            " sys.exit(report.result != 'passed')"
        )
        done = user.python("-c", code, str(user.home / "store"), made["new"], env={"PROGRAMS": programs_path})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "user nobody" in done.stdout or os.geteuid() != 0
