"""The page of damages is what the tests saw, or they are red."""

from pathlib import Path

import pytest

from tests.damages.table import BEGIN, END, Row, Table

GONE = Row("Postgres", "a row gone", 4, "public.t: rows")
CUT = Row("files", "cut", 0, "not of its size")


@pytest.fixture
def table(tmp_path: Path) -> Table:
    page = tmp_path / "damages.md"
    page.write_text(f"before\n{BEGIN}{END}after\n")
    return Table(page)


def test_what_was_written_is_read(table: Table) -> None:
    table.write([GONE, CUT])
    assert list(table.rows()) == [CUT, GONE]
    text = table.page.read_text()
    assert (text[:7], text[-6:]) == ("before\n", "after\n")
    table.write([GONE])
    assert table.damages("Postgres") == {"a row gone"}
    assert table.damages("files") == set()


def test_a_row_is_compared(table: Table) -> None:
    table.write([GONE])
    table.caught(*GONE)
    for other in (CUT, GONE._replace(level=3), GONE._replace(what="public.t: checksum")):
        with pytest.raises(AssertionError, match=r"python -m tests\.damages"):
            table.caught(*other)


def test_rows_are_collected(table: Table) -> None:
    table.collected = {}
    table.caught(*GONE)
    table.caught(*GONE)
    with pytest.raises(AssertionError, match="differently"):
        table.caught(*GONE._replace(level=3))
    assert list(table.collected.values()) == [GONE]


def test_a_bar_does_not_break_the_table(table: Table) -> None:
    table.collected = {}
    table.caught("Postgres", "renamed", 3, "TABLE a|b: schema")
    table.write(table.collected.values())
    table.collected = None
    table.caught("Postgres", "renamed", 3, "TABLE a|b: schema")
