"""Masked copies: what is hidden stands nowhere near the target, and what is left still joins."""

import shutil
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from killick.engines.postgres import Postgres as Engine
from killick.engines.postgres.masking import rewrite
from killick.errors import RestoreError, SettingsError
from killick.masking import Mask
from killick.masking.keyed import Keyed
from killick.masking.personal import unmasked
from killick.masking.rules import parse
from killick.watch import unwatched
from tests.contract.postgres.conftest import Backup, Pair, backup, engine, hard, script
from tests.lab.postgres import Postgres

KEY = "a long and random key"
ROWS = 300
FIRST = 777_000_111_222  # the plain numbers begin here
SHOP = Path(__file__).with_name("personal.sql")

MASK = '''
customers.email: email;  orders.customer_email: email
customers.name: name, orders.buyer: name, visits.who: name, people.who: name
customers.phone: constant +000
customers.born: truncate-date month
customers.seen: truncate-date year
customers.number: hash, orders.number: hash
customers.code: hash, customers.key: hash, customers.photo: hash, customers.ip: hash
customers.mood: constant ok
customers.tags: hash
customers.profile.$.email: email, customers.profile.$.list.*.phone: null
customers.raw.$.street: constant removed
customers.note: null, customers.nothing: hash, customers.short: hash, customers."Odd ""one""": hash
a.who: hash
"a b".other: hash
'''
PLAIN = [
    *(b"pl4in", b"Pl4in", *(struct.pack("<q", FIRST + i) for i in (0, 7, 299))),
    *(md5(f"pl4in{i}".encode()).digest() for i in (0, 7, 299)),
]
"""What no file may hold, as text and in Postgres's own forms."""


on16 = pytest.mark.parametrize("pair", [16], indirect=True, ids=["postgres16"])
"""What the major does not matter for."""


@pytest.fixture(scope="module")
def target(pair: Pair) -> Iterator[Postgres]:
    """A server of its own, to be searched; its log has every statement."""
    with Postgres(pair.major, settings={"log_statement": "all", "log_min_messages": "info"}) as server:
        yield server


@pytest.fixture(scope="module")
def _saved(pair: Pair, tmp_path_factory: pytest.TempPathFactory, programs_path: str) -> Backup:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        pair.source.create("masked_shop")
        script(pair.source, "masked_shop", SHOP.read_text())
        return backup(engine(pair.source, "masked_shop"), tmp_path_factory.mktemp("saved"))


@pytest.fixture
def shop(_saved: Backup, tmp_path: Path) -> Backup:
    """A copy of the dump: a load with a mask rewrites it."""
    return again(_saved, tmp_path / "scratch")


def again(saved: Backup, folder: Path) -> Backup:
    shutil.copytree(saved.folder, folder)
    return Backup(folder, saved.contents)


def masking(server: Postgres, database: str, text: str, key: str = KEY) -> Engine:
    return Engine(replace(engine(server, database).source, mask=Mask(parse(text), key)))


def load(server: Postgres, database: str, saved: Backup, text: str = MASK, key: str = KEY) -> tuple[str, ...]:
    return masking(server, database, text, key).load(saved.folder, 2, saved.contents, unwatched)


def holding(place: Path) -> dict[str, list[bytes]]:
    """The files that hold something plain."""
    found = {}
    for path in place.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if hits := [plain for plain in PLAIN if plain in data]:
                found[path.name] = hits
    return found


def table_texts(server: Postgres, database: str) -> str:
    """Every row of every table and view, as text."""
    relations = server.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p', 'm') AND relnamespace = 2200", database
    )
    return "\n".join(
        str(row)
        for (name,) in relations
        for row in server.execute(f"SELECT x::text FROM {name} x ORDER BY 1", database)
    )


def test_nothing_plain_is_anywhere(pair: Pair, target: Postgres, shop: Backup) -> None:
    pair.source.execute("CHECKPOINT")
    assert {plain for hits in holding(pair.source.folder).values() for plain in hits} == set(PLAIN), "the search works"
    assert holding(shop.folder)
    notes = load(target, "shop", shop)
    assert "masked 28 columns of 9 tables" in notes
    target.execute("CHECKPOINT")
    assert "COPY public.customers" in target.log.read_text()
    assert holding(target.folder) == {}
    assert holding(shop.folder) == {}
    assert "l4in" not in table_texts(target, "shop")


