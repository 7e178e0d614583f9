"""Masking the rows of a dump: how values are written, what becomes of them by type, and which rules are refused."""

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from killick.engines.postgres.masking import checks, dates, documents, rewrite
from killick.engines.postgres.masking.copytext import NULL, elements, plain, written
from killick.engines.postgres.masking.rewrite import Work
from killick.engines.postgres.masking.target import Facts, Reference
from killick.engines.postgres.masking.values import Column, field
from killick.masking import Rule, Unmaskable
from killick.masking.keyed import Keyed
from killick.masking.rules import parse

KEY = "a long and random key"
KEYED = Keyed(KEY)
TEXT = Column("text", "text")
END = b"\\.\n\n\n"


# How values are written


@given(st.binary(max_size=60))
@example(b"\\N")
@example(b"\\.")
@example(b"\b\f\n\r\t\v\\0")
def test_what_is_written_is_read(value: bytes) -> None:
    field = written(value)
    assert plain(field) == value
    assert field != NULL
    assert not set(field) & set(b"\b\f\n\r\t\v")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (rb"a\tb\nc\rd\be\ff\vg\\h", b"a\tb\nc\rd\be\ff\vg\\h"),
        (rb"\101\60\0x", b"A0\0x"),
        (rb"\x41\xe9\x4g", b"A\xe9\x04g"),
        (rb"\xzz\q\.", b"xzzq."),
    ],
)
def test_every_escape_of_copy_is_read(field: bytes, value: bytes) -> None:
    assert plain(field) == value


@pytest.mark.parametrize(
    ("array", "result"),
    [
        ("{}", "{}"),
        ("{a,NULL,null,b c}", '{"A",NULL,null,"B C"}'),
        ('{"NULL","","a,b","x\\"y\\\\z"}', '{"NULL","","A,B","X\\"Y\\\\Z"}'),
        ("[0:1]={a,b}", '[0:1]={"A","B"}'),
        ("{{a,b},{c,d}}", '{{"A","B"},{"C","D"}}'),
        ('{"{a}","b\nc"}', '{"{A}","B\nC"}'),
    ],
)
def test_each_element_of_an_array(array: str, result: str) -> None:
    assert elements(array, str.upper) == result


def test_what_is_no_array_is_not_passed_on() -> None:
    with pytest.raises(Unmaskable, match="no array"):
        elements("1 2 3", str.upper)


