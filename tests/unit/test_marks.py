"""Names beside a database, and marks: what is written is what is read."""

import pytest

from killick.engines.postgres import MARK, marks
from killick.engines.postgres.address import renamed

ENDS = (marks.NEW, marks.OLD, marks.SNAPSHOT, marks.COMING, marks.GONE)
LONG = ("a" * 63, "a" * 62 + "b", "ü" * 31, "ü" * 30 + "ö", "x" + "🎈" * 15, "🎈" * 14 + "ünü")


def test_a_short_name_is_only_lengthened() -> None:
    assert marks.beside("app", marks.NEW) == "app__new"
    assert marks.beside('O\'Brien "the" 100% 🎈', marks.OLD) == 'O\'Brien "the" 100% 🎈__old'
    assert marks.beside("a" * 58, marks.NEW) == "a" * 58 + "__new"


def test_long_names_fit_and_stay_apart() -> None:
    names = [marks.beside(name, end) for name in LONG for end in ENDS]
    assert len(set(names)) == len(names)
    assert all(len(name.encode()) <= 63 for name in names)
    assert names == [marks.beside(name, end) for name in LONG for end in ENDS], "the same each time"
    assert all(name.endswith(end) for name, end in zip(names, ENDS * len(LONG), strict=True))


@pytest.mark.parametrize("before", [None, "the shop's own", 'killick: copy {"origin": "x"}', '{"a": "\\ü\'🎈"}'])
def test_a_mark_is_read_as_it_was_written(before: str | None) -> None:
    mark = marks.made("old", 'O\'Brien "the" 100% 🎈', origin="20261123T030000Z-db", run="7", before=before)
    assert marks.read(mark.comment()) == mark
    assert mark.time.endswith("Z")


def test_the_mark_of_a_copy_is_the_one_that_facts_look_for() -> None:
    assert marks.made("copy", "app").comment().startswith(MARK)
    for word in ("new", "old", "snapshot", "gone"):
        assert not marks.made(word, "app").comment().startswith(MARK)


@pytest.mark.parametrize("comment", [None, "", "the shop's own", "not killick: copy", "killick:copy"])
def test_any_other_comment_is_no_mark_and_the_database_s_own(comment: str | None) -> None:
    assert marks.read(comment) is None
    assert marks.own(comment) == comment


@pytest.mark.parametrize("said", ["of shop/x", "", "{", "[1]", '{"nonsense": 1}'])
def test_a_mark_written_by_hand_is_known_by_its_word_alone(said: str) -> None:
    assert marks.read(f"killick: copy {said}".rstrip()) == marks.Mark("copy")
    assert marks.own(f"killick: copy {said}") is None


def test_the_comment_of_its_own_is_found_under_the_mark_of_a_copy() -> None:
    once = marks.made("copy", "app", before="the shop's own").comment()
    assert marks.own(once) == "the shop's own"
    assert marks.own(marks.made("copy", "app", before=once).comment()) == "the shop's own"


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("postgres://u@h:5432/app", "postgres://u@h:5432/a%2Fb%20%25%3F"),
        ("postgres://u@h", "postgres://u@h/a%2Fb%20%25%3F"),
        ("postgres://u@h/app?sslmode=require", "postgres://u@h/a%2Fb%20%25%3F?sslmode=require"),
        ("postgis://u@%2Frun%2Fpg:5433/app", "postgis://u@%2Frun%2Fpg:5433/a%2Fb%20%25%3F"),
        ("postgres:///app?host=/run/pg&port=1", "postgres:///a%2Fb%20%25%3F?host=/run/pg&port=1"),
        ("postgres://h/?dbname=app", "postgres://h/a%2Fb%20%25%3F"),
        ("postgres://h/x?dbname=app&user=u", "postgres://h/a%2Fb%20%25%3F?user=u"),
    ],
)
def test_a_url_of_another_database(url: str, other: str) -> None:
    assert renamed(url, "a/b %?") == other