def test_what_is_left_is_as_it_was(pair: Pair, target: Postgres, shop: Backup) -> None:
    load(target, "left", shop)
    copy = engine(target, "left")
    got = copy.contents(shop.contents)
    assert {key: table.rows for key, table in got.tables.items()} == {
        key: table.rows for key, table in shop.contents.tables.items()
    }
    assert got.groups["schema"] == shop.contents.groups["schema"]

    def both(query: str) -> list[tuple[Any, ...]]:
        before, after = (
            server.execute(query, database) for server, database in ((pair.source, "masked_shop"), (target, "left"))
        )
        assert before == after
        return after

    both("SELECT count(*), count(DISTINCT email), count(DISTINCT number), count(DISTINCT key) FROM customers")
    both("SELECT c.id, sum(total) FROM customers c JOIN orders o ON o.customer_email = c.email GROUP BY 1 ORDER BY 1")
    both("SELECT c.id, sum(total) FROM customers c JOIN orders o USING (number) GROUP BY 1 ORDER BY 1")
    both("SELECT id, profile ->> 'keep', profile #>> '{list,1}', array_length(tags, 1) FROM customers ORDER BY 1")
    both("SELECT count(*) FROM customers WHERE note IS NULL OR nothing IS NULL OR tags[2] IS NULL")
    both("SELECT tableoid::regclass::text, count(*), min(at), sum(n) FROM visits GROUP BY 1 ORDER BY 1")
    both("SELECT count(*) FROM customers WHERE profile ->> 'email' = email")
    both("SELECT date_trunc('year', born), count(*) FROM customers GROUP BY 1 ORDER BY 1")
    both("SELECT salary FROM staff")
    keyed = Keyed(KEY)
    ((email, name, made, phone, street, at),) = target.execute(
        "SELECT email, name, lower_name, profile #>> '{list,0,phone}', raw::text, born FROM customers WHERE id = 1",
        "left",
    )
    assert (email, name, made, phone) == (
        keyed.email("pl4in0@secret.test"),
        keyed.name("Pl4inname 0"),
        keyed.name("Pl4inname 0").lower(),
        None,
    )
    assert street == '{"a": 1.50,  "street": "removed", "a": 2}'
    assert str(at) == "1980-02-01"
    assert target.execute("SELECT who, at::text FROM visits WHERE n = 301", "left") == [
        (keyed.name("Pl4inname 1"), "2026-03-29")
    ]
    assert target.execute("SELECT DISTINCT phone, mood::text, seen::text FROM customers", "left") == [
        ("+000", "ok", "2026-01-01 00:00:00+00")
    ]
    assert target.execute('SELECT who FROM a UNION ALL SELECT other FROM "a b"', "left") == [
        (keyed.text("pl4in a"),),
        (keyed.text("pl4in a b"),),
    ]
    assert target.execute('SELECT who FROM "a b"', "left") == [("kept",)]


@on16
def test_the_same_key_gives_the_same_copy(pair: Pair, target: Postgres, shop: Backup, tmp_path: Path) -> None:
    for i, key in enumerate((KEY, KEY, "another key", "")):
        notes = load(target, f"copy{i}", again(shop, tmp_path / str(i)), key=key)
        assert any("MASK_KEY is not set" in note for note in notes) == (not key)
    first, same, other, without = (table_texts(target, f"copy{i}") for i in range(4))
    assert first == same
    assert len({first, other, without}) == 3


@on16
def test_the_key_is_in_no_command_line(target: Postgres, shop: Backup) -> None:
    seen: set[bytes] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(place.read_bytes())
                except OSError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        load(target, "argv", shop)
    finally:
        stop.set()
        watcher.join()
    assert any(rewrite.__name__.encode() in line for line in seen), "the search works"
    assert not any(KEY.encode() in line for line in seen)
    assert KEY not in target.log.read_text()


