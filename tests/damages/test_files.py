"""Damages of a folder's backups, through the whole verification; and sound backups of folders that change meanwhile."""

import os
import random
import re
import shutil
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from killick.engines import Source
from killick.engines.files import copying
from killick.manifest import Manifest
from tests.damages.reports import told, verified
from tests.damages.stored import STORED, cut, flip
from tests.damages.table import THE, caught
from tests.end_to_end.backups import Backups
from verify.options import Options
from verify.report import Report

CANARY = "a file that nobody may read"
PICTURE = "in ner/café ⚓.txt"


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "scratch", level=4, where="process")


def source(root: Path, name: str = "uploads") -> Source:
    return Source(name, f"file://{quote(str(root))}")


def filled(root: Path) -> Path:
    (root / "in ner").mkdir(parents=True)
    (root / PICTURE).write_text(CANARY)
    (root / PICTURE).chmod(0o640)
    (root / os.fsdecode(b"not utf-8 \xff")).write_bytes(b"\0" * 5000)
    (root / "large").write_bytes(random.Random(1).randbytes(200_000))
    (root / "other").write_text("other")
    (root / "third").write_text("third")
    (root / "link").symlink_to("in ner")
    (root / "twice").write_text("twice")
    os.link(root / "twice", root / "in ner/twice")
    (root / "empty").mkdir()
    (root / "empty").chmod(0o2750)
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 20)
    if os.geteuid() == 0:
        os.chown(root / "other", 1234, 4321)
    return root


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """{"store": its folder, "root": what was backed up, "older", "other source", "sound": ids}"""
    folder = tmp_path_factory.mktemp("files")
    root = filled(folder / "up loads%")
    backups = Backups(folder / "store")
    ids = {"older": backups.make(source(root), 0), "other source": backups.make(source(root, "media"), 1)}
    (root / "later").write_bytes(random.Random(2).randbytes(5000))
    ids["sound"] = backups.make(source(root), 1)
    return {"store": str(backups.folder), "root": str(root), **ids}


@pytest.fixture
def backups(made: dict[str, str], tmp_path: Path) -> Backups:
    return Backups(Path(made["store"])).copied(tmp_path / "store")


def _linked(path: Path, to: str) -> None:
    path.unlink()
    path.symlink_to(to)


def _hole(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(500_000)
        file.write(b"x")


def _apart(path: Path) -> None:
    """No longer the same file as another, though equal."""
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)


def _exchanged(one: Path, other: Path) -> None:
    one.rename(one.with_name("aside"))
    other.rename(one)
    one.with_name("aside").rename(other)


def _renamed(path: Path, name: str) -> None:
    path.rename(path.with_name(name))


DAMAGES: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "a file missing": (lambda f: (f / "other").unlink(), 2, "restore: … files are not in the archive: other"),
    "a file too many": (lambda f: (f / "more").write_text(""), 3, "more: attributes; more: table"),
    "a byte of a file": (lambda f: flip(f / PICTURE, 3), 4, f"{PICTURE}: checksum"),
    "a file cut": (lambda f: cut(f / "large", -1), 4, "large: rows"),
    "a file longer": (lambda f: os.truncate(f / "large", 200_001), 4, "large: rows"),
    "a file emptied": (lambda f: (f / "large").write_bytes(b""), 4, "large: rows"),
    "two files exchanged": (lambda f: _exchanged(f / "other", f / "third"), 4, "other: checksum; third: checksum"),
    "a link elsewhere": (lambda f: _linked(f / "link", "/etc"), 4, "link: links"),
    "a link gone": (lambda f: (f / "link").unlink(), 3, "link: attributes; link: links"),
    "a link instead of a file": (
        lambda f: _linked(f / "other", "twice"), 3, "other: attributes; other: links; other: table"
    ),
    "a file instead of a link": (
        lambda f: ((f / "link").unlink(), (f / "link").write_text("in ner")), 4, "link: links; link: table"
    ),
    "a hard link that is a copy": (lambda f: _apart(f / "in ner/twice"), 3, "twice: hard links"),
    "an empty folder gone": (lambda f: (f / "empty").rmdir(), 3, "empty: attributes"),
    "a folder with all that is in it": (
        lambda f: shutil.rmtree(f / "in ner"), 2, "restore: … files are not in the archive: in ner/"
    ),
    "a name in another normal form": (
        lambda f: _renamed(f / PICTURE, unicodedata.normalize("NFD", Path(PICTURE).name)), 2,
        f"restore: … files are not in the archive: {PICTURE}",
    ),
    "a name's case": (lambda f: _renamed(f / "other", "Other"), 2, "restore: … files are not in the archive: other"),
    "a byte in the hole of a sparse file": (lambda f: _hole(f / "sparse"), 4, "sparse: checksum"),
    "a sparse file cut": (lambda f: os.truncate(f / "sparse", 1 << 19), 4, "sparse: rows"),
    "all gone": (shutil.rmtree, 1, "corrupt: a part of the dump is not in the archive"),
}  # fmt: skip


def is_caught(report: Report, level: int) -> None:
    assert (report.result, report.level, report.failed_level) == ("failed", max(0, level - 1), level), report.text()


