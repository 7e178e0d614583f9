"""Dumps that pg_dump itself makes, in all its ways: opened as older archives are, and nothing is lost."""

import bz2
import gzip
import io
import lzma
import os
import pty
import secrets
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from killick.compare import OWNERSHIP, compare
from killick.contents import Contents
from killick.engines import connect, inspect
from killick.errors import Corrupt, Refused, RestoreError, Unsupported
from killick.masking import Mask
from killick.watch import unwatched
from tests.contract.older import Target, opened_file, run
from tests.contract.postgres.conftest import backup, engine, hard, script
from tests.lab.postgres import Postgres


@dataclass(frozen=True)
class Database:
    """What is dumped, and what it holds."""

    server: Postgres
    name: str
    contents: Contents

    def dump(self, path: Path, *flags: str) -> Path:
        run(*self.command(*flags), f"--file={path}", env=self.environment)
        return path

    def command(self, *flags: str) -> list[str]:
        conninfo = engine(self.server, self.name).address.conninfo()
        return [str(self.server.bin / "pg_dump"), *flags, f"--dbname={conninfo}"]

    @property
    def environment(self) -> dict[str, str]:
        return {"PGPASSWORD": self.server.password}

    def through_a_terminal(self, path: Path, *flags: str) -> Path:
        """As `docker exec -t db pg_dump > path` does it."""
        ours, theirs = pty.openpty()
        with path.open("wb") as file:
            reader = threading.Thread(target=_copy, args=(ours, file))
            reader.start()
            child = subprocess.Popen(self.command(*flags), env=self.environment, stdout=theirs, stderr=theirs)
            os.close(theirs)
            assert child.wait() == 0
            reader.join()
        os.close(ours)
        return path


def _copy(descriptor: int, file: IO[bytes]) -> None:
    while True:
        try:
            file.write(os.read(descriptor, 1 << 16))
        except OSError:  # the other end was closed
            return


@pytest.fixture(scope="module")
def difficult(postgres18: Postgres, tmp_path_factory: pytest.TempPathFactory, programs_path: str) -> Iterator[Database]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        name = "text dumps"
        hard(postgres18, name)
        contents = backup(engine(postgres18, name), tmp_path_factory.mktemp("hard")).contents
        yield Database(postgres18, name, contents)
        script(postgres18, name, "SET default_transaction_read_only = off; DROP SUBSCRIPTION afar")
        postgres18.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


# Values that look like what a dump is made of.
ODD = ["\\.", "\n", "\r", "a\r\nb\n\\! id\n", "\\", "'", "$$", "ü", "\t\\t", "--\n", "COPY t FROM stdin;\n", "\\N", ""]


