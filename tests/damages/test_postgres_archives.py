"""Damages of Postgres' archives, manifests, and of single bits inside dumps."""

import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from killick.catalog import read
from killick.engines import Source
from tests.contract.postgres.conftest import hard
from tests.damages.archives import STORED, Three, cut, flip, flip_somewhere, with_rows
from tests.damages.table import caught
from tests.damages.truth import Truth, dump_of, failed_at, said, truth, verified
from tests.end_to_end.backups import PROJECT
from tests.lab import postgres
from tests.lab.postgres import Postgres
from verify.choose import unfinished
from verify.options import Options
from verify.verify import without_manifest

MAJORS = postgres.all_majors()
FIRST = MAJORS[0]
EACH = [FIRST, *(pytest.param(major, marks=pytest.mark.slow) for major in MAJORS[1:])]


SINGLE = (
    "manifest lost", "bit of the archive flipped, anywhere", "manifest edited: rows",
    "manifest edited, inside too: rows", "empty but valid dump", "dump of a half-restored database",
    "wrong server version: a newer one's dump", "manifest edited, inside too: server version",
)  # fmt: skip
"""Damages that a test of their own is for."""


@pytest.fixture(scope="module", params=EACH)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Truth, Three]]:
    with Postgres(request.param) as server:
        hard(server, "truth")
        sound = truth(server, tmp_path_factory.mktemp("truth") / "store")
        with sound.clone("DELETE FROM orders WHERE id = 2000") as before:
            older = sound.backups.make(before, -1)
        other = sound.backups.make(Source("other", server.create("other")), 0)
        yield sound, Three(sound.backups, sound.id, older, other)


@pytest.fixture
def three(made: tuple[Truth, Three], tmp_path: Path) -> Three:
    return replace(made[1], backups=made[1].backups.copied(tmp_path / "store"))


@pytest.mark.parametrize("damage", STORED)
def test_in_the_store(three: Three, options: Options, damage: str) -> None:
    level, harm = STORED[damage]
    harm(three)
    failed_at(three.backups, three.id, options, damage, level)


def test_manifest_lost(three: Three) -> None:
    three.manifest.unlink()
    backup = unfinished(read(three.backups.store, PROJECT), three.id)
    assert backup is not None
    report = without_manifest(backup, 4)
    assert (report.result, report.failed_level) == ("failed", 0)
    caught("Postgres", "manifest lost", 0, said(report))


@pytest.mark.parametrize("seed", range(20))
def test_a_byte_flipped_anywhere(three: Three, options: Options, seed: int) -> None:
    flip_somewhere(three.archive, random.Random(seed))
    failed_at(three.backups, three.id, options, "bit of the archive flipped, anywhere", 0)


def data(dump: Path, part: bytes) -> Path:
    """The file of the table that holds this."""
    return next(path for path in sorted(dump.rglob("[0-9]*.dat")) if part in path.read_bytes())


def flip_in(path: Path, after: bytes, bit: int) -> None:
    """A bit of the last byte of `after`."""
    flip(path, path.read_bytes().index(after) + len(after) - 1, bit)


def cut_after(path: Path, end: bytes) -> None:
    cut(path, path.read_bytes().index(end) + len(end))


def recode(path: Path, change: Callable[[str], bytes]) -> None:
    path.write_bytes(change(path.read_text(encoding="utf-8")))


def without_role(dump: Path) -> None:
    file = dump / "globals.sql"
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line for line in lines if "reader" not in line))


ORDERS = b"\n7\t8\t7"
WORDS = "ünï".encode()
INSIDE: dict[str, tuple[int, str, Callable[[Path], object]]] = {
    "rows of a table gone": (1, "not whole", lambda dump: data(dump, ORDERS).unlink()),
    "rows of a table cut in a line": (1, "not whole", lambda dump: cut_after(data(dump, ORDERS), b"\n700\t")),
    "rows of a table cut at a line's end": (
        4,
        "public.orders",
        lambda dump: cut_after(data(dump, ORDERS), b"\n700\t101\t700\t\\N\n"),
    ),
    "list of contents cut": (1, "not whole", lambda dump: cut(next(dump.rglob("toc.dat")), 300)),
    "bit of the list's first byte": (1, "not whole", lambda dump: flip(next(dump.rglob("toc.dat")), 0)),
    "missing role": (2, "reader", without_role),
    "bit between two columns": (2, "orders", lambda dump: flip_in(data(dump, ORDERS), ORDERS[:3], 6)),
    "bit that makes bytes no text": (2, "everything", lambda dump: flip_in(data(dump, WORDS), WORDS[:1], 6)),
    "wrong encoding: LATIN1": (2, "everything", lambda dump: recode(data(dump, WORDS), latin1)),
    "wrong encoding: encoded twice": (4, "public.everything", lambda dump: recode(data(dump, WORDS), twice)),
    "bit of a number": (4, "public.orders", lambda dump: flip_in(data(dump, ORDERS), ORDERS, 0)),
    "bit of a text": (4, "public.everything", lambda dump: flip_in(data(dump, WORDS), WORDS[:3], 0)),
    "bit of a large object": (4, "all", lambda dump: flip(max(dump.rglob("blob_4711.dat")), 5)),
}


def latin1(text: str) -> bytes:
    return text.replace("🎈", "?").encode("latin-1", "ignore")


def twice(text: str) -> bytes:
    return text.encode().decode("latin-1").encode()