@on16
def test_single_tables_are_masked_too(target: Postgres, shop: Backup) -> None:
    only = ["public.visits_new", "public.a"]
    masking(target, "single", MASK).load(shop.folder, 1, shop.contents, unwatched, only=only)
    assert target.execute("SELECT count(*) FROM visits_new", "single") == [(187,)]
    assert "l4in" not in table_texts(target, "single")
    target.execute("DROP DATABASE single")


TOGETHER = {
    "customers.email: null": "it may not be null",
    "customers.must: null": "it may not be null",
    "customers.id: constant 7": "it is unique, and 300 rows cannot have one constant",
    "customers.short: email": "a masked address has 28 characters, and it is character varying(20)",
    "customers.number: email": "email is for texts, and it is bigint",
    "customers.photo: name": "name is for texts, and it is bytea",
    "customers.mood: constant happy": "Postgres: invalid input value for enum public.mood",
    "customers.key: constant x": "Postgres: invalid input syntax for type uuid",
    f"customers.name: constant {'x' * 61}": "Postgres: value too long for type character varying(60)",
    "orders.customer_email: constant x": "Postgres: value for domain public.mail violates check constraint",
    "customers.born: truncate-date day": "truncate-date day changes nothing in a date",
    "customers.tags: truncate-date year": "truncate-date is for dates and timestamps, and it is text[]",
    "customers.note.$.a: null": "a path leads into json and jsonb only, and it is text",
    "visits.at: hash": "hash is for texts, numbers and uuids, and it is date",
}


def test_rules_that_cannot_work_are_told_together_before_a_row_is_there(target: Postgres, shop: Backup) -> None:
    files = {path: path.read_bytes() for path in shop.folder.rglob("*.dat")}
    with pytest.raises(SettingsError) as caught:
        load(target, "together", shop, "\n".join(TOGETHER))
    told = caught.value.problems
    for rule, says in TOGETHER.items():
        column = rule.partition(": ")[0]
        assert [problem for problem in told if problem.startswith(f"MASK: public.{column}: {says}")], (rule, told)
    others = [problem for problem in told if "public.visits_" not in problem]  # its partitions are told of as well
    assert len(others) == len(TOGETHER) + 1 and "mask both alike" in "".join(others)
    assert {path: path.read_bytes() for path in shop.folder.rglob("*.dat")} == files
    assert target.execute("SELECT count(*) FROM customers", "together") == [(0,)]
    assert target.execute("SELECT count(*) FROM pg_index WHERE indrelid = 'customers'::regclass", "together") == [(0,)]


