"""Lines are counted and hashed while pg_dump writes them: the figures are those of a dump that is read afterwards."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from killick.engines.postgres import rows
from killick.engines.postgres.catalog import Relation
from killick.engines.postgres.follow import Followed
from killick.engines.postgres.tally import Tally
from killick.errors import EmptyDump
from killick.watch import unwatched
from tests.contract.postgres.conftest import engine, fake, script
from tests.lab.postgres import Postgres

SECONDS = (0.5, 5, 30)  # in which what follows has begun: soon on most machines


@pytest.fixture(scope="module")
def server(postgres16: Postgres) -> Postgres:
    postgres16.create("large")
    script(
        postgres16,
        "large",
        "CREATE TABLE orders AS SELECT i, 'order ' || i AS t FROM generate_series(1, 200000) i;"
        " CREATE TABLE lines AS SELECT md5(i::text) FROM generate_series(1, 100000) i; CREATE TABLE empty (i int);"
        " CREATE TABLE long AS SELECT repeat('x', 20000000) FROM generate_series(1, 2)",
    )
    return postgres16


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Followed]]:
    """What was known of each dump when its rest was read; a dump of any size is followed."""
    known = []
    of_dump = rows.of_dump

    def spied(
        folder: Path, listing: str, tables: list[Relation], jobs: int, followed: Mapping[str, Followed]
    ) -> dict[str, Tally]:
        known.append(followed)
        return of_dump(folder, listing, tables, jobs, followed)

    monkeypatch.setattr(rows, "of_dump", spied)
    monkeypatch.setattr(rows, "_ALONE", 0)
    return known


def test_the_figures_are_those_of_a_dump_that_is_read_afterwards(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: list[Mapping[str, Followed]]
) -> None:
    large = engine(server, "large")
    (tmp_path / "afterwards").mkdir()
    expected = large.dump(tmp_path / "afterwards", 1, unwatched).tables
    assert [dict(known) for known in seen] == [{}], "one processor has nothing to spare"
    for seconds in SECONDS:
        folder = tmp_path / str(seconds)
        (folder / "bin").mkdir(parents=True)
        (folder / "dump").mkdir()
        monkeypatch.setenv("PROGRAMS", fake(folder / "bin", 16, f'$real "$@"; sleep {seconds}'))
        assert large.dump(folder / "dump", 2, unwatched).tables == expected
        if seen[-1]:
            break
    assert len(seen[-1]) == 2, "the lines of one table are too few, and those of another too long"
    assert 0 < sum(tally[0] for _, tally in seen[-1].values()) < 300_000, "the last lines wait for the end"


def test_what_is_lost_after_it_was_read_is_missed(
    server: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds in SECONDS:
        folder = tmp_path / str(seconds)
        (folder / "bin").mkdir(parents=True)
        (folder / "dump").mkdir()
        cut = f"sleep {seconds}; file=$(grep -l 'order 1$' $out/*.dat); printf '1\\torder 1\\n\\\\.\\n\\n\\n' >$file"
        monkeypatch.setenv("PROGRAMS", fake(folder / "bin", 16, f'$real "$@"; {cut}'))
        with pytest.raises(EmptyDump) as caught:
            engine(server, "large").dump(folder / "dump", 2, unwatched)
        if "has 1 rows" not in caught.value.message:  # else it was not read yet
            break
    assert "became shorter" in caught.value.message
