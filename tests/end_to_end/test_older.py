"""Archives that scripts left, through the command line: listed, shown, fetched."""

import subprocess
from pathlib import Path

import pytest

from tests.contract.test_older import LEGACY, UNSOUND, inside, store
from tests.kit import Project, basics


@pytest.fixture
def left(tmp_path: Path, programs_path: str) -> Project:
    return Project({**basics(tmp_path, programs_path), "STORE": f"file://{LEGACY}/countable/backups"})


def test_they_are_listed_and_shown(left: Project) -> None:
    listed = left.run("list", "--json", PROJECT="harbour").json
    assert [(one["id"], one["time"], one["manifest"]) for one in listed][:2] == [
        ("202611/harbour.20261115-030002.sql.lrz", "2026-11-15T03:00:02Z", False),
        ("202611/harbour.20261101-030002.sql.lrz", "2026-11-01T03:00:02Z", False),
    ]
    assert left.run("list", "--json", PROJECT="cortico-kelp").json == []  # a log of nginx
    shown = left.run("show", "harbour.20171125-030001.sql.bz2", "--json", PROJECT="harbour").json
    assert shown == {"id": "harbour.20171125-030001.sql.bz2", "evidence": []}


def test_one_is_fetched_as_it_went_in(left: Project, tmp_path: Path) -> None:
    archive = LEGACY / "countable/backups/quay/202401/quay.20240116-030000.sql.lrz"
    subprocess.run(["lrzip", "-q", "-d", "-o", tmp_path / "stock.sql", archive], check=True, capture_output=True)
    id = "202401/quay.20240116-030000.sql.lrz"
    left.run("fetch", id, "-o", str(tmp_path / "ours.sql"), PROJECT="quay")
    assert (tmp_path / "ours.sql").read_bytes() == (tmp_path / "stock.sql").read_bytes()
    left.run("fetch", id, "-o", f"{tmp_path}/folder/", PROJECT="quay")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["quay.20240116-030000.sql"]
    assert "exists already" in left.run("fetch", id, "-o", str(tmp_path / "ours.sql"), PROJECT="quay", expect=5).err


def test_a_tar_is_fetched_whole_or_unpacked(left: Project, tmp_path: Path) -> None:
    left.run("fetch", "20160504.tar.lrz", "-o", str(tmp_path / "made.tar"), PROJECT="lagoon")
    assert subprocess.check_output(["tar", "tf", tmp_path / "made.tar"], text=True) == "lagoon/\nlagoon/db.sql\n"
    left.run("fetch", "20160504.tar.lrz", "-o", f"{tmp_path}/folder/", PROJECT="lagoon")
    assert b"PostgreSQL database dump" in (tmp_path / "folder/lagoon/db.sql").read_bytes()[:100]


def test_without_a_name_it_gets_that_of_what_is_inside(
    left: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    left.run("fetch", "202611/blank.20261112-030100.sql.lrz", PROJECT="blank")
    assert (tmp_path / "blank.20261112-030100.sql").is_file()


def test_one_with_commands_can_be_looked_at(left: Project, tmp_path: Path) -> None:
    (tmp_path / "store/shop").mkdir(parents=True)
    text = "--\n-- PostgreSQL database dump\n--\n\\! id\n--\n-- PostgreSQL database dump complete\n--\n"
    (tmp_path / "store/shop/app.sql").write_text(text)
    left.run("fetch", "app.sql", "-o", str(tmp_path / "app.sql"), STORE=f"file://{tmp_path}/store")
    assert (tmp_path / "app.sql").read_text() == text


@pytest.mark.parametrize("key", UNSOUND)
def test_an_unsound_one_is_not_given(left: Project, key: str, tmp_path: Path) -> None:
    project, _, id = inside(key).partition("/")
    more = {"PROJECT": project, "STORE": f"file://{store(key)}"}
    assert UNSOUND[key] in left.run("fetch", id, "-o", str(tmp_path / "out"), expect=4, **more).err
    assert not list(tmp_path.glob("out*"))
    assert left.at_rest()
