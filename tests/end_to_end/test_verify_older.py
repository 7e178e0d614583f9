"""Verification of archives that scripts left: each of the nineteen in tests/legacy ends as EXPECTED.json says."""

import shutil
import signal
import tarfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from killick.catalog import Backup
from killick.stores.folder import Folder
from killick.watch import Phases
from tests.contract.older import listed
from tests.contract.test_older import LEGACY, OBJECTS, POSTGIS, SOUND, UNSOUND, inside, store
from tests.contract.test_older_mongodb import DOCUMENTS
from tests.kit import Project, basics, wait_for
from verify.html import render
from verify.options import Options
from verify.report import LEVELS, Report
from verify.verify import verify

PLAIN = [key for key in SOUND if not key.startswith(POSTGIS)]
DUMP = """--
-- PostgreSQL database dump
--

-- Dumped from database version 16.4
-- Dumped by pg_dump version 16.4

SET client_encoding = 'UTF8';

CREATE TABLE public.boat (id integer, name text);

COPY public.boat (id, name) FROM stdin;
1\tKittiwake
2\tTern
\\.

--
-- PostgreSQL database dump complete
--
"""


@pytest.fixture(autouse=True)
def _programs(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "scratch", where="process")


def verified(folder: Path, backup: Backup, options: Options) -> Report:
    report = verify(Folder(folder), backup, options, Phases())
    assert not list(options.scratch.glob("run-*"))
    return report


def of_legacy(key: str, options: Options) -> Report:
    return verified(store(key), listed(store(key), inside(key).partition("/")[0])[inside(key)], options)


def of_text(text: str, options: Options) -> Report:
    """Of a dump that was not packed. `options.scratch` has the store beside it."""
    folder = options.scratch.parent / "store"
    (folder / "shop").mkdir(parents=True, exist_ok=True)
    (folder / "shop/app.sql").write_text(text)
    return verified(folder, listed(folder, "shop")["shop/app.sql"], options)


def told(report: Report) -> tuple[str, int, int | None]:
    return report.result, report.level, report.failed_level


@pytest.mark.parametrize("key", PLAIN)
def test_a_sound_one_passes(key: str, options: Options) -> None:
    report = of_legacy(key, options)
    assert told(report) == ("passed", 3, None), report.text()
    tables = OBJECTS[key]["expect"].get("tables")
    if tables is not None:
        assert (report.tables, report.rows) == (len(tables), sum(table["rows"] for table in tables.values()))
    assert report.restore_seconds
    assert "as many as the dump holds" in report.text()
    assert "sha256" not in report.to_record(), "nobody took one"
    assert report.to_record()["wanted"] == 3, "of whoever asked for more"


@pytest.mark.parametrize("key", UNSOUND)
def test_a_broken_one_fails_with_a_sentence(key: str, options: Options) -> None:
    report = of_legacy(key, options)
    assert told(report) == ("failed", 0, 1), report.text()
    assert UNSOUND[key] in report.error
    assert report.hint
    assert report.copy is None, "no server was started for it"


def test_one_with_an_extension_passes_where_that_is_and_says_so_where_it_is_not(options: Options) -> None:
    (key,) = (key for key in SOUND if key.startswith(POSTGIS))
    report = of_legacy(key, options)
    if Path("/usr/share/postgresql/15/extension/postgis.control").is_file():
        assert told(report) == ("passed", 3, None), report.text()
    else:
        assert (report.result, report.reason) == ("unverifiable", "extension"), report.text()


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_it_goes_as_far_as_it_is_asked_to(options: Options, level: int) -> None:
    report = of_text(DUMP, replace(options, level=level))
    assert told(report) == ("passed", level, None), report.text()
    assert (report.copy is None) == (level < 2)
    assert (report.rows == 2) == (level == 3)
    page = render([report], report.when)
    assert f"Level {level} was reached: {report.proves(level)}" in page, "no more than was proven of such an archive"
    assert LEVELS[3] not in page