@on16
@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("customers.email: email", "public.customers.email is referenced by public.orders.customer_email: mask both"),
        ("orders.customer_email: email", "public.customers.email is referenced by public.orders.customer_email"),
        ("customers.email: hash, orders.customer_email: email", "mask both alike"),
        ("customers.lower_name: hash", "customers.lower_name: public.customers has no such column"),
        ("orders.ghost: hash", "it has id, customer_email"),
        ("addresses.email: hash", "is a materialized view"),
    ],
)
def test_a_rule_that_is_refused(target: Postgres, shop: Backup, rules: str, says: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(target, "refused", shop, rules)
    assert says in caught.value.problems[0]
    target.execute("DROP DATABASE IF EXISTS refused")


@on16
def test_references_that_become_null(target: Postgres, shop: Backup) -> None:
    load(target, "loose", shop, "customers.email: email, orders.customer_email: null")
    assert target.execute("SELECT count(customer_email), count(*) FROM orders", "loose") == [(0, 900)]
    target.execute("DROP DATABASE loose")


@pytest.mark.parametrize(
    ("rules", "reason", "says"),
    [
        ("customers.phone: hash", "check-constraint", "customers_phone_check"),
        ("customers.email: hash, orders.customer_email: hash", "check-constraint", "mail_check"),
        ("visits.at: truncate-date year", "", ""),
        ("visits.n: hash", "check-constraint", "partition constraint"),
    ],
)
def test_masked_rows_are_held_to_every_constraint(
    target: Postgres, shop: Backup, rules: str, reason: str, says: str
) -> None:
    try:
        if not reason:
            load(target, "held", shop, rules)
            return
        with pytest.raises(RestoreError) as caught:
            load(target, "held", shop, rules)
        assert says in caught.value.message and caught.value.reason == reason
        assert "MASK" in caught.value.hint and "pl4in" not in str(caught.value).lower()
    finally:
        target.execute("DROP DATABASE IF EXISTS held WITH (FORCE)")


@on16
def test_a_unique_column_that_is_no_longer(pair: Pair, target: Postgres, tmp_path: Path) -> None:
    pair.source.create("unique_dates")
    script(
        pair.source, "unique_dates", "CREATE TABLE t AS SELECT '2026-01-01'::date + i AS d FROM generate_series(1, 9) i"
    )
    script(pair.source, "unique_dates", "CREATE UNIQUE INDEX ON t (d)")
    saved = backup(engine(pair.source, "unique_dates"), tmp_path)
    with pytest.raises(RestoreError, match=r"could not create unique index .*t_d_idx") as caught:
        load(target, "unique_dates", saved, "t.d: truncate-date year")
    assert caught.value.hint.startswith("masked values break it")


@on16
def test_names_are_unique_where_they_must_be(pair: Pair, target: Postgres, tmp_path: Path) -> None:
    """And the same in the other table, although nothing asks for it there."""
    pair.source.create("unique_names")
    script(
        pair.source,
        "unique_names",
        "CREATE TABLE users (name text, UNIQUE (name)); CREATE TABLE posts (author varchar(80));"
        " INSERT INTO users SELECT 'plain ' || i FROM generate_series(1, 9000) i; INSERT INTO posts TABLE users",
    )
    saved = backup(engine(pair.source, "unique_names"), tmp_path)
    load(target, "unique_names", saved, "users.name: name, posts.author: name")
    assert target.execute("SELECT count(*) FROM users JOIN posts ON name = author", "unique_names") == [(9000,)]


@on16
def test_partitions_come_with_their_table_and_may_differ(pair: Pair, target: Postgres, shop: Backup) -> None:
    load(target, "differ", shop, "visits.who: null, visits_old.who: hash, visits_old_1.who: keep, visits_new.n: null")
    kept = target.execute(
        "SELECT tableoid::regclass::text, bool_and(who LIKE 'Pl4in%'), bool_or(who IS NULL), count(n) > 0 FROM visits"
        " GROUP BY 1 ORDER BY 1",
        "differ",
    )
    assert kept == [
        ("visits_new", None, True, False),
        ("visits_old_0", False, False, True),
        ("visits_old_1", True, False, True),
    ]
    target.execute("DROP DATABASE differ")


@on16
def test_without_a_word_in_the_manifest_partitions_are_masked_all_the_same(
    target: Postgres, shop: Backup, tmp_path: Path
) -> None:
    """As in backups of an older killick: the target's own catalog tells."""
    older = {key: replace(table, ancestors=()) for key, table in shop.contents.tables.items()}
    contents = replace(shop.contents, tables=older)
    single = again(shop, tmp_path / "single")
    load(target, "older", Backup(shop.folder, contents), "visits.who: null")
    assert target.execute("SELECT count(who), count(*) FROM visits", "older") == [(0, 400)]
    only = ["public.visits_old_0"]
    masking(target, "single", "visits.who: null").load(single.folder, 1, contents, unwatched, only=only)
    assert target.execute("SELECT count(who), count(*) > 100 FROM visits", "single") == [(0, True)]
    for database in ("older", "single"):
        target.execute(f"DROP DATABASE {database}")


@on16
def test_columns_that_look_personal(shop: Backup) -> None:
    everything = unmasked(shop.contents, None)
    assert {"public.customers.email", "public.customers.phone", "public.orders.customer_email"} <= set(everything)
    assert not {column for column in everything if column in unmasked(shop.contents, Mask(parse(MASK)))}


def test_a_latin1_database(pair: Pair, target: Postgres, tmp_path: Path) -> None:
    pair.source.execute("CREATE DATABASE latin_masked TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    statement = (
        "SET client_encoding = LATIN1; CREATE TABLE \"é\" AS SELECT 'Zoë'::text AS \"ü\", 'Zoë'::text AS note,"
        ' \'{"é": {"à": "plain", "ñ": "Zoë"}}\'::jsonb AS doc, ARRAY[\'Zoë\', \'ok\'] AS list;'
        ' ALTER TABLE "é" ADD UNIQUE ("ü")'
    )
    script(pair.source, "latin_masked", statement.encode("latin1"))
    saved = backup(engine(pair.source, "latin_masked"), tmp_path)
    with pytest.raises(SettingsError, match="iso8859_1, which has not all characters of the constant"):
        load(target, "latin_masked", saved, '"é".note: constant 日本')
    target.execute("DROP DATABASE latin_masked")
    load(
        target,
        "latin_masked",
        saved,
        '"é"."ü": hash, "é".note: constant Ünknöwn, "é".doc.$."é"."à": null, é.list: hash',
    )
    ((hidden, note, doc, listed),) = target.execute('SELECT "ü", note, doc, list FROM "é"', "latin_masked")
    keyed = Keyed(KEY)
    assert (hidden, note, listed) == (keyed.text("Zoë"), "Ünknöwn", [keyed.text("Zoë"), keyed.text("ok")])
    assert doc == {"é": {"à": None, "ñ": "Zoë"}}


@on16
def test_an_sql_ascii_database(pair: Pair, target: Postgres, tmp_path: Path) -> None:
    pair.source.execute("CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    statement = (
        "SET client_encoding = SQL_ASCII; CREATE TABLE t AS SELECT '\xff\xe9plain'::text AS a, 'Zo\xc3\xab'::text AS b"
    )
    script(pair.source, "bytes", statement.encode("latin1"))
    saved = backup(engine(pair.source, "bytes"), tmp_path)
    load(target, "bytes", saved, "t.a: hash, t.b: hash")
    ((first, second),) = target.execute("SELECT a, b FROM t", "bytes")
    assert len(first) == 24 and second == Keyed(KEY).text("Zoë")


@on16
def test_a_table_that_has_another_name_in_the_target_is_not_loaded_as_it_is(
    pair: Pair, target: Postgres, tmp_path: Path
) -> None:
    """Bytes out of an SQL_ASCII database are characters in one of UTF-8, which this role may not make anew."""
    pair.source.execute("CREATE DATABASE named TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    script(pair.source, "named", "SET client_encoding = SQL_ASCII; CREATE TABLE \"é\" AS SELECT 'pl4in'::text AS t")
    saved = backup(engine(pair.source, "named"), tmp_path)
    (table,) = saved.contents.tables
    target.create("named")
    script(target, "named", "CREATE ROLE weak LOGIN PASSWORD 'weak'; GRANT ALL ON SCHEMA public TO weak")
    script(target, "named", "GRANT ALL ON DATABASE named TO weak")
    weak = engine(target, "named", user="weak", password="weak").source
    with pytest.raises(RestoreError, match="the target has no table") as caught:
        Engine(replace(weak, mask=Mask(parse(f"{table}.t: null"), KEY))).load(tmp_path, 1, saved.contents, unwatched)
    assert "encoding" in caught.value.hint
    assert target.execute('SELECT count(*) FROM "é"', "named") == [(0,)]


def test_the_hard_database(pair: Pair, target: Postgres, tmp_path: Path) -> None:
    """Every awkward value of every type that a kind knows, weird names, inherited columns in another order."""
    if not pair.source.execute("SELECT 1 FROM pg_database WHERE datname = 'hard to mask'"):
        hard(pair.source, "hard to mask")
    saved = backup(engine(pair.source, "hard to mask"), tmp_path)
    weird = '"Weird Schema"."Tab le ""q"" \'a\' %s 🎈"'
    rules = f"""
        everything.small: hash, everything.n: hash, everything.t: hash, everything.c: hash, everything.v: hash
        everything.b: hash, everything.d: truncate-date year, everything.ts: truncate-date month
        everything.tz: truncate-date day, everything.j.$.a: hash, everything.jb: hash, everything.u: hash
        everything.ip: hash, everything.ints: hash, everything.texts: hash, everything.m: constant ok
        everything.p: hash, everything.pr: null, everything.ci: email, everything."t""quoted": hash
        everything."column": constant 🎈, everything.iv: constant '1 day', everything.tmz: null
        {weird}."%": hash; {weird}."new\nline": null
        "new\nline".i: hash, "TABLE DATA public x".i: hash, public."postgres://a=b".i: hash
        x.x: hash, blanks.t: hash, wide.b: hash, priced.note: null, parent.name: hash, child.name: null
        events.body: name, customers.name: hash, nothing_here.x: keep
    """
    with pytest.raises(SettingsError, match="does not hold nothing_here"):
        load(target, "hard", saved, rules)
    notes = load(target, "hard", saved, rules.replace(", nothing_here.x: keep", ""))
    assert "large objects are as they were: MASK does not reach them" in notes
    got = engine(target, "hard").contents(saved.contents)
    assert {key: table.rows for key, table in got.tables.items()} == {
        key: table.rows for key, table in saved.contents.tables.items()
    }
    keyed = Keyed(KEY)
    rows = target.execute(
        "SELECT t, c, v, d::text, ts::text, n::text, j::text, texts::text, ints::text, ip::text, m::text"
        " FROM everything ORDER BY id",
        "hard",
    )
    assert [row[0] for row in rows] == [keyed.text("tab\t nl\n cr\r bs\\ \\. \\N null"), keyed.text("\\."), ""]
    assert [row[1] for row in rows] == [keyed.text("a")[:5], None, "     "]
    assert [row[2] for row in rows] == ["", None, keyed.text("\t")[:9]]
    assert [row[3] for row in rows] == ["infinity", "4714-11-24 BC", "0001-01-01"]
    assert [row[4] for row in rows] == ["-infinity", "294276-12-01 00:00:00", "1970-01-01 00:00:00"]
    assert rows[0][5] == "NaN" and len(rows[1][5]) == 40 and rows[2][5] == "0.000"
    assert rows[0][6] == f'{{"a": {keyed.number("1")}, "a": {keyed.number("2")}}}'
    assert rows[0][7] == '{{"",{},NULL,{},{}}}'.format(*(keyed.text(text) for text in ("NULL", "a,b", "\\")))
    assert rows[0][8] == f"{{{keyed.number('1')},NULL,{keyed.number('3')}}}" and rows[2][8].startswith("[0:1]={")
    assert rows[0][9].endswith("/64") and [row[10] for row in rows] == ["ok"] * 3
    assert target.execute("SELECT name FROM ONLY parent", "hard") == [(keyed.text("p"),)]
    assert target.execute("SELECT DISTINCT name FROM child", "hard") == [(None,)]
    assert target.execute("SELECT count(*) FROM events WHERE body LIKE 'event%'", "hard") == [(0,)]


@on16
def test_a_load_without_a_mask_leaves_the_folder_as_it_is(pair: Pair, shop: Backup) -> None:
    """And every value comes over: the masks above are what hides them. Nor is a schema without rows masked."""
    files = {path: path.read_bytes() for path in shop.folder.rglob("*.dat")}
    engine(pair.other, "plain_shop").load(shop.folder, 1, shop.contents, unwatched)
    assert pair.other.execute("SELECT count(*) FROM customers WHERE email LIKE 'pl4in%'", "plain_shop") == [(ROWS,)]
    bare = replace(masking(pair.other, "bare_shop", MASK).source, rows=False)
    Engine(bare).load(shop.folder, 1, shop.contents, unwatched)
    assert {path: path.read_bytes() for path in shop.folder.rglob("*.dat")} == files


@on16
def test_errors_of_values_name_the_column_and_quote_nothing(pair: Pair, target: Postgres, tmp_path: Path) -> None:
    pair.source.create("deep")
    script(
        pair.source,
        "deep",
        "CREATE TABLE t AS SELECT (repeat('[', 3000) || '\"plain\"' || repeat(']', 3000))::json AS doc",
    )
    saved = backup(engine(pair.source, "deep"), tmp_path)
    with pytest.raises(RestoreError, match=r"public\.t\.doc holds a document that is nested too deeply") as caught:
        load(target, "deep", saved, "t.doc.$.a: null")
    assert caught.value.reason == "masking" and "pl4in" not in str(caught.value)
    assert target.execute("SELECT count(*) FROM t", "deep") == [(0,)]
