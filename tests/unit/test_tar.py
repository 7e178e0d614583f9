"""What goes into a tar comes out again, by GNU tar; owners are the recorded ones; scratch is emptied on the way."""

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killick.contents import Contents
from killick.errors import Corrupt
from killick.tar import _extents, attributes_of, pack, unpack

FIRST = ("manifest.json", b'{"format": "killick/1"}')


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    inner = root / "files" / "sub é"
    inner.mkdir(parents=True)
    (root / "files" / "a").write_bytes(os.urandom(1_500_001))
    os.link(root / "files" / "a", root / "files" / "linked")
    (root / "files" / "empty").touch()
    (root / "files" / "dangling").symlink_to("nowhere")
    (root / "files" / "absolute").symlink_to("/etc/hostname")
    with (root / "files" / "sparse").open("wb") as file:
        file.seek(40_000_000)
        file.write(b"x" * 100_001)
        file.truncate(90_000_000)
    with (root / "files" / "hole").open("wb") as file:
        file.truncate(5_000_000)
    (inner / ("n" * 180 + "\n'\"%")).write_text("odd")
    Path(os.fsdecode(os.fsencode(root) + b"/files/raw\xff")).write_text("bytes")
    os.utime(root / "files" / "empty", ns=(1, 1_234_567_890_123_456_789))
    (root / "files" / "empty").chmod(0o4751)
    return root


def packed(tree: Path, **more: object) -> bytes:
    return b"".join(pack(tree, FIRST, **more))  # type: ignore[arg-type]


def test_stock_tar_gives_back_what_was_packed(tree: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    subprocess.run(["cp", "-a", tree, before], check=True)
    data = packed(tree)
    assert len(data) < 4_000_000, "holes and hard links take no room"
    after = tmp_path / "after"
    after.mkdir()
    subprocess.run(["tar", "xf", "-", "-C", after], input=data, check=True)
    assert (after / FIRST[0]).read_bytes() == FIRST[1]
    (after / FIRST[0]).unlink()
    assert subprocess.run(["diff", "-r", "--no-dereference", before, after]).returncode == 0
    assert (after / "files/a").stat().st_ino == (after / "files/linked").stat().st_ino
    assert (after / "files/sparse").stat().st_blocks * 512 < 1_000_000
    assert (after / "files/empty").stat().st_mtime_ns == 1_234_567_890_123_456_789
    assert (after / "files/empty").stat().st_mode & 0o7777 == 0o4751
    assert list(tree.iterdir()) == [], "what was packed is gone from scratch"


def test_the_manifest_is_the_first_member_and_python_reads_it(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(packed(tree))
    with tarfile.open(path) as tar:
        first = tar.next()
        assert first is not None
        assert first.name == FIRST[0]
        sparse = tar.getmember("files/sparse")
        assert sparse.size == 90_000_000


def test_owners_are_the_recorded_ones(tree: Path, tmp_path: Path) -> None:
    contents = Contents(groups={"attributes": {"a": "0640 1234 4321 5000000007"}})
    path = tmp_path / "x.tar"
    path.write_bytes(packed(tree, attributes=attributes_of(contents)))
    with tarfile.open(path) as tar:
        member = tar.getmember("files/a")
        assert (member.mode, member.uid, member.gid) == (0o640, 1234, 4321)
        assert member.pax_headers["mtime"] == "5.000000007"


def test_our_own_way_back_is_the_same(tree: Path, tmp_path: Path) -> None:
    data = packed(tree, remove=False)
    after = tmp_path / "after"
    after.mkdir()
    unpack(iter([data[:1000], data[1000:]]), after)
    (after / FIRST[0]).unlink()
    assert subprocess.run(["diff", "-r", "--no-dereference", tree, after]).returncode == 0


def test_a_cut_tar_is_corrupt(tree: Path, tmp_path: Path) -> None:
    data = packed(tree)
    (tmp_path / "after").mkdir()
    with pytest.raises(Corrupt, match="whole tar"):
        unpack(iter([data[: len(data) // 2]]), tmp_path / "after")


def test_a_member_cannot_leave_the_folder(tmp_path: Path) -> None:
    evil = tmp_path / "evil.tar"
    with tarfile.open(evil, "w") as tar:
        link = tarfile.TarInfo("files/out")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "outside")
        tar.addfile(link)
        for name in ("files/out/escaped", "../escaped"):
            tar.addfile(tarfile.TarInfo(name))
    (tmp_path / "outside").mkdir()
    (tmp_path / "in").mkdir()
    with pytest.raises(Corrupt):
        unpack(iter([evil.read_bytes()]), tmp_path / "in")
    assert list((tmp_path / "outside").iterdir()) == []
    assert not (tmp_path / "escaped").exists()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 8)), max_size=6), st.integers(0, 3_000_000))
def test_extents_cover_all_that_is_not_zero(tmp_path_factory: pytest.TempPathFactory, writes, more: int) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("sparse") / "file"
    with path.open("wb") as file:
        for at, length in writes:
            file.seek(at * 65_536)
            file.write(b"x" * (length * 4096))
        file.truncate(max(file.tell(), more))
    data = path.read_bytes()
    with path.open("rb") as file:
        extents = _extents(file.fileno(), len(data))
    rebuilt = bytearray(len(data))
    for at, length in extents:
        rebuilt[at : at + length] = data[at : at + length]
    assert bytes(rebuilt) == data
    assert extents == sorted(extents)
