"""`killick verify --report`: the file is there, whole, whatever the result; and the result is never lost to it."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.kit import Project, basics, small_disk


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project with one backup of each of two folders."""
    folder = tmp_path_factory.mktemp("reported")
    for name in ("docs", "media"):
        (folder / name).mkdir()
        (folder / name / f"{name}<script>.txt").write_text("what nobody else may read\n")
    of(folder).run("backup")
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Project:
    return of(Path(shutil.copytree(made, tmp_path / "here")))


def of(folder: Path) -> Project:
    variables = {**basics(folder, ""), "FILES_DOCS": str(folder / "docs"), "FILES_MEDIA": str(folder / "media")}
    return Project({name: value for name, value in variables.items() if value})


def docs(shop: Project) -> str:
    return next(backup.id for backup in shop.catalog().backups if backup.source == "docs")


def cut_short(shop: Project) -> None:
    archive = next(Path(shop.environment["STORE"].removeprefix("file://")).rglob(f"{docs(shop)}.tar*"))
    archive.write_bytes(archive.read_bytes()[:-1])


def looked_at(shop: Project) -> bool:
    return any("-verify-" in key for key in shop.stored())


def test_a_sound_backup(shop: Project, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    before = os.umask(0o022)
    try:
        ran = shop.run("verify", docs(shop), "--json", "--report", str(file))
    finally:
        os.umask(before)
    assert set(ran.json) == {"id", "result", "level", "failed_level", "error", "seconds", "tables", "mismatches"}
    text = file.read_text()
    assert "can be restored, and its data is the same" in text
    assert "docs&lt;script&gt;.txt" in text
    assert docs(shop) in text
    assert "what nobody else may read" not in text
    assert file.stat().st_mode & 0o777 == 0o644, "it is to be sent"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report.html"]


def test_a_failed_one_takes_the_place_of_an_earlier_file(shop: Project, tmp_path: Path) -> None:
    file, link = tmp_path / "report.html", tmp_path / "latest.html"
    file.write_text("yesterday's")
    link.symlink_to(file)
    cut_short(shop)
    ran = shop.run("verify", docs(shop), "--report", str(link), expect=1)
    assert "FAILED at level 0" in ran.out
    assert link.is_symlink()
    assert "is not what it promises" in file.read_text()
    assert "restore the backup before it" in file.read_text()


def test_one_that_could_not_be_verified(shop: Project, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    beside = next(Path(shop.environment["STORE"].removeprefix("file://")).rglob(f"{docs(shop)}.json"))
    beside.write_text(json.dumps({**json.loads(beside.read_text()), "recipe": {"rows": 9}}))
    shop.run("verify", docs(shop), "--report", str(file), expect=6)
    assert "could not be verified" in file.read_text()


def test_at_a_lower_level(shop: Project, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    shop.run("verify", docs(shop), "--level", "0", "--report", str(file))
    assert "a restore was not tried" in file.read_text()


def test_all_in_one_file(shop: Project, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    cut_short(shop)
    shop.run("verify", "all", "--report", str(file), expect=1)
    text = file.read_text()
    assert "1 of 2 passed, 1 failed" in text
    assert text.count("<article") == 2


@pytest.mark.parametrize("place", ["no/such/folder/report.html", "", "here"])
def test_what_cannot_be_written_is_known_before_anything_is_done(shop: Project, tmp_path: Path, place: str) -> None:
    ran = shop.run("verify", docs(shop), "--report", f"{tmp_path}/{place}", expect=2)
    assert ran.err.count("killick: ") == 1
    assert "--report" in ran.err
    assert "name a file" in ran.err
    assert not ran.out
    assert not looked_at(shop)


def test_a_full_disk_loses_neither_the_result_nor_the_earlier_file(shop: Project, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        file = disk / "report.html"
        file.write_text("yesterday's")
        fill(disk / "filler")
        ran = shop.run("verify", docs(shop), "--json", "--report", str(file), expect=2)
        assert ran.json["result"] == "passed"
        assert looked_at(shop)
        assert "No space left on device" in ran.err
        assert file.read_text() == "yesterday's"
        assert sorted(path.name for path in disk.iterdir()) == ["filler", "report.html"]
        cut_short(shop)
        ran = shop.run("verify", docs(shop), "--report", str(file), expect=1)
        assert "FAILED" in ran.out
        assert "No space left on device" in ran.err


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return