def passes(report: Report) -> None:
    assert (report.result, report.level, report.mismatches, report.warnings) == ("passed", 4, (), ()), report.text()


def test_without_damage_it_passes(made: dict[str, str], backups: Backups, options: Options) -> None:
    """What the others do, and no damage."""
    backups.remake(made["sound"])
    passes(verified(backups, made["sound"], options, CANARY))


@pytest.mark.parametrize("title", DAMAGES)
def test_of_the_dump(made: dict[str, str], backups: Backups, options: Options, title: str) -> None:
    harm, level, says = DAMAGES[title]
    backups.remake(made["sound"], lambda folder: harm(folder / "files"))
    report = verified(backups, made["sound"], options, CANARY)
    is_caught(report, level)
    assert told(report).startswith(says), report.text()
    caught("files", title, level, told(report))


@pytest.mark.parametrize("title", STORED)
def test_in_the_store(made: dict[str, str], backups: Backups, options: Options, title: str) -> None:
    harm, level, says = STORED[title]
    harm(backups, made)
    report = verified(backups, made["sound"], options, CANARY)
    is_caught(report, level)
    assert re.search(says, report.error), report.text()
    caught("files", title, level, told(report))


def test_the_page_has_all_of_them_and_no_more() -> None:
    if THE.collected is None:
        assert THE.damages("files") == DAMAGES.keys() | STORED.keys()


def test_what_is_not_kept_is_told_from_the_backup_on(tmp_path: Path, options: Options) -> None:
    """Neither a mismatch nor silence."""
    root = filled(tmp_path / "root")
    try:
        os.setxattr(root / "other", "user.origin", b"x")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    os.mkfifo(root / "pipe")
    backups = Backups(tmp_path / "store")
    id = backups.make(source(root))
    assert set(backups.manifest(id).warnings) == {
        "1 files have extended attributes or ACLs, which are not kept: other",
        "1 files are sockets, pipes or devices, and are left out: pipe",
    }
    passes(verified(backups, id, options))


def test_hard_links_of_a_backup_from_before_they_were_told(
    made: dict[str, str], backups: Backups, options: Options
) -> None:
    def older(manifest: Manifest) -> Manifest:
        assert manifest.contents is not None
        groups = {kind: entries for kind, entries in manifest.contents.groups.items() if kind != "hard links"}
        return replace(manifest, contents=replace(manifest.contents, groups=groups))

    backups.remake(made["sound"], changed=older)
    passes(verified(backups, made["sound"], options))


@pytest.mark.parametrize("rounds", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_sound_under_writers(tmp_path: Path, options: Options, rounds: int) -> None:
    """Files that grow, shrink, come, go, are replaced, renamed, linked: as they were read, whole, and told."""
    root = filled(tmp_path / "root")
    for n in range(300):
        (root / f"in ner/{n}").write_bytes(bytes(1000))
    (root / "grows").write_bytes(bytes(8 << 20))
    backups = Backups(tmp_path / "store")
    told_of = set()
    for number in range(rounds):
        with changing(root, number):
            id = backups.make(source(root), number)
        passes(verified(backups, id, options))
        for warning in backups.manifest(id).warnings:
            told_of.add(warning.partition(": ")[0].partition(" files ")[2])
    assert "changed while being read, and are stored as they were read" in told_of
    assert told_of <= {
        "changed while being read, and are stored as they were read",
        "were deleted before they were read",
    }


def test_a_file_that_changes_between_its_two_names(tmp_path: Path, options: Options) -> None:
    """Each name is what was read under it; a second name for what the file no longer was would be neither."""
    root, one = tmp_path / "root", tmp_path / "root/a/one"
    one.parent.mkdir(parents=True)
    one.write_text("before")
    (root / "b").mkdir()
    os.link(one, root / "b/two")
    copied = copying.copy

    def copy(file: int, target: str) -> copying.Copied:
        done = copied(file, target)
        if target.endswith("a/one"):
            (root / "b/two").write_text("after, and longer")
        return done

    backups = Backups(tmp_path / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "copy", copy)
        id = backups.make(source(root), 0)
    passes(verified(backups, id, options))
    contents = backups.manifest(id).contents
    assert contents
    assert {name: table.rows for name, table in contents.tables.items()} == {"a/one": 6, "b/two": 17}
    assert contents.groups["hard links"] == {}


@contextmanager
def changing(root: Path, seed: int) -> Iterator[None]:
    stop = threading.Event()
    errors: list[Exception] = []

    def change() -> None:
        chance = random.Random(seed)
        try:
            while not stop.is_set():
                with (root / "grows").open("ab") as file:
                    file.write(b"more" * chance.randrange(100))
                some = root / f"in ner/{chance.randrange(300)}"
                some.unlink(missing_ok=True)
                (root / "in ner/new").write_bytes(chance.randbytes(chance.randrange(3000)))
                (root / "in ner/new").rename(some)
                os.truncate(some, chance.randrange(1000))
                folder = root / f"folder{chance.randrange(5)}"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                os.link(some, folder / "link")
        except Exception as error:
            errors.append(error)

    writer = threading.Thread(target=change)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
    assert errors == []