KEYS = st.sampled_from(["a", "b", "é", 'q"\\', "0", "1", ""])
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.sampled_from(["", "a", 'x"\\y', "é\n", "]", "}:{", "🎈"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=12,
)
PATHS = st.lists(st.sampled_from(["a", "é", 'q"\\', "0", "*"]), max_size=3).map(tuple)


def by_hand(value: Any, path: tuple[str, ...]) -> Any:
    """The same on parsed JSON, without any text."""
    if not path:
        return "new"
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {key: by_hand(below, rest) if step in ("*", key) else below for key, below in value.items()}
    if isinstance(value, list):
        if step == "*":
            return [by_hand(below, rest) for below in value]
        if step.isdecimal():
            return [by_hand(below, rest) if str(i) == step else below for i, below in enumerate(value)]
        return [by_hand(below, path) for below in value]
    return value


@given(JSON, PATHS, st.sampled_from([None, 1]), st.booleans())
def test_values_inside_documents(document: Any, path: tuple[str, ...], indent: int | None, plain: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=plain)
    changed = documents.changed(text, [documents.Change(path, lambda _: '"new"')])
    assert json.loads(changed) == by_hand(copy.deepcopy(document), path)
    assert documents.changed(text, [documents.Change(path, lambda value: value)]) == text


def test_all_else_stays_to_the_letter() -> None:
    text = '\t{ "a" : 1.50e+3 , "a":{"b" :\n[ "x", 2.10, {"c": "y"}]}, "\\u0061": [0], "z":1E400}  '
    changed = documents.changed(text, [documents.Change(("a", "b", "c"), lambda _: "null")])
    assert changed == text.replace('"y"', "null")
    assert documents.changed(text, [documents.Change(("a",), lambda _: "0")]) == (
        '\t{ "a" : 0 , "a":0, "\\u0061": 0, "z":1E400}  '
    )


def test_the_first_path_that_fits_holds() -> None:
    def changes(*paths: str) -> list[documents.Change]:
        return [documents.Change(tuple(path.split(".")), lambda _, path=path: f'"{path}"') for path in paths]  # type: ignore[misc]

    text = '{"a": {"b": 1, "c": 2}}'
    assert documents.changed(text, changes("a.b", "a.*")) == '{"a": {"b": "a.b", "c": "a.*"}}'
    assert documents.changed(text, changes("a.*", "a.b")) == '{"a": {"b": "a.*", "c": "a.*"}}'
    assert documents.changed(text, changes("a.b", "a")) == '{"a": "a"}'


@pytest.mark.parametrize("text", ["", "{", '{"a"', '{"a":', '{"a" 1}', "[1", '"a', "nul\x00"])
def test_what_is_no_json_is_not_passed_on(text: str) -> None:
    for path in (("a",), ("b",), ("*",)):
        if text != "nul\x00":
            with pytest.raises(Unmaskable, match="no JSON"):
                documents.changed(text, [documents.Change(path, lambda _: "0")])


def test_a_document_that_is_too_deep() -> None:
    deep = "[" * 5000 + "]" * 5000
    with pytest.raises(Unmaskable, match="nested too deeply"):
        documents.changed(deep, [documents.Change(("a",), lambda _: "0")])
    beside = f'{{"b": {deep}, "a": 1}}'
    assert documents.changed(beside, [documents.Change(("a",), lambda _: "0")]) == f'{{"b": {deep}, "a": 0}}'


@pytest.mark.parametrize(
    ("text", "year", "month", "day"),
    [
        ("1980-11-23", "1980-01-01", "1980-11-01", "1980-11-23"),
        ("0044-03-15 BC", "0044-01-01 BC", "0044-03-01 BC", "0044-03-15 BC"),
        ("4714-12-24 BC", "4714-11-24 BC", "4714-11-24 BC", "4714-11-24 BC"),
        ("infinity", "infinity", "infinity", "infinity"),
        ("1980-11-23 10:11:12.13", "1980-01-01 00:00:00", "1980-11-01 00:00:00", "1980-11-23 00:00:00"),
        (
            "294276-12-31 23:59:59.999999+00",
            *("294276-01-01 00:00:00+00", "294276-12-01 00:00:00+00", "294276-12-31 00:00:00+00"),
        ),
        ("0001-02-03 04:05:06+00 BC", "0001-01-01 00:00:00+00 BC", "0001-02-01 00:00:00+00 BC", None),
    ],
)
def test_dates(text: str, year: str, month: str, day: str | None) -> None:
    assert [dates.cut(text, unit) for unit in ("year", "month")] == [year, month]
    assert day is None or dates.cut(text, "day") == day


# What becomes of a field


def masked(column: Column, text: str, data: str, codec: str = "utf_8", keyed: Keyed = KEYED) -> str:
    """`text` is what MASK says after the column's name; several rules are separated by |."""
    rules = tuple(rule for each in text.split("|") for rule in parse(f"t.c{each}"))
    return field(column, rules, keyed, codec)(data.encode(codec)).decode(codec)


@pytest.mark.parametrize("family", ["text", "citext", "char", "json", "number", "uuid", "bytea", "inet", "date"])
@pytest.mark.parametrize("kind", [": null", ": constant x", ": email", ": hash", ": truncate-date year"])
def test_null_stays_null(family: str, kind: str) -> None:
    kinds = {kind for kind, families in checks.FAMILIES.items() if family in families} | {"null", "constant"}
    if kind.split()[1] in kinds:
        assert masked(Column("?", family), kind, "\\N") == "\\N"
        assert masked(Column("?", family, array=True), kind, "\\N") == "\\N"


def test_an_empty_text_stays_empty() -> None:
    for kind in (": email", ": name", ": hash"):
        assert [masked(Column("?", family), kind, "") for family in ("text", "citext", "char")] == ["", "", ""]
        assert masked(Column("char(5)", "char", width=5), kind, "     ") == ""
    assert masked(TEXT, ": constant x", "") == "x"
    assert masked(TEXT, ": null", "x") == "\\N"
    assert masked(Column("bytea", "bytea"), ": hash", r"\\x") == r"\\x"


def test_constants_are_written_as_copy_wants_them() -> None:
    assert masked(TEXT, ": constant 'a\tb\\N'", "x") == r"a\tb\\N"
    assert masked(TEXT, ": constant é", "x", "latin_1") == "é"
    assert masked(Column("text[]", "text", array=True), ": constant {}", "{a}") == "{}"


@given(st.text(min_size=1, max_size=40), st.integers(1, 60))
def test_texts_fit_their_type(text: str, width: int) -> None:
    data = written(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogateescape")
    for kind in (": hash", ": name"):
        short = masked(
            Column("varchar", "text", width=width),
            kind,
            data.encode("utf-8", "surrogateescape").decode("latin-1"),
            "latin_1",
        )
        assert 0 < len(short) <= width and short.isascii()


def test_types_that_take_texts_for_equal() -> None:
    char = Column("char(8)", "char", width=8)
    assert masked(char, ": hash", "abc     ") == masked(Column("varchar(8)", "text", width=8), ": hash", "abc")
    citext = Column("citext", "citext")
    assert masked(citext, ": email", "Ada@Shop.test") == masked(TEXT, ": email", "ada@shop.test")
    assert masked(TEXT, ": email", "Ada@Shop.test") != masked(TEXT, ": email", "ada@shop.test")


def test_the_same_text_in_any_encoding_and_however_it_is_escaped() -> None:
    assert masked(TEXT, ": hash", "Zoë", "latin_1") == masked(TEXT, ": hash", "Zoë")
    assert masked(TEXT, ": hash", r"a\\b\011c") == masked(TEXT, ": hash", r"a\x5cb\tc")
    assert masked(TEXT, ": hash", "日本", "euc_jp") == masked(TEXT, ": hash", "日本")


def test_bytes_that_are_no_text_are_masked_too() -> None:
    rules = parse("t.c: hash")
    hidden = {field(TEXT, rules, KEYED, codec)(b"\xff\xe9\x80") for codec in ("utf_8", "euc_jp", "ascii")}
    assert all(re.fullmatch(rb"[0-9a-f]{24}", one) for one in hidden)
    array = field(Column("text[]", "text", array=True), rules, KEYED, "utf_8")(b"{\xff,b}")
    assert re.fullmatch(rb'\{"[0-9a-f]{24}","[0-9a-f]{24}"\}', array)


def test_what_cannot_be_written_back_is_not_passed_on() -> None:
    """A character with two codes: what stays of the document would be another."""
    for column, rule in (
        (Column("json", "json"), "t.c.$.a: null"),
        (Column("text[]", "text", array=True), "t.c: hash"),
    ):
        with pytest.raises(Unmaskable, match="characters that cannot be written back in euc_jp"):
            field(column, parse(rule), KEYED, "euc_jp")(b'{"b": "\x8f\xa2\xb7"}')


def test_by_type() -> None:
    assert re.fullmatch(r"-\d{6}", masked(Column("integer", "number"), ": hash", "-123456"))
    assert re.fullmatch(r"[1-9]\d\.\d[1-9]0", masked(Column("numeric", "number"), ": hash", "12.340"))
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", masked(Column("uuid", "uuid"), ": hash", "a0ee"))
    assert re.fullmatch(r"\\\\x[0-9a-f]{32}", masked(Column("bytea", "bytea"), ": hash", r"\\x00ff"))
    assert masked(Column("date", "date"), ": truncate-date year", "1980-11-23") == "1980-01-01"
    assert masked(Column("date[]", "date", array=True), ": truncate-date month", "{1980-11-23,NULL}") == (
        '{"1980-11-01",NULL}'
    )


def test_in_json() -> None:
    column = Column("jsonb", "json")
    document = r'{"a": "x\\"y", "n": 12.5, "t": true, "z": null, "e": "", "l": ["b", {"a": "b"}], "f": 1e5}'
    secret = json.loads(masked(column, ": hash", document).replace("\\\\", "\\"))
    assert secret == {
        "a": KEYED.text('x"y'),
        "n": float(KEYED.number("12.5")),
        **{"t": False, "z": None, "e": "", "f": 0},
        "l": [KEYED.text("b"), {"a": KEYED.text("b")}],
    }
    assert masked(column, ".$.n: email", '{"n": 5}') == json.dumps({"n": KEYED.email("5")})
    assert masked(column, ".$.a: constant 'é\"'|.$.n: constant 0", '{"a": 1, "n": 2}') == r'{"a": "é\\"", "n": 0}'
    assert masked(column, ".$.id: keep|.$.*: null", '{"id": 1, "b": [2]}') == '{"id": 1, "b": null}'
    born = '{"b": ["1980-11-23T10:11:12.5Z", "1980-11-23", "23 November", 5, null, ""]}'
    assert masked(column, ".$.b: truncate-date month", born) == (
        '{"b": ["1980-11-01T00:00:00Z", "1980-11-01", null, null, null, null]}'
    )
    assert masked(Column("jsonb[]", "json", array=True), ".$.a: null", r'{"{\\"a\\": 1}"}') == r'{"{\\"a\\": null}"}'


def test_json_and_columns_join() -> None:
    assert masked(Column("json", "json"), ".$.e: email", '{"e": "a@b.c"}') == json.dumps({"e": KEYED.email("a@b.c")})


# The files


def work(path: Path, table: str = "public.t") -> Work:
    return Work(
        table,
        str(path),
        ("id", "email", "born"),
        {1: (TEXT, parse("t.email: email")), 2: (Column("date", "date"), parse("t.born: truncate-date year"))},
    )


LINES = st.lists(st.tuples(st.integers(), st.text(alphabet="ab\t\n\\é", max_size=9) | st.none()), max_size=20)


@given(rows=LINES, chunk=st.integers(1, 60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_is_rewritten_and_nothing_else(
    rows: list[tuple[int, str | None]], chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite, "CHUNK", chunk)
    path = tmp_path / "1.dat"

    def lines(mask: Callable[[str], str], born: str) -> bytes:
        texts = [(str(id), NULL if text is None else written(mask(text).encode())) for id, text in rows]
        return b"".join(b"%s\t%s\t%s\n" % (id.encode(), text, born.encode()) for id, text in texts) + END

    path.write_bytes(lines(str, "1980-02-03"))
    rewrite.rewrite(work(path), KEYED, "utf_8")
    assert path.read_bytes() == lines(lambda text: KEYED.email(text) if text else "", "1980-01-01")
    assert [found.name for found in tmp_path.iterdir()] == ["1.dat"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (b"1\tsecret\t1980-01-01\n2\tsecret\n" + END, "public.t holds a line with 2 fields instead of 3"),
        (b"1\tsecret\tsecret\n" + END, "public.t.born holds a date in a form that is not known"),
        (b"1\tsecret\t1980-01-01\n", "the dump of public.t is not whole: 1.dat has no end"),
    ],
)
def test_what_cannot_be_masked_leaves_the_file_and_no_part(lines: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "1.dat"
    path.write_bytes(lines)
    with pytest.raises(Unmaskable, match=f"^{says}$"):
        rewrite.rewrite(work(path), KEYED, "utf_8")
    assert path.read_bytes() == lines
    assert [found.name for found in tmp_path.iterdir()] == ["1.dat"]


def test_works_come_through_json(tmp_path: Path) -> None:
    one = work(tmp_path / "1.dat")
    assert Work.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize(
    ("broken", "says"),
    [(b"1\tsecret\tsecret\n" + END, "public.t.born holds a date"), (None, "No such file")],
)
def test_the_program_quotes_no_row_and_no_key(broken: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "1.dat"
    if broken:
        path.write_bytes(broken)
    done = subprocess.run(
        [sys.executable, "-m", rewrite.__name__],
        input=json.dumps({"codec": "utf_8", "suffixed": False, "works": [work(path).to_json()]}),
        env={"PATH": os.environ["PATH"], "MASK_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert says in done.stderr and done.stderr.count("\n") == 0
    assert "secret" not in done.stderr + done.stdout and KEY not in done.stderr + done.stdout


def test_an_error_that_nobody_foresaw_quotes_no_row(tmp_path: Path) -> None:
    """A netmask that is none: the text of Python's own error would quote it."""
    path = tmp_path / "1.dat"
    path.write_bytes(b"secret\n" + END)
    broken = Work("public.t", str(path), ("ip",), {0: (Column("inet", "inet"), parse("t.ip: hash"))})
    done = subprocess.run(
        [sys.executable, "-m", rewrite.__name__],
        input=json.dumps({"codec": "utf_8", "suffixed": False, "works": [broken.to_json()]}),
        env={"PATH": os.environ["PATH"], "MASK_KEY": KEY},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "nobody foresaw" in done.stderr and "secret" not in done.stderr


# Which rules are refused


def facts(column: Column = TEXT, *, not_null: bool = False, generated: bool = False, unique: bool = False) -> Facts:
    return Facts(column, column.type, not_null, generated, unique, unique)


@pytest.mark.parametrize(
    ("of", "rule", "says"),
    [
        (facts(not_null=True), ": null", "may not be null"),
        (facts(generated=True), ": hash", "generated"),
        (facts(unique=True), ": constant x", "it is unique, and 5000 rows cannot have one constant"),
        (facts(Column("integer", "number")), ": email", "email is for texts, and it is integer"),
        (facts(Column("integer", "number")), ": name", "name is for texts, and it is integer"),
        (facts(Column("point", "")), ": hash", "hash is for texts, numbers and uuids, and it is point"),
        (facts(Column("date", "date")), ": hash", "and it is date"),
        (facts(), ": truncate-date year", "truncate-date is for dates and timestamps, and it is text"),
        (facts(Column("date", "date")), ": truncate-date day", "changes nothing in a date"),
        (facts(), ".$.a: null", "json and jsonb only, and it is text"),
        (facts(Column("varchar(27)", "text", width=27)), ": email", "28 characters, and it is varchar(27)"),
        (facts(Column("varchar(10)", "text", width=10), unique=True), ": hash", "too short for 5000 different"),
        (facts(Column("varchar(27)", "text", width=27), unique=True), ": name", "28 characters, and it is varchar(27)"),
    ],
)
def test_a_rule_that_cannot_work(of: Facts, rule: str, says: str) -> None:
    (problem,) = checks.problems({("public.t", "C"): (of, parse(f"t.c{rule}"))}, [], {"public.t": 5000})
    assert problem.startswith('public.t."C"') and says in problem


@pytest.mark.parametrize(
    ("of", "rule"),
    [
        (facts(), ": null"),
        (facts(not_null=True), ": constant ''"),
        (facts(not_null=True, unique=True), ": email"),
        (facts(not_null=True, unique=True), ": keep"),
        (facts(Column("point", ""), not_null=True), ": constant '(0,0)'"),
        (facts(Column("date", "date")), ": truncate-date month"),
        (facts(Column("timestamp", "timestamp")), ": truncate-date day"),
        (facts(Column("varchar(28)", "text", width=28)), ": email"),
        (facts(Column("varchar(12)", "text", width=12), unique=True), ": hash"),
        (facts(Column("varchar(10)", "text", width=10)), ": name"),
        (facts(Column("json", "json"), not_null=True), ".$.a: null"),
    ],
)
def test_a_rule_that_works(of: Facts, rule: str) -> None:
    assert list(checks.problems({("public.t", "c"): (of, parse(f"t.c{rule}"))}, [], {"public.t": 5000})) == []


SHORT = Column("varchar(10)", "text", width=10)


@pytest.mark.parametrize(
    ("own", "other", "alike"),
    [
        ((TEXT, ": email"), (TEXT, ": email"), True),
        ((TEXT, ": email"), (TEXT, ": hash"), False),
        ((TEXT, ": email"), None, False),
        (None, (TEXT, ": email"), False),
        ((TEXT, ": null"), (TEXT, ": email"), True),
        ((TEXT, ": email"), (TEXT, ": null"), False),
        ((TEXT, ": keep"), None, True),
        ((TEXT, ": keep"), (TEXT, ": hash"), False),
        ((TEXT, ": constant a"), (TEXT, ": constant a"), True),
        ((TEXT, ": constant a"), (TEXT, ": constant b"), False),
        ((SHORT, ": hash"), (TEXT, ": hash"), False),
        ((Column("char(10)", "char", width=10), ": hash"), (SHORT, ": hash"), True),
        ((Column("citext", "citext"), ": hash"), (TEXT, ": hash"), False),
        ((Column("integer", "number"), ": hash"), (Column("bigint", "number"), ": hash"), True),
    ],
)
def test_references_still_meet_or_are_refused(
    own: tuple[Column, str] | None, other: tuple[Column, str] | None, alike: bool
) -> None:
    ends = {("public.orders", "email"): own, ("public.users", "email"): other}
    ruled = {end: (facts(given[0]), parse(f"t.c{given[1]}")) for end, given in ends.items() if given}
    found = list(checks.problems(ruled, [Reference(*ends)], {}))  # type: ignore[arg-type]
    told = "public.users.email is referenced by public.orders.email: mask both alike"
    assert found == ([] if alike else [told])


def test_names_are_unique_everywhere_when_a_column_needs_it() -> None:
    plainly: dict[tuple[str, str], tuple[Facts, tuple[Rule, ...]]] = {("t", "a"): (facts(), parse("t.a: name"))}
    assert not checks.suffixed(plainly)
    assert checks.suffixed({**plainly, ("t", "b"): (facts(unique=True), parse("t.b: name"))})
    assert not checks.suffixed({**plainly, ("t", "b"): (facts(unique=True), parse("t.b: email"))})