@pytest.mark.parametrize("damage", INSIDE)
def test_inside(three: Three, options: Options, damage: str) -> None:
    level, named, harm = INSIDE[damage]
    three.inside(harm)
    failed_at(three.backups, three.id, options, damage, level, named)


END = b"\n\\.\n\n\n"
"""Of a table's file: of its last row, then the mark of COPY, and what pg_dump writes behind it."""


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 40))])
def test_a_bit_of_the_rows_anywhere(three: Three, options: Options, seed: int) -> None:
    """In any table's file, before the dump was compressed. What comes after the last row holds nothing: with other
    bytes there the very same rows come back, and are told to."""
    chance = random.Random(seed)

    def harm(dump: Path) -> None:
        files = [path for path in sorted(dump.rglob("[0-9]*.dat")) if path.stat().st_size > len(END)]
        place = chance.choice(files)
        assert place.read_bytes().endswith(END)
        flip(place, chance.randrange(place.stat().st_size - len(END)), chance.randrange(8))

    three.inside(harm)
    report = verified(three.backups, three.id, options)
    assert report.result == "failed", report.text()


def test_manifest_edited(three: Three, options: Options) -> None:
    sound = three.backups.manifest(three.id)
    three.backups.rewrite(three.id, contents=with_rows(sound, "public.orders", 1).contents)
    failed_at(three.backups, three.id, options, "manifest edited: rows", 1)


def test_manifest_edited_inside_too(three: Three, options: Options) -> None:
    three.backups.remake(three.id, changed=lambda inner: with_rows(inner, "public.orders", 1))
    failed_at(three.backups, three.id, options, "manifest edited, inside too: rows", 4, "public.orders")


def test_empty_but_valid(three: Three, made: tuple[Truth, Three], options: Options) -> None:
    dump_of(Source("db", made[0].server.url("other")), three.backups, three.id)
    failed_at(three.backups, three.id, options, "empty but valid dump", 3, "TABLE public.orders")


def test_half_restored(three: Three, made: tuple[Truth, Three], options: Options, tmp_path: Path) -> None:
    """A dump of a copy whose restore broke off: the rows of half the tables, no index, no constraint."""
    server = made[0].server
    folder = tmp_path / "dump"
    folder.mkdir()
    three.backups.unpacked(three.id, folder)
    url = server.create("half")
    restore = [server.bin / "pg_restore", f"--dbname={url}", "--no-subscriptions"]
    listed = run([server.bin / "pg_restore", "--list", folder / "postgres"]).splitlines()
    rows = [line for line in listed if line.split()[3:5] == ["TABLE", "DATA"]]
    (tmp_path / "list").write_text("\n".join(rows[: len(rows) // 2]))
    run([*restore, "--section=pre-data", folder / "postgres"])
    run([*restore, f"--use-list={tmp_path}/list", folder / "postgres"])
    dump_of(Source("db", url), three.backups, three.id)
    server.execute('DROP DATABASE "half"')
    failed_at(three.backups, three.id, options, "dump of a half-restored database", 3, "orders_pkey")


def run(argv: list[str | Path]) -> str:
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


BROKEN = {
    "duplicate rows under a unique index": (
        "UPDATE pg_index SET indisready = false WHERE indexrelid = 'customers_name_key'::regclass",
        "INSERT INTO customers (name) VALUES ('customer 1')",
        "UPDATE pg_index SET indisready = true WHERE indexrelid = 'customers_name_key'::regclass",
        "customers_name_key",
    ),
    "row whose parent is gone": (
        "SET session_replication_role = replica",
        "DELETE FROM customers WHERE id = 9",
        "RESET session_replication_role",
        "orders_customer_fkey",
    ),
    "row against its check": (
        "ALTER TABLE orders DROP CONSTRAINT later",
        "UPDATE orders SET total = 2000000 WHERE id = 7",
        "ALTER TABLE orders ADD CONSTRAINT later CHECK (total < 1000000) NOT VALID;"
        " UPDATE pg_constraint SET convalidated = true WHERE conname = 'later'",
        "later",
    ),
}
"""Rows that break what the schema promises: how they come in, and what has to be named."""


@pytest.mark.parametrize("damage", BROKEN)
def test_rows_that_cannot_be_restored(made: tuple[Truth, Three], tmp_path: Path, options: Options, damage: str) -> None:
    *statements, named = BROKEN[damage]
    backups = made[0].damaged(tmp_path / "store", *statements)
    failed_at(backups, made[0].id, options, damage, 2, named)


def test_dump_of_a_newer_server(
    three: Three, options: Options, tmp_path_factory: pytest.TempPathFactory, made: tuple[Truth, Three]
) -> None:
    """Its manifest promises the older one. 17 reads what 18 writes: there it fails for what it holds."""
    if made[0].major == MAJORS[-1]:
        pytest.skip("there is none newer here")
    with Postgres(MAJORS[-1]) as newer:
        dump_of(Source("db", newer.create("truth")), three.backups, three.id)
    if made[0].major == 17:
        report = verified(three.backups, three.id, options)
        assert (report.result, report.failed_level) == ("failed", 3), report.text()
        return
    failed_at(three.backups, three.id, options, "wrong server version: a newer one's dump", 2)


def test_manifest_of_a_newer_server(three: Three, options: Options) -> None:
    three.backups.remake(three.id, changed=lambda inner: replace(inner, server_version="99.1"))
    failed_at(three.backups, three.id, options, "manifest edited, inside too: server version", 1, "version")
