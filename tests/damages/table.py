"""docs/damages.md: which damage is caught at which level, and what the report says of it.

A test of a damage tells what it saw, and is red unless the page has that very row:

    caught("Postgres", "one row missing", 4, "public.orders: rows")

`python -m tests.damages` runs all such tests and writes the rows anew (see __main__.py).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs/damages.md"
BEGIN, END = "<!-- written by: python -m tests.damages -->\n", "<!-- end -->\n"
_HEAD = "| engine | damage | level | the report says |\n|---|---|---|---|\n"


class Row(NamedTuple):
    """Cells of the table. `what` holds no figure that another run or another version would change."""

    engine: str
    damage: str
    level: int
    what: str


class Table:
    """The rows of a page, by engine and damage. `collected`: those to be written; None while they are compared."""

    def __init__(self, page: Path) -> None:
        self.page = page
        self.collected: dict[tuple[str, str], Row] | None = None

    def caught(self, engine: str, damage: str, level: int, what: str) -> None:
        """Red when the page says otherwise, or nothing; while collecting, when another test of this run does."""
        row = Row(engine, damage, level, what.replace("|", "\\|"))
        if self.collected is not None:
            assert self.collected.setdefault(row[:2], row) == row, "two tests see the same damage differently"
            return
        there = {known[:2]: known for known in self.rows()}.get(row[:2])
        assert there == row, f"{self.page.name} does not say so: run python -m tests.damages"

    def damages(self, engine: str) -> set[str]:
        """What the page has of one engine: a test compares it with the damages that there are."""
        return {row.damage for row in self.rows() if row.engine == engine}

    def rows(self) -> Iterator[Row]:
        _, table, _ = self._parts()
        for line in table.removeprefix(_HEAD).splitlines():
            engine, damage, level, what = line.removeprefix("| ").removesuffix(" |").split(" | ")
            yield Row(engine, damage, int(level), what)

    def write(self, rows: Iterable[Row]) -> None:
        before, _, after = self._parts()
        lines = sorted(rows, key=lambda row: (row.engine.lower(), row.level, row.damage))
        cells = ("".join(f"| {cell} " for cell in row) + "|\n" for row in lines)
        self.page.write_text("".join([before, _HEAD, *cells, after]))

    def _parts(self) -> tuple[str, str, str]:
        """The page before the rows, with the mark; head and rows; the rest."""
        before, begin, rest = self.page.read_text().partition(BEGIN)
        table, end, after = rest.partition(END)
        assert end, f"{self.page} lacks its two marks"
        return before + begin, table, end + after


THE = Table(PAGE)
caught = THE.caught
damages = THE.damages