def test_a_dump_of_a_series_that_is_not_here_goes_into_the_next_one(options: Options) -> None:
    """As those of the years before: no server of theirs is kept."""
    report = of_text(DUMP.replace("version 16.4", "version 9.6.24"), options)
    assert told(report) == ("passed", 3, None), report.text()
    assert report.copy is not None
    assert f"the dump is of a server 9.6.24, and was restored into {report.copy.version}" in report.warnings
    untold = of_text(DUMP.replace("-- Dumped from", "-- Made from"), options)
    assert told(untold) == ("passed", 3, None), untold.text()
    assert any("does not tell its server's version" in warning for warning in untold.warnings)


def test_a_statement_that_fails_is_level_2(options: Options) -> None:
    report = of_text(DUMP.replace("integer", "no_such_type"), options)
    assert told(report) == ("failed", 1, 2), report.text()
    assert "no_such_type" in report.error


def test_rows_that_do_not_arrive_are_level_3(options: Options) -> None:
    report = of_text(
        DUMP.replace("\\.\n", "\\.\n\nSELECT public.tidy();\n").replace("CREATE TABLE", TIDY + "CREATE TABLE"), options
    )
    assert told(report) == ("failed", 2, 3), report.text()
    assert [str(mismatch) for mismatch in report.mismatches] == ["public.boat: rows is 1, not 2"]
    assert "Tern" not in report.text()


TIDY = """SET check_function_bodies = false;
CREATE FUNCTION public.tidy() RETURNS void LANGUAGE sql AS 'DELETE FROM public.boat WHERE id = 2';
"""


def test_several_databases_of_one_server(options: Options, tmp_path: Path) -> None:
    """A mongodump of a whole server, as a script packed it: all of it goes in."""
    made = options.scratch.parent / "store/shop/app-dump.20261102-040000.tar"
    made.parent.mkdir(parents=True)
    with tarfile.open(made, "w") as tar:
        for name in ("one", "two"):
            path = tmp_path / f"{name}.bson"
            path.write_bytes(DOCUMENTS)
            tar.add(path, f"dump/{name}/boats.bson")
    folder = options.scratch.parent / "store"
    report = verified(folder, listed(folder, "shop")[f"shop/{made.name}"], options)
    assert told(report) == ("passed", 3, None), report.text()
    assert (report.tables, report.rows) == (2, 4)


def test_what_must_not_be_run_says_nothing_about_the_backup(options: Options) -> None:
    report = of_text(DUMP.replace("CREATE TABLE", "\\! touch /tmp/gotcha\nCREATE TABLE"), options)
    assert (report.result, report.reason) == ("unverifiable", "format"), report.text()
    assert report.copy is None


def test_one_that_was_changed_since_it_was_listed_or_is_gone(options: Options) -> None:
    of_text(DUMP, replace(options, level=0))
    folder = options.scratch.parent / "store"
    backup = Backup("shop", "app.sql", "db", datetime(2026, 11, 23, tzinfo=UTC), len(DUMP) + 1, "", older=True)
    assert told(verified(folder, backup, options)) == ("failed", 0, 0)
    (folder / "shop/app.sql").unlink()
    report = verified(folder, backup, options)
    assert (report.result, report.reason) == ("unverifiable", "pruned")


# The command line, and the loop


@pytest.fixture
def left(tmp_path: Path, programs_path: str) -> Project:
    project = Project({**basics(tmp_path, programs_path), "PROJECT": "quay", "VERIFY_IN": "process"}, "quay")
    shutil.copytree(LEGACY / "countable/backups/quay", tmp_path / "store/quay")
    return project


def test_all_of_a_source_that_has_no_others(left: Project) -> None:
    (document,) = left.run("verify", "all", "--json").json
    assert (document["id"], document["result"], document["level"]) == (
        "202611/quay.20261102-031000.sql.lrz",
        "passed",
        3,
    )
    assert left.run("list", "--json").json[0]["verified"]["result"] == "passed"
    (again,) = [left.run("verify", "random", "--json").json]
    assert again["id"] == "202401/quay.20240116-030000.sql.lrz", "the other one's turn"
    assert all(backup.proven for backup in left.catalog().backups)
    assert left.run("list").out.count("passed, level 3") == 2


def test_a_verifier_finds_them(left: Project) -> None:
    with left.running("run", SCHEDULE="off", METRICS_PORT="off") as loop:
        wait_for(lambda: any(backup.proven for backup in left.catalog().backups), 60)
        loop.send_signal(signal.SIGTERM)
        assert loop.wait(10) == 0
