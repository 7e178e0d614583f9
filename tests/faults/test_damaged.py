"""A damaged backup is refused before anything is written, with the documented code; verify fails it."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from killick.stream import measure
from tests.kit import Project
from tests.lab.postgres import Postgres


@dataclass
class Stored:
    """The two files of a backup in a folder store."""

    folder: Path
    id: str

    @property
    def archive(self) -> Path:
        return next(self.folder.glob(f"{self.id}.tar*"))

    @property
    def manifest(self) -> Path:
        return self.folder / f"{self.id}.json"

    def edit(self, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
        data = json.loads(self.manifest.read_text())
        change(data)
        self.manifest.write_text(json.dumps(data))


def stored(project: Project, **more: str) -> Stored:
    id = project.back_up(**more)
    return Stored(Path(project.environment["STORE"].removeprefix("file://")) / "shop", id)


def truncated(of: Stored, _other: Stored) -> None:
    os.truncate(of.archive, of.archive.stat().st_size // 2)


def one_byte_flipped(of: Stored, _other: Stored) -> None:
    data = bytearray(of.archive.read_bytes())
    data[len(data) // 3] ^= 0x10
    of.archive.write_bytes(data)


def swapped_with_another(of: Stored, other: Stored) -> None:
    shutil.copy(other.archive, of.archive)


def swapped_with_its_manifest_fitted(of: Stored, other: Stored) -> None:
    """Sums of the foreign archive written into this manifest: only the manifest inside tells."""
    shutil.copy(other.archive, of.archive)
    theirs = json.loads(other.manifest.read_text())["archive"]
    of.edit(lambda m: m["archive"].update({n: v for n, v in theirs.items() if n != "key"}))


def archive_gone(of: Stored, _other: Stored) -> None:
    of.archive.unlink()


def empty(of: Stored, _other: Stored) -> None:
    of.archive.write_bytes(b"")


def garbage_with_right_sums(of: Stored, _other: Stored) -> None:
    of.archive.write_bytes(b"not an archive at all" * 100)
    seen = measure(of.archive)
    of.edit(lambda m: m["archive"].update(bytes=seen.size, sha256=seen.sha256))


def manifest_edited(of: Stored, _other: Stored) -> None:
    of.edit(lambda m: m["contents"]["tables"]["public.orders"].update(rows=4999))


def manifest_misshapen(of: Stored, _other: Stored) -> None:
    of.edit(lambda m: m["archive"].update(codec=None))


def manifest_that_names_no_archive_of_its_own(of: Stored, _other: Stored) -> None:
    of.edit(lambda m: m["archive"].update(key="shop"))


def manifest_cut(of: Stored, _other: Stored) -> None:
    os.truncate(of.manifest, 300)


def manifest_of_another(of: Stored, other: Stored) -> None:
    shutil.copy(other.manifest, of.manifest)


DAMAGES = [
    truncated, one_byte_flipped, swapped_with_another, swapped_with_its_manifest_fitted, archive_gone, empty,
    garbage_with_right_sums, manifest_edited, manifest_misshapen,
    manifest_that_names_no_archive_of_its_own, manifest_cut, manifest_of_another,
]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "codec"),
    [
        *((damage, "zstd") for damage in DAMAGES),
        *((damage, "lrzip") for damage in (truncated, one_byte_flipped, garbage_with_right_sums)),
    ],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_damage(
    project: Project, postgres16: Postgres, database: str, tmp_path: Path, damage: Callable[[Stored, Stored], None],
    codec: str,
) -> None:  # fmt: skip
    of = stored(project, CODEC=codec)
    postgres16.execute("INSERT INTO customers (name) VALUES ('one more')", database)
    other = stored(project, CODEC=codec)
    damage(of, other)

    out = tmp_path / "out.tar"
    project.run("fetch", of.id, "-o", str(out), expect=4)
    assert not out.exists()
    assert not out.with_name("out.tar.part").exists()

    copy = f"{database}_c"
    project.run("restore", of.id, "--into", postgres16.url(copy), expect=4)
    assert postgres16.execute(f"SELECT count(*) FROM pg_database WHERE datname = '{copy}'") == [(0,)]

    report = project.run("verify", of.id, "--json", expect=1).json
    assert report["result"] == "failed"
    assert report["failed_level"] in (0, 1)
    assert report["error"]
    assert project.run("verify", other.id, "--json").json["result"] == "passed"
    assert project.at_rest()


def test_a_manifest_of_a_newer_format(project: Project, postgres16: Postgres, tmp_path: Path, database: str) -> None:
    of = stored(project)
    of.edit(lambda m: m.update(format="killick/2"))
    assert "newer image" in project.run("fetch", of.id, "-o", str(tmp_path / "x"), expect=5).err
    project.run("restore", of.id, "--into", postgres16.url(f"{database}_c"), expect=5)
    assert project.run("verify", of.id, "--json", expect=6).json["result"] == "unverifiable"


def test_a_manifest_that_is_lost(project: Project, postgres16: Postgres, tmp_path: Path, database: str) -> None:
    """killick's own name without a manifest is an upload that did not finish: never restored, and not a backup."""
    of = stored(project)
    of.manifest.unlink()
    project.run("fetch", of.id, "-o", str(tmp_path / "x"), expect=4)
    project.run("restore", of.id, "--into", postgres16.url(f"{database}_c"), expect=4)
    assert project.run("verify", of.id, "--json", expect=1).json["result"] == "failed"
    project.run("restore", "--into", postgres16.url(f"{database}_c"), expect=3)
    (listed,) = project.run("list", "--json").json
    assert (listed["id"], listed["manifest"]) == (of.id, False)
    project.run("prune")
    assert of.archive.exists(), "listed, and never touched"
