"""How a check is written, and what it has to be."""

from decimal import Decimal
from pathlib import Path

import pytest

from killick.checks import SECONDS, Check, read
from killick.doctor import check_checks
from killick.engines import Answer
from killick.errors import SettingsError, SourceError


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_head_of_a_file(tmp_path: Path) -> None:
    write(
        tmp_path,
        a_sql="\n-- Says:  too old: by a day\n--max: 86400\n-- timeout: 1m30s\n-- note: min\nSELECT 1\n-- min: 5",
        b_js="// min: -0.5\n// max: 1e3\n1",
        c_sql="SELECT true",
    )
    a, b, c = read(tmp_path, "db")
    assert (a.name, a.suffix, a.least, a.most) == ("a.sql", ".sql", None, Decimal(86400))
    assert (a.says, a.seconds, a.expected) == ("too old: by a day", 90.0, "at most 86400")
    assert a.text.endswith("-- min: 5"), "the text is asked as it stands"
    assert (b.least, b.most, b.expected) == (Decimal("-0.5"), Decimal(1000), "between -0.5 and 1E+3")
    assert (c.least, c.most, c.says, c.seconds, c.expected) == (None, None, "", SECONDS, "true")


def test_for_which_source(tmp_path: Path) -> None:
    write(tmp_path, b_sql="", db__a_sql="", db__c_sql="", other__d_sql="")
    write(tmp_path, _hidden_sql="", **{"e_sql~": ""})
    (tmp_path / "db/deeper").mkdir()
    assert [check.name for check in read(tmp_path, "db")] == ["db/a.sql", "b.sql", "db/c.sql"]
    assert [check.name for check in read(tmp_path, "events")] == ["b.sql"]
    assert read(tmp_path / "nowhere", "db") == ()
    assert [check.own for check in read(tmp_path, "db")] == [True, False, True]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a_sql", "-- max: soon\nSELECT 1", "its max is no number: 'soon'"),
        ("a_sql", "-- min: NaN", "its min is no number: 'NaN'"),
        ("a_sql", "-- min: 2\n-- max: 1", "its min is above its max"),
        ("a_js", "// timeout: soon", "'soon' is not a duration"),
        ("a_py", "", "it is no check (.sql, .js)"),
        ("README", "", "it is no check (.sql, .js)"),
    ],
)
def test_what_is_no_check(tmp_path: Path, name: str, text: str, problem: str) -> None:
    """Every file is told, with its path; doctor has a line for each."""
    write(tmp_path, **{name: text, "db__b_txt": ""})
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, "db")
    first, second = raised.value.problems
    assert first.startswith(str(tmp_path))
    assert problem in first
    assert "b.txt" in second
    assert [check.ok for check in check_checks(tmp_path, ["db"])] == [False, False]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_bytes(b"SELECT '\xff'")
    with pytest.raises(SettingsError, match="it is not UTF-8"):
        read(tmp_path, "db")


def test_what_doctor_says(tmp_path: Path) -> None:
    assert list(check_checks(tmp_path / "nowhere", ["db"])) == []
    assert list(check_checks(tmp_path, ["db"])) == []
    write(tmp_path, a_sql="", db__b_sql="", other__c_sql="")
    stray, found = check_checks(tmp_path, ["db", "events"])
    assert not stray.ok
    assert str(tmp_path / "other") in stray.what
    assert found.ok
    assert "2 in" in found.what


@pytest.mark.parametrize(
    ("least", "most", "answer", "holds"),
    [
        (None, None, True, True),
        (None, None, False, False),
        ("0", "5", 0, True),
        ("0", "5", 5.0, True),
        ("0", "5", 5.1, False),
        ("0", None, -1, False),
        ("0", None, 10**30, True),
        (None, "5", float("-inf"), True),
        (None, "5", float("nan"), False),
        ("0.1", None, 0.1, True),
        (None, "0.1", 0.1, True),
        ("0.3", "0.3", 0.3, True),
        ("0.3", None, 0.29999999999999993, False),
        (None, "5", float("inf"), False),
        pytest.param(None, "5", 10**400, False, id="an integer that no float holds"),
    ],
)
def test_whether_it_holds(least: str | None, most: str | None, answer: Answer, holds: bool) -> None:
    bounds = [None if bound is None else Decimal(bound) for bound in (least, most)]
    assert Check("a.sql", "", *bounds).holds(answer) is holds


@pytest.mark.parametrize(
    ("check", "answer", "sentence"),
    [
        (Check("a.sql", "", most=Decimal(1)), True, "it gives a boolean, and has bounds"),
        (Check("a.js", ""), 1, "it gives a number, and has no bounds (begin it with // min: or // max:)"),
    ],
)
def test_an_answer_that_goes_with_no_bounds(check: Check, answer: Answer, sentence: str) -> None:
    with pytest.raises(SourceError) as raised:
        check.holds(answer)
    assert str(raised.value).startswith(sentence)