@pytest.fixture(scope="module")
def small(postgres16: Postgres, tmp_path_factory: pytest.TempPathFactory, programs_path: str) -> Iterator[Database]:
    """Values and bodies that look like what a dump is made of, and lines that end in CR LF."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        name = f"small_{secrets.token_hex(4)}"
        postgres16.create(name)
        script(
            postgres16,
            name,
            "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE empty (v text);"
            + "".join(f"INSERT INTO t VALUES ({i}, $value${value}$value$);" for i, value in enumerate(ODD))
            + "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $f$\r\nBEGIN /*\n\\! id\n*/ RETURN 1;\r\nEND $f$;"
            "CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END;"
            "COMMENT ON TABLE t IS 'one\r\ntwo\n\\! id';",
        )
        contents = backup(engine(postgres16, name), tmp_path_factory.mktemp("small")).contents
        yield Database(postgres16, name, contents)
        postgres16.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def target(postgres16: Postgres) -> Iterator[Target]:
    with Target(postgres16) as made:
        yield made


@pytest.fixture
def newest(postgres18: Postgres) -> Iterator[Target]:
    with Target(postgres18) as made:
        yield made


def same(source: Database, target: Target, read: Contents, owned: frozenset[str] = frozenset()) -> None:
    """What is in the copy is what was in the source; what was read in the dump says the same of tables and rows."""
    expected = source.contents
    got = engine(target.server, target.name).contents(expected)
    groups = expected.groups.keys() - OWNERSHIP - {"settings"} | owned
    assert [str(one) for one in compare(expected, got, groups=groups)] == []
    assert {key: table.rows for key, table in read.tables.items()} == {
        key: table.rows for key, table in expected.tables.items()
    }


WAYS = {
    "COPY": (),
    "clean, with comments": ("--clean", "--verbose"),
    "clean if exists, no dollar quotes": (
        "--clean",
        "--if-exists",
        "--disable-dollar-quoting",
        "--quote-all-identifiers",
    ),
    "clean and create": ("--clean", "--create"),
    "session authorization": ("--use-set-session-authorization",),
    "custom": ("--format=custom",),
    "tar": ("--format=tar",),
}


@pytest.mark.parametrize("flags", WAYS.values(), ids=WAYS.keys())
def test_whatever_way_it_was_dumped_nothing_is_lost(
    difficult: Database, newest: Target, flags: tuple[str, ...], tmp_path: Path
) -> None:
    found = opened_file(difficult.dump(tmp_path / "app.dump", *flags), tmp_path)
    inspect("postgres", found.folder)
    newest.load(found)
    same(difficult, newest, found.contents)


def test_with_owners_they_and_their_grants_come_back(difficult: Database, newest: Target, tmp_path: Path) -> None:
    found = opened_file(difficult.dump(tmp_path / "app.sql", "--no-subscriptions"), tmp_path)
    newest.load(found, owners=True)
    same(difficult, newest, found.contents, OWNERSHIP - {"role settings", "subscriptions"})


ROWS = {"COPY": (), "INSERT": ("--inserts",), "INSERT of many": ("--column-inserts", "--rows-per-insert=3")}


@pytest.mark.parametrize("flags", ROWS.values(), ids=ROWS.keys())
def test_lines_of_values_and_of_bodies_keep_their_ends(
    small: Database, target: Target, flags: tuple[str, ...], tmp_path: Path
) -> None:
    found = opened_file(small.dump(tmp_path / "app.sql", *flags), tmp_path)
    assert found.manifest.warnings == ()
    target.load(found)
    same(small, target, found.contents)


@pytest.mark.parametrize("flags", ROWS.values(), ids=ROWS.keys())
def test_what_a_terminal_did_is_undone(small: Database, target: Target, flags: tuple[str, ...], tmp_path: Path) -> None:
    path = small.through_a_terminal(tmp_path / "app.sql", *flags)
    assert path.read_bytes().count(b"\r\n") == path.read_bytes().count(b"\n")
    found = opened_file(path, tmp_path)
    notes = found.manifest.warnings
    assert "CR LF" in notes[0]
    assert any("INSERT" in note for note in notes) is bool(flags)
    target.load(found)
    same(small, target, found.contents)


def test_of_mixed_lines_only_those_outside_of_quotes_are_mended(
    small: Database, target: Target, tmp_path: Path
) -> None:
    text = small.dump(tmp_path / "app.sql").read_bytes()
    begin, copy, rows = text.partition(b"COPY public.t ")
    rows, end, rest = rows.partition(b"\n\\.\n")
    header, create, middle = begin.partition(b"\nCREATE ")
    crlf = [part.replace(b"\n", b"\r\n") for part in (header, rows + end)]
    (tmp_path / "mixed.sql").write_bytes(crlf[0] + create + middle + copy + crlf[1] + rest)
    found = opened_file(tmp_path / "mixed.sql", tmp_path)
    assert "here and in LF there" in found.manifest.warnings[0]
    target.load(found)
    same(small, target, found.contents)


def packed(text: Path, kind: str) -> Path:
    path = text.with_name("packed")
    data = text.read_bytes()
    match kind:
        case "gz":
            path.write_bytes(gzip.compress(data))
        case "bz2":
            path.write_bytes(bz2.compress(data))
        case "xz":
            path.write_bytes(lzma.compress(data))
        case "lzma":
            path.write_bytes(lzma.compress(data, lzma.FORMAT_ALONE))
        case "zst":
            run("zstd", "-q", "--long=31", text, "-o", path)
        case "lrz":
            run("lrzip", "-q", "-o", path, text)
        case "tar":
            with tarfile.open(path, "w") as tar:
                tar.add(text, "/var/backups/app.sql")
                tar.addfile(tarfile.TarInfo("README"), io.BytesIO())
    text.unlink()
    return path.rename(text)


def test_a_mark_before_the_text_is_passed_over(small: Database, target: Target, tmp_path: Path) -> None:
    """A BOM, as editors and PowerShell write it."""
    text = small.dump(tmp_path / "app.sql").read_bytes()
    (tmp_path / "app.sql").write_bytes(b"\xef\xbb\xbf" + text)
    found = opened_file(tmp_path / "app.sql", tmp_path)
    assert found.manifest.warnings == ()
    target.load(found)
    same(small, target, found.contents)


def test_a_transaction_around_the_whole_is_none_of_the_dumps(small: Database, target: Target, tmp_path: Path) -> None:
    text = small.dump(tmp_path / "app.sql").read_bytes()
    (tmp_path / "app.sql").write_bytes(b"BEGIN;\n" + text + b"COMMIT;\n")
    found = opened_file(tmp_path / "app.sql", tmp_path)
    target.load(found)
    same(small, target, found.contents)
    (tmp_path / "more").mkdir()
    (tmp_path / "app.sql").write_bytes(text + b"CREATE TABLE more (id int);\n")
    with pytest.raises(Corrupt):
        opened_file(tmp_path / "app.sql", tmp_path / "more")


@pytest.mark.parametrize("inside", ["words first", "a tar of pg_dump's"])
def test_a_tar_is_no_text_whatever_is_in_it(small: Database, inside: str, tmp_path: Path) -> None:
    data = small.dump(tmp_path / "app", "--format=tar" if inside == "a tar of pg_dump's" else "--format=plain")
    said = b"pg_dump: warning: there are circular foreign-key constraints\n" if inside == "words first" else b""
    found = opened_file(tar(tmp_path / "app.tar", app=said + data.read_bytes()), tmp_path)
    assert found.contents.rows == small.contents.rows


PACKED = ["gz", "bz2", "xz", "lzma", "zst", "lrz", "tar", "gz gz", "zst zst", "gz tar lrz", "tar bz2", "tar gz tar xz"]


@pytest.mark.parametrize("kinds", PACKED)
def test_it_is_unpacked_whatever_it_is_called(small: Database, kinds: str, tmp_path: Path) -> None:
    path = small.dump(tmp_path / "misleading.dump")
    text = path.read_bytes()
    for kind in kinds.split():
        path = packed(path, kind)
    found = opened_file(path, tmp_path)
    assert (found.folder / "plain.sql").read_bytes() == text
    assert found.contents.rows == small.contents.rows
    whole = path.read_bytes().rstrip(b"\0")  # a tar ends in zeros, and in some for good measure
    for share in (0.2, 0.6, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        (tmp_path / f"cut-{share}").mkdir()
        with pytest.raises(Corrupt):
            opened_file(path, tmp_path / f"cut-{share}")


@pytest.mark.parametrize("format", ["plain", "custom", "tar"])
def test_one_that_is_cut_is_refused_wherever_that_is(small: Database, format: str, tmp_path: Path) -> None:
    whole = small.dump(tmp_path / "app.dump", f"--format={format}").read_bytes()
    end = whole.index(b"dump complete") if format == "plain" else len(whole.rstrip(b"\0"))
    for n, size in enumerate([*range(0, end, end // 40), end - 1]):
        (tmp_path / "cut.dump").write_bytes(whole[:size])
        (tmp_path / f"cut-{n}").mkdir()
        with pytest.raises(Corrupt):
            opened_file(tmp_path / "cut.dump", tmp_path / f"cut-{n}")


def test_a_directory_of_pg_dump_in_a_tar(difficult: Database, newest: Target, tmp_path: Path) -> None:
    difficult.dump(tmp_path / "made", "--format=directory", "--jobs=2")
    with tarfile.open(tmp_path / "app.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "made", "backups/made")
    found = opened_file(tmp_path / "app.tar.gz", tmp_path)
    newest.load(found)
    same(difficult, newest, found.contents)


def test_a_dump_of_a_newer_postgres_for_pg_restore_is_refused(
    difficult: Database, target: Target, tmp_path: Path
) -> None:
    found = opened_file(difficult.dump(tmp_path / "app.dump", "--format=custom"), tmp_path)
    assert found.manifest.server_version.startswith("18.")
    with pytest.raises(Unsupported, match="the dump is of Postgres 18"):
        target.load(found)
    assert not target.there()


def test_a_cluster_gives_the_one_database_that_is_wanted(target: Target, tmp_path: Path) -> None:
    with Postgres(16) as cluster:
        script(cluster, "postgres", "CREATE ROLE app LOGIN PASSWORD 'secret'")
        for name in ("one", "two"):
            cluster.create(name)
            script(cluster, name, f"CREATE TABLE t AS SELECT '{name}' AS t; ALTER TABLE t OWNER TO app")
            where = ["--host=127.0.0.1", f"--port={cluster.port}", "--username=postgres", f"--file={tmp_path / name}"]
            run(cluster.bin / "pg_dumpall", *where, env={"PGPASSWORD": cluster.password})
    (tmp_path / "1").mkdir()
    alone = opened_file(tmp_path / "one", tmp_path / "1")
    assert alone.manifest.database == "one"
    assert any("CREATE ROLE, ALTER ROLE" in note and "connect" in note for note in alone.manifest.warnings)
    target.load(alone)
    assert target.rows("TABLE t") == [("one",)]
    assert target.server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'app'") == []
    (tmp_path / "2").mkdir()
    with pytest.raises(Refused, match="one, two"):
        opened_file(tmp_path / "two", tmp_path / "2")
    (tmp_path / "3").mkdir()
    chosen = opened_file(tmp_path / "two", tmp_path / "3", "two")
    assert any("two was taken, not one" in note for note in chosen.manifest.warnings)
    with Target(target.server) as other:
        other.load(chosen)
        assert other.rows("TABLE t") == [("two",)]


def test_another_encoding_is_brought_into_the_databases_own(small: Database, target: Target, tmp_path: Path) -> None:
    path = small.dump(tmp_path / "app.sql", "--encoding=LATIN1")
    assert "ü".encode("latin1") in path.read_bytes()
    found = opened_file(path, tmp_path)
    target.load(found)
    same(small, target, found.contents)


def edited(source: Database, path: Path, before: bytes, text: bytes) -> int:
    """A dump with `text` put in front of where `before` first stands; the line that it then stands in."""
    whole = source.dump(path).read_bytes()
    at = whole.index(before)
    path.write_bytes(whole[:at] + text + whole[at:])
    return whole.count(b"\n", 0, at) + 1


HOSTILE = {
    "a line before the dump": (b"--\n-- PostgreSQL database dump\n", b"\\! touch {}\n", "a backslash command"),
    "a shell": (b"SET lock_timeout", b"\\! touch {}\n", "\\!"),
    "an output": (b"SET lock_timeout", b"\\o |touch {}\n", "\\o"),
    "a copy": (b"SET lock_timeout", b"\\copy t from program 'touch {}'\n", "\\copy"),
    "the middle of a statement": (b"CREATE TABLE", b"SELECT 1 \\g |touch {}\n", "\\g"),
    "behind COPY": (b"COPY public.t ", b"COPY public.empty FROM stdin; \\! touch {}\n\\.\n", "\\!"),
    "a program of the server": (b"COPY public.t ", b"COPY public.t FROM PROGRAM 'touch {}';\n", "COPY"),
    "a file of the server": (b"COPY public.t ", b"COPY public.t TO '{}';\n", "COPY"),
    "an end that loses all": (b"COPY public.t ", b"ROLLBACK;\n", "ROLLBACK"),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_pg_dump_never_writes_is_refused_with_its_line(
    small: Database, hostile: tuple[bytes, bytes, str], tmp_path: Path
) -> None:
    before, text, what = hostile
    path, canary = tmp_path / "app.sql", tmp_path / "canary"
    line = edited(small, path, before, text.replace(b"{}", str(canary).encode()))
    with pytest.raises(Refused) as error:
        opened_file(path, tmp_path)
    assert f"line {line} of the dump holds {what}" in error.value.message
    assert not canary.exists()


def test_a_load_that_fails_leaves_nothing_behind_and_tells_no_row(
    small: Database, target: Target, tmp_path: Path
) -> None:
    line = edited(
        small, tmp_path / "app.sql", b"COPY public.t ", b"COPY public.t (id, v) FROM stdin;\n77x\tsecret\n\\.\n"
    )
    with pytest.raises(RestoreError) as error:
        target.load(opened_file(tmp_path / "app.sql", tmp_path))
    assert f"line {line} of the dump (TABLE DATA t)" in error.value.message
    assert "77x" not in str(error.value) and "secret" not in str(error.value)
    assert connect(target.source).facts().empty


def test_what_a_trigger_raises_is_not_told(small: Database, target: Target, tmp_path: Path) -> None:
    trigger = (
        b"CREATE FUNCTION public.none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''no %'', NEW.id; END';\n"
        b"CREATE TRIGGER none BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.none();\n"
    )
    edited(small, tmp_path / "app.sql", b"COPY public.t ", trigger)
    with pytest.raises(RestoreError) as error:
        target.load(opened_file(tmp_path / "app.sql", tmp_path))
    assert error.value.message.endswith("(TABLE DATA t): a function of the database's own raised an error")


def test_rows_that_the_server_does_not_take_are_missed(small: Database, target: Target, tmp_path: Path) -> None:
    trigger = (
        b"CREATE FUNCTION public.none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';\n"
        b"CREATE TRIGGER none BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.none();\n"
    )
    edited(small, tmp_path / "app.sql", b"COPY public.t ", trigger)
    with pytest.raises(RestoreError, match=f"the server took 0 of {len(ODD)} rows"):
        target.load(opened_file(tmp_path / "app.sql", tmp_path))


def test_a_part_or_a_mask_is_refused_before_anything_is_made(small: Database, target: Target, tmp_path: Path) -> None:
    found = opened_file(small.dump(tmp_path / "app.sql"), tmp_path)
    with pytest.raises(Refused, match="masked"):
        target.load(found, mask=Mask(()))
    with pytest.raises(Refused, match="as a whole"):
        connect(target.source).load(found.folder, 1, found.contents, unwatched, only=["public.t"])
    assert not target.there()


def test_a_copy_holds_no_key_to_another_server(target: Target, tmp_path: Path) -> None:
    text = [
        "CREATE FOREIGN DATA WRAPPER w;",
        "CREATE SERVER far FOREIGN DATA WRAPPER w OPTIONS (host 'elsewhere', password 'hush');",
        "CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (\"user\" 'me', password 'hush');",
        "CREATE FOREIGN TABLE public.theirs (a int) SERVER far;",
        "CREATE VIEW public.between AS SELECT a FROM public.theirs;",
        'CREATE MATERIALIZED VIEW public."it\'s far" AS SELECT a FROM public.between WITH NO DATA;',
        "CREATE MATERIALIZED VIEW public.near AS SELECT 1 AS a WITH NO DATA;",
        'REFRESH MATERIALIZED VIEW public."it\'s far";',
        "REFRESH MATERIALIZED VIEW public.near;",
    ]
    notes = target.load(opened_file(made(tmp_path / "app.sql", *text), tmp_path))
    assert target.value("SELECT srvoptions FROM pg_foreign_server") == ["host=elsewhere"]
    assert target.rows("SELECT umoptions FROM pg_user_mappings") == [(["user=me"],)]
    assert target.rows("TABLE near") == [(1,)]
    assert sum("has no password" in note for note in notes) == 2
    assert any(note.endswith('reads foreign tables: public."it\'s far"') for note in notes)


def test_a_dump_in_one_file_cannot_be_masked(small: Database, target: Target, tmp_path: Path) -> None:
    found = opened_file(small.dump(tmp_path / "app.dump", "--format=custom"), tmp_path)
    with pytest.raises(Refused, match="masked"):
        target.load(found, mask=Mask(()))
    assert not target.there()
    small.dump(tmp_path / "made", "--format=directory")
    with tarfile.open(tmp_path / "app.tar", "w") as packed:
        packed.add(tmp_path / "made", "made")
    (tmp_path / "folder").mkdir()
    with pytest.raises(Refused, match="masked"):
        target.load(opened_file(tmp_path / "app.tar", tmp_path / "folder"), mask=Mask(()))


def test_the_schema_alone(small: Database, target: Target, tmp_path: Path) -> None:
    for flags in ((), ("--inserts",)):
        (tmp_path / "".join(flags)).mkdir(exist_ok=True)
        with Target(target.server) as made:
            made.load(opened_file(small.dump(tmp_path / "app.sql", *flags), tmp_path / "".join(flags)), rows=False)
            assert {name: table["rows"] for name, table in made.tables().items()} == {"public.t": 0, "public.empty": 0}
    (tmp_path / "schema").mkdir()
    found = opened_file(small.dump(tmp_path / "schema.sql", "--schema-only"), tmp_path / "schema")
    assert found.contents.tables.keys() == small.contents.tables.keys()
    assert "there is no row in it" in found.manifest.warnings[0]


def test_rows_alone_are_refused(small: Database, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="none of the tables"):
        opened_file(small.dump(tmp_path / "app.sql", "--data-only"), tmp_path)


def made(path: Path, *lines: str) -> Path:
    """A dump as an older pg_dump would have written it."""
    header = ["--", "-- PostgreSQL database dump", "--", ""]
    path.write_text("\n".join([*header, *lines, "--", "-- PostgreSQL database dump complete", "--", ""]))
    return path


def test_what_old_majors_wrote_goes_into_new_ones(target: Target, tmp_path: Path) -> None:
    found = opened_file(
        made(
            tmp_path / "old.sql",
            "SET client_encoding = 'UTF8';",
            "SET standard_conforming_strings = off;",
            "SET default_with_oids = false;",
            "CREATE SCHEMA public;",
            "ALTER SCHEMA public OWNER TO nobody_here;",
            "CREATE PROCEDURAL LANGUAGE plpgsql;",
            "SET search_path = public, pg_catalog;",
            "CREATE TABLE boat (name text);",
            "COPY boat (name) FROM stdin;",
            "Ada",
            "\\.",
            "INSERT INTO boat VALUES ('it\\'s; \\\\! id');",
            "CREATE FUNCTION one() RETURNS text LANGUAGE sql AS 'SELECT \\';\\'::text';",
            "BEGIN;",
            "SELECT lo_create('7');",
            "COMMIT;",
        ),
        tmp_path,
    )
    assert {key: table.rows for key, table in found.contents.tables.items()} == {"public.boat": 2}
    notes = target.load(found)
    assert any("default_with_oids" in note for note in notes)
    assert target.rows("SELECT name FROM boat ORDER BY 1") == [("Ada",), ("it's; \\! id",)]
    assert target.value("SELECT one()") == ";"
    assert target.value("SELECT count(*) FROM pg_largeobject_metadata") == 1


NOTHING = {
    "words": (b'pg_dump: error: connection to "postgres://app:hush@db/app" failed\n', "these words: pg_dump: error"),
    "another program's words": (b"bash: line 1: pg_dump: command not found\n", "command not found"),
    "not a byte": (b"", "0 bytes"),
    "zeros": (bytes(10240), "tar of nothing"),
    "a text": (b"The boat's name is Ada.\n" * 9, "it is text, but no dump"),
    "bytes": (bytes(range(256)), "no dump that killick knows"),
    "a zip": (b"PK\x03\x04" + bytes(40), "a zip file"),
    "another database's": (b"-- MySQL dump 10.13\n", "a dump of MySQL"),
    "what PowerShell wrote": ("\ufeff--\n-- PostgreSQL database dump\n".encode("utf-16"), "PowerShell"),
    "an encrypted one": (b"age-encryption.org/v1\n", "encrypted by age"),
}


@pytest.mark.parametrize("what", NOTHING.values(), ids=NOTHING.keys())
def test_what_is_no_dump_is_told_apart(what: tuple[bytes, str], tmp_path: Path) -> None:
    data, said = what
    (tmp_path / "app.sql.gz").write_bytes(gzip.compress(data))
    with pytest.raises(Corrupt) as error:
        opened_file(tmp_path / "app.sql.gz", tmp_path)
    assert said in error.value.message
    assert "hush" not in error.value.message
    assert "Ada" not in error.value.message


def tar(path: Path, **members: bytes) -> Path:
    with tarfile.open(path, "w") as made:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return path


def test_nothing_in_a_tar_lands_outside_of_the_folder(small: Database, tmp_path: Path) -> None:
    text = small.dump(tmp_path / "app.sql").read_bytes()
    for name in ("../canary", "a/../../canary", ".."):
        with pytest.raises(Corrupt, match="leads out of the tar"):
            opened_file(tar(tmp_path / "app.tar", **{name: text}), tmp_path)
    with tarfile.open(tmp_path / "links.tar", "w") as made:
        for name, kind, target in (("out", tarfile.SYMTYPE, ".."), ("hard", tarfile.LNKTYPE, "/etc/passwd")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            made.addfile(link)
        member = tarfile.TarInfo("out/canary")
        member.size = len(text)
        made.addfile(member, io.BytesIO(text))
    found = opened_file(tmp_path / "links.tar", tmp_path)
    assert found.contents.rows == small.contents.rows
    assert not list(tmp_path.glob("**/canary"))[1:]
    assert not (tmp_path / "canary").exists() and not (tmp_path.parent / "canary").exists()


def test_a_tar_that_is_cut_between_two_files_is_refused(small: Database, tmp_path: Path) -> None:
    text = small.dump(tmp_path / "app.sql").read_bytes()
    path = tar(tmp_path / "app.tar", **{"app.sql": text})
    path.write_bytes(path.read_bytes()[: tarfile.BLOCKSIZE * (1 + -(-len(text) // tarfile.BLOCKSIZE))])
    with pytest.raises(Corrupt, match="its end is missing"):
        opened_file(path, tmp_path)


def test_of_several_dumps_in_a_tar_none_is_taken(small: Database, tmp_path: Path) -> None:
    text = small.dump(tmp_path / "app.sql").read_bytes()
    with pytest.raises(Refused, match=r"one\.sql, two\.sql"):
        opened_file(tar(tmp_path / "app.tar", **{"one.sql": text, "two.sql": text}), tmp_path)
    with pytest.raises(Corrupt, match="none of the files in it is a dump"):
        opened_file(tar(tmp_path / "app.tar", **{"photo.jpg": b"\xff\xd8", "notes.txt": b"x"}), tmp_path)
