"""What a dump without a manifest promises of its copy, and which server it goes into."""

from dataclasses import replace
from pathlib import Path

import pytest

from killick.contents import Contents, Table
from killick.errors import Unverifiable
from killick.programs import Program
from tests.unit.test_observers import MANIFEST
from verify import foreign


def contents(*extensions: str, **rows: int | tuple[int, str]) -> Contents:
    """A table's rows, or its rows and whose part it is."""
    tables = {
        name: Table(given) if isinstance(given, int) else Table(given[0], ancestors=("half", given[1]))
        for name, given in rows.items()
    }
    return Contents(tables=tables, groups={"extensions": dict.fromkeys(extensions, "public")})


def missing(dump: Contents, copy: Contents) -> list[str]:
    return [str(mismatch) for mismatch in foreign.missing(dump, copy)]


def test_every_table_with_its_rows_and_every_extension() -> None:
    dump = contents("hstore", a=1, b=2, c=3)
    assert missing(dump, contents("hstore", "plpgsql", a=1, b=2, c=3, d=4)) == [], "what else is there may be"
    assert missing(dump, contents(a=1, b=5)) == [
        "hstore: extensions is absent, not present",
        "b: rows is 5, not 2",
        "c: table is absent, not present",
    ]


def test_which_partition_takes_a_row_is_the_servers_to_say() -> None:
    copy = contents(old=(3, "log"), new=(4, "log"))
    assert missing(contents(old=3, new=4), copy) == []
    assert missing(contents(log=7), copy) == [], "loaded by way of the root"
    assert missing(contents(old=4, new=3), copy) == []
    assert missing(contents(log=8), copy) == ["log: rows is 7, not 8"]


@pytest.mark.parametrize(
    ("told", "order"),
    [
        ("16.4", ["16.4", "16.9", "18.1", "15.2"]),
        ("9.6.24", ["9.6.24", "15.2", "16.9", "18.1"]),
        ("19.0", ["19.0", "18.1", "16.9", "15.2"]),
        ("", ["18.1", "16.9", "15.2", "18"]),
    ],
)
def test_its_own_series_then_the_next_ones_then_what_is_older(
    told: str, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = [Program(version, Path()) for version in ((18, 1), (16, 9), (15, 2))]
    monkeypatch.setattr(foreign, "installed", lambda _program: here)
    assert foreign._versions(replace(MANIFEST, server_version=told)) == order


def test_what_lacks_is_said_of_its_own_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "installed", lambda _program: [])
    monkeypatch.setattr("killick.throwaway.process.installed", lambda _program: [])
    monkeypatch.setattr("killick.throwaway._server.installed", lambda _program: [])
    with pytest.raises(Unverifiable, match="it needs postgres 16, and here is none") as error:
        foreign._fitting(MANIFEST, "process")
    assert error.value.reason == "version"
