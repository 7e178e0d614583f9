"""The files engine on real trees: what a folder holds comes back, byte for byte and mode for mode."""

import hashlib
import io
import json
import os
import random
import socket
import stat
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from killick import names, tar
from killick.contents import Contents
from killick.engines import Engine, Source, connect
from killick.engines.files import tree
from killick.errors import (
    AccessDenied,
    EmptyDump,
    NoSpace,
    NotFound,
    Refused,
    RestoreError,
    SettingsError,
    SourceError,
    Unreachable,
)
from killick.watch import unwatched

NOBODY = 65534
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    made = tmp_path / "dump"
    made.mkdir()
    return made


@contextmanager
def as_nobody(*owned: Path) -> Iterator[None]:
    """As somebody without rights, who owns these; the same person where we are no root."""
    if os.geteuid() != 0:
        yield
        return
    for path in owned:
        for parent in path.parents:
            parent.chmod(parent.stat().st_mode | 0o011)
        for each in (path, *path.rglob("*")):
            os.chown(each, NOBODY, NOBODY, follow_symlinks=False)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def files(path: Path, *exclude: str) -> Engine:
    return connect(Source(name="media", url=path.as_uri(), exclude=exclude))


def through_a_manifest(contents: Contents) -> Contents:
    """As it is read from the store."""
    text = json.dumps(contents.to_json(), ensure_ascii=False).encode()
    return Contents.from_json(json.loads(text))


def comes_back(folder: Path, dump: Path, target: Path) -> Contents:
    """Dumped, packed, unpacked and loaded: equal to what is there, and to what a second look finds."""
    contents = through_a_manifest(files(folder).dump(dump, 1, unwatched))
    packed = b"".join(tar.pack(dump, ("first", b""), tar.attributes_of(contents), remove=True))
    assert list(dump.iterdir()) == []
    tar.unpack([packed], dump)
    notes = files(target).load(dump, 1, contents, unwatched)
    assert notes == () or os.geteuid() != 0
    found = files(target).contents(contents)
    assert (found.tables, found.groups) == (contents.tables, contents.groups)
    assert (found.tables, found.groups) == (files(folder).contents().tables, files(folder).contents().groups)
    return contents


def hard_tree(folder: Path) -> None:
    (folder / "a/b/empty folder").mkdir(parents=True)
    (folder / "a/plain.txt").write_text("text\n")
    (folder / "a/empty").touch()
    (folder / "a/b/large").write_bytes(random.Random(1).randbytes(3 << 20))
    for name in (
        b"line\nbreak",
        b"\xff\xfe",
        b"back\\slash",
        b"\\xff",
        "näïve 日本".encode(),
        b" lead",
        b"-rf",
        b"*?[",
        b'"q"',
    ):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(name)
    (folder / "dangling").symlink_to("no/where")
    (folder / "absolute").symlink_to("/etc/hostname")
    (folder / "up").symlink_to("../..")
    (folder / "odd link").symlink_to(os.fsdecode(b"bytes\xff"))
    (folder / "to folder").symlink_to("a", target_is_directory=True)
    os.link(folder / "a/plain.txt", folder / "hard link")
    for i, mode in enumerate((0o000, 0o200, 0o444, 0o777, 0o4755, 0o2755, 0o1644, 0o6111)):
        (folder / f"mode{i}").write_bytes(b"x" * i)
        (folder / f"mode{i}").chmod(mode)
    (folder / "closed").mkdir()
    (folder / "closed/inside").write_text("i")
    (folder / "sticky").mkdir()
    (folder / "sticky").chmod(0o3777)
    os.utime(folder / "a/plain.txt", ns=(1, 1234567890_123456789))
    os.utime(folder / "dangling", ns=(1, 987654321_000000001), follow_symlinks=False)
    (folder / "closed").chmod(0o600)
    os.utime(folder / "a", ns=(1, 1_000_000_000))


def test_everything_comes_back(folder: Path, dump: Path, tmp_path: Path) -> None:
    hard_tree(folder)
    if os.geteuid() == 0:
        os.chown(folder / "a/plain.txt", 1234, 4321)
        os.chown(folder / "mode4", 1234, 4321)
        (folder / "mode4").chmod(0o4755)
        os.chown(folder / "dangling", 1234, 4321, follow_symlinks=False)
    else:
        for unreadable in ("mode0", "mode1", "mode7", "closed"):
            (folder / unreadable).chmod(0o700)
    contents = comes_back(folder, dump, tmp_path / "target")
    target = tmp_path / "target"
    assert (target / "a/plain.txt").stat().st_ino == (target / "hard link").stat().st_ino
    assert (target / "a/plain.txt").stat().st_mtime_ns == 1234567890_123456789
    assert (target / "dangling").readlink() == Path("no/where")
    assert (target / "a/b/empty folder").is_dir()
    if os.geteuid() == 0:
        assert (target / "mode4").stat().st_uid == 1234
        assert contents.groups["attributes"]["closed"].startswith("0600 0 0 ")
    assert stat.S_IMODE((target / "mode4").stat().st_mode) == 0o4755
    assert contents.tables["a/plain.txt"].checksum == hashlib.sha256(b"text\n").hexdigest()
    assert contents.tables["a/plain.txt"].rows == 5
    assert {"line\\x0abreak", "\\xff\\xfe", "back\\\\slash", "\\\\xff", "näïve 日本"} <= contents.tables.keys()
    assert contents.groups["links"]["odd link"] == "bytes\\xff"
    assert contents.notes == ()


def test_stock_tar_finds_modes_and_owners_that_the_copy_has_not(folder: Path, dump: Path) -> None:
    name = os.fsdecode(b"odd \xff \\ name")
    (folder / name).write_text("x")
    (folder / name).chmod(0o440)
    os.utime(folder / name, ns=(1, 5_000_000_007))
    folder.chmod(0o751)
    contents = files(folder).dump(dump, 1, unwatched)
    packed = b"".join(tar.pack(dump, ("first", b""), tar.attributes_of(contents)))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        member = archive.getmember(f"files/{name}")
        assert (member.mode, member.mtime, member.uid) == (0o440, 5.000000007, os.geteuid())
        assert archive.getmember("files").mode == 0o751


@root_only
def test_a_restore_without_rights_keeps_all_but_the_owners(folder: Path, dump: Path, tmp_path: Path) -> None:
    hard_tree(folder)
    contents = files(folder).dump(dump, 1, unwatched)
    target = tmp_path / "target"
    target.mkdir()
    packed = b"".join(tar.pack(dump, ("first", b""), tar.attributes_of(contents)))
    tar.unpack([packed], dump)
    with as_nobody(target, dump):
        notes = files(target).load(dump, 1, contents, unwatched)
        assert len(notes) == 1
        assert "CAP_CHOWN" in notes[0]
        found = files(target).contents(contents)
        assert (found.tables, found.groups) == (contents.tables, contents.groups)
        with pytest.raises(AccessDenied):
            files(target).contents()
    assert stat.S_IMODE((target / "mode0").stat().st_mode) == 0
    assert (target / "mode0").stat().st_uid == NOBODY


def test_holes_stay_holes(folder: Path, dump: Path, tmp_path: Path) -> None:
    size = 64 << 20
    with (folder / "sparse").open("wb") as file:
        file.seek(10 << 20)
        file.write(b"x" * 5000)
        file.truncate(size)
    with (folder / "hole").open("wb") as file:
        file.truncate(size)
    contents = comes_back(folder, dump, tmp_path / "target")
    whole = hashlib.sha256(bytes(10 << 20) + b"x" * 5000 + bytes(size - (10 << 20) - 5000)).hexdigest()
    assert contents.tables["sparse"].checksum == whole
    assert contents.tables["hole"].checksum == hashlib.sha256(bytes(size)).hexdigest()
    assert sum(p.stat().st_blocks for p in (tmp_path / "target").iterdir()) * 512 < 1 << 20
    facts = files(folder).facts()
    assert facts.bytes < 1 << 20
    assert facts.largest < 1 << 20


def _linked(path: Path) -> None:
    path.unlink()
    path.symlink_to("two")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a byte": lambda f: (f / "one").write_text("onf"),
    "a cut file": lambda f: os.truncate(f / "one", 2),
    "a file less": lambda f: (f / "one").unlink(),
    "a file more": lambda f: (f / "three").touch(),
    "a mode": lambda f: (f / "one").chmod(0o640),
    "a special bit": lambda f: (f / "one").chmod(0o4600),
    "a time": lambda f: os.utime(f / "one", ns=(1, 1)),
    "a nanosecond": lambda f: os.utime(f / "two", ns=(0, 1_000_000_001)),
    "a folder's time": lambda f: os.utime(f / "folder", ns=(1, 1)),
    "an empty folder": lambda f: (f / "folder").rmdir(),
    "a link's target": lambda f: _linked(f / "link"),
    "a link for a file": lambda f: _linked(f / "one"),
    "a name": lambda f: (f / "one").rename(f / "One"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_seen(folder: Path, damage: str) -> None:
    (folder / "one").write_text("one")
    (folder / "one").chmod(0o600)
    (folder / "two").write_text("two")
    os.utime(folder / "two", ns=(0, 1_000_000_000))
    (folder / "folder").mkdir()
    (folder / "link").symlink_to("one")
    before = files(folder).contents()
    at = folder.stat()
    DAMAGES[damage](folder)
    os.utime(folder, ns=(at.st_atime_ns, at.st_mtime_ns))
    after = files(folder).contents(before)
    assert (after.tables, after.groups) != (before.tables, before.groups)


@root_only
def test_an_owner_that_changed_is_seen(folder: Path) -> None:
    (folder / "one").touch()
    os.chown(folder / "one", 77, 0)
    before = files(folder).contents()
    os.chown(folder / "one", 0, 0)
    assert files(folder).contents(before).groups != before.groups


def test_what_is_excluded_is_not_there(folder: Path, dump: Path) -> None:
    for path in (
        "a.log",
        "deep/er/b.log",
        "cache/x",
        "keep/cache/y",
        "tmp/z",
        "keep/tmp",
        "node_modules/q/r",
        "keep/1.tmp",
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    contents = files(folder, "*.log", "/cache", "tmp/", "**/node_modules/**", "keep/[0-9].tmp").dump(dump, 1, unwatched)
    assert set(contents.tables) == {"keep/cache/y", "keep/tmp"}
    assert "tmp" not in contents.groups["attributes"]


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*.log", ["x.log", "a/b/.log"], ["x.logs", "x.log/y"]),
        ("a/*.log", ["a/x.log"], ["b/a/x.log", "a/b/x.log"]),
        ("a/**/x", ["a/x", "a/b/c/x"], ["b/a/x"]),
        ("**/x/y", ["x/y", "a/b/x/y"], ["xx/y"]),
        ("/x", ["x"], ["a/x"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b/a"]),
        ("?", ["x", "a/y", "é"], ["xy"]),
        ("[!a-c].t", ["d.t", "x/z.t"], ["a.t"]),
        ("[", ["["], ["a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("x\ny", ["x\ny"], ["xy"]),
    ],
)
def test_patterns(pattern: str, matching: list[str], other: list[str]) -> None:
    left_out = tree.excluding([pattern])
    assert [path for path in matching if not left_out(path, False)] == []
    assert [path for path in other if left_out(path, False)] == []


def test_a_pattern_for_folders() -> None:
    left_out = tree.excluding(["tmp/", "/", ""])
    assert (left_out("a/tmp", True), left_out("a/tmp", False), left_out("a", True)) == (True, False, False)


def test_what_is_no_file_is_left_out_and_told(folder: Path, dump: Path) -> None:
    (folder / "file").touch()
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
        contents = files(folder).dump(dump, 1, unwatched)
    assert contents.notes == ("2 files are sockets, pipes or devices, and are left out: pipe, socket",)
    assert set(contents.groups["attributes"]) == {".", "file"}


def test_unreadable_files_fail_the_source_with_the_cure(folder: Path, dump: Path) -> None:
    for i in range(8):
        (folder / f"f{i}").write_text("x")
        (folder / f"f{i}").chmod(0o000)
    (folder / "last").touch()
    (folder / "shut").mkdir()
    (folder / "shut").chmod(0o000)
    with as_nobody(folder, dump):
        with pytest.raises(AccessDenied, match=r"9 files or folders in .* cannot be read: f0, .* and 4 more") as caught:
            files(folder).dump(dump, 1, unwatched)
        assert "cap_add: [DAC_READ_SEARCH]" in caught.value.hint
        assert "EXCLUDE_MEDIA" in caught.value.hint
        assert not (dump / "files/last").exists()
        check = files(folder).checks()[-1]
        assert not check.ok
        assert "DAC_READ_SEARCH" in check.cure
    (folder / "shut").chmod(0o700)


def test_a_file_that_grows_is_told_and_stored_as_it_was_read(folder: Path, dump: Path, tmp_path: Path) -> None:
    log = folder / "log"
    log.write_bytes(bytes(1 << 20) * 30)
    stop = threading.Event()

    def write() -> None:
        with log.open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"x" * 1000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        contents = files(folder).dump(dump, 1, unwatched)
    finally:
        stop.set()
        writer.join()
    assert contents.notes == ("1 files changed while being read, and are stored as they were read: log",)
    stored = (dump / "files/log").read_bytes()
    assert contents.tables["log"].rows == len(stored)
    assert contents.tables["log"].checksum == hashlib.sha256(stored).hexdigest()
    files(tmp_path / "target").load(dump, 1, contents, unwatched)


def test_a_file_that_vanishes_is_told(folder: Path, dump: Path) -> None:
    (folder / "a").write_bytes(bytes(9 << 20))
    (folder / "b").write_text("b")
    (folder / "c").write_text("c")
    (folder / "d").write_text("d")

    def delete(done: int, total: int = 0, unit: str = "bytes") -> None:
        (folder / "b").unlink(missing_ok=True)
        (folder / "c").unlink(missing_ok=True)
        (folder / "c").symlink_to("/etc/passwd")
        (folder / "d").unlink(missing_ok=True)
        os.mkfifo(folder / "d")

    contents = files(folder).dump(dump, 1, delete)
    assert contents.notes == (
        "2 files were deleted before they were read: b, c",
        "1 files are sockets, pipes or devices, and are left out: d",
    )
    assert set(contents.tables) == {"a"}


def test_nothing_is_written_through_a_link(dump: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = tmp_path / "target"
    target.symlink_to(outside, target_is_directory=True)
    (dump / "files").mkdir()
    (dump / "files/link").symlink_to(outside)
    (dump / "files/sub").mkdir()
    (dump / "files/sub/x").touch()
    files(tmp_path / "new").load(dump, 1, Contents(), unwatched)
    assert list(outside.iterdir()) == []
    (outside / "there").touch()
    with pytest.raises(Refused, match="is not empty"):
        files(target).load(dump, 1, Contents(), unwatched)


def deep(folder: Path, size: int) -> Path:
    """Folders in folders, until the path of the innermost has that many bytes, or a few less."""
    path = folder
    while len(str(path)) + 101 < size:
        path /= "d" * 100
    path /= "d" * max(1, size - len(str(path)) - 1)
    path.mkdir(parents=True)
    return path


def test_a_path_that_is_too_long_is_told(folder: Path, dump: Path, tmp_path: Path) -> None:
    (folder / "plain").write_text("x")
    inner = deep(folder, 4090)
    lower = dump / "where/everything/lies/much/deeper"
    lower.mkdir(parents=True)
    with pytest.raises(SourceError, match=r"1 paths in .* are too long to be copied: d") as caught:
        files(folder).dump(lower, 1, unwatched)
    assert "EXCLUDE_MEDIA" in caught.value.hint
    assert len(caught.value.message) < 1000
    inner.rmdir()
    inner.parent.rmdir()
    deep(folder, 3900)
    dump = tmp_path / "other"
    dump.mkdir()
    contents = files(folder).dump(dump, 1, unwatched)
    with pytest.raises(RestoreError, match="too long, with"):
        files(tmp_path / ("t" * 200)).load(dump, 1, contents, unwatched)


def test_a_target_with_something_in_it_is_refused(folder: Path, dump: Path) -> None:
    (folder / "x").touch()
    contents = files(folder).dump(dump, 1, unwatched)
    with pytest.raises(Refused, match="is not empty"):
        files(folder).load(dump, 1, contents, unwatched)


def test_some_files_only(folder: Path, dump: Path, tmp_path: Path) -> None:
    for path in ("a/b/c", "a/b/d", "a/e", "f", "g"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    (folder / "a").chmod(0o750)
    contents = files(folder).dump(dump, 1, unwatched)
    files(tmp_path / "some").load(dump, 1, contents, unwatched, only=["a/b", "g"])
    assert set(files(tmp_path / "some").contents().tables) == {"a/b/c", "a/b/d", "g"}
    assert stat.S_IMODE((tmp_path / "some/a").stat().st_mode) == 0o750
    with pytest.raises(NotFound, match="does not hold nothing"):
        files(tmp_path / "none").load(dump, 1, contents, unwatched, only=["nothing"])


def test_a_file_that_the_archive_lacks_is_an_error(folder: Path, dump: Path, tmp_path: Path) -> None:
    (folder / "x").touch()
    (folder / "y").touch()
    contents = files(folder).dump(dump, 1, unwatched)
    (dump / "files/y").unlink()
    with pytest.raises(RestoreError, match="1 files are not in the archive: y"):
        files(tmp_path / "target").load(dump, 1, contents, unwatched)


def test_a_folder_that_is_empty_or_not_there(folder: Path, dump: Path, tmp_path: Path) -> None:
    with pytest.raises(EmptyDump, match="is the volume mounted"):
        files(folder).dump(dump, 1, unwatched)
    assert files(folder).facts().empty
    gone = files(tmp_path / "gone")
    with pytest.raises(Unreachable, match="is not a folder, or not there"):
        gone.dump(dump, 1, unwatched)
    assert gone.facts().empty
    assert gone.facts().warnings
    assert not gone.checks()[0].ok
    (folder / "lost+found").mkdir()
    assert files(folder).facts().empty


def test_what_is_no_folder_is_told(folder: Path, dump: Path) -> None:
    (folder / "x").touch()
    file = files(folder / "x")
    assert not file.facts().empty
    with pytest.raises(Unreachable, match="is not a folder"):
        file.dump(dump, 1, unwatched)


def test_scratch_inside_the_source_is_refused(folder: Path) -> None:
    (folder / "scratch").mkdir()
    (folder / "x").touch()
    with pytest.raises(SettingsError, match="move SCRATCH_DIR"):
        files(folder).dump(folder / "scratch", 1, unwatched)


@pytest.mark.parametrize("url", ["file://data/x", "file:x", "file:///x%00y"])
def test_a_url_that_names_no_folder(url: str) -> None:
    with pytest.raises(SettingsError, match=r"file:///absolute/path"):
        connect(Source(name="media", url=url))


@root_only
def test_a_full_disk_is_told(folder: Path, dump: Path) -> None:
    (folder / "x").write_bytes(bytes(range(1, 256)) * 1000)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "killick", dump], check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(NoSpace, match="no space left for"):
            files(folder).dump(dump, 1, unwatched)
    finally:
        subprocess.run(["umount", dump], check=True)


def test_facts(folder: Path) -> None:
    (folder / "x").write_bytes(b"x" * 100_000)
    os.link(folder / "x", folder / "y")
    (folder / "z.log").write_bytes(b"z" * 50_000)
    facts = files(folder).facts()
    assert (facts.engine, facts.database, facts.bytes, facts.largest) == ("files", str(folder), 150_000, 100_000)
    assert (facts.identity, facts.copy, facts.empty) == ("", False, False)
    assert files(folder, "*.log").facts().bytes == 100_000


@given(st.text(st.characters(codec=None, exclude_categories=["Cs"]) | st.sampled_from("\\x\udcff\udc80\n\x7fa0")))
def test_names_are_escaped_without_two_becoming_one(name: str) -> None:
    there = names.escaped(name)
    assert names.unescaped(there) == name
    there.encode()
    assert not any(c < " " for c in there)


NAMES = st.binary(min_size=1, max_size=12).filter(lambda b: b"/" not in b and b"\0" not in b and b not in {b".", b".."})
BRANCH = st.recursive(
    st.binary(max_size=300) | NAMES.map(lambda b: ("link", b)),
    lambda children: st.dictionaries(NAMES, children, max_size=4),
    max_leaves=12,
)


def _make(place: Path, branch: object) -> None:
    if isinstance(branch, dict):
        place.mkdir()
        for name, below in branch.items():
            _make(place / os.fsdecode(name), below)
    elif isinstance(branch, tuple):
        place.symlink_to(os.fsdecode(branch[1]))
    else:
        assert isinstance(branch, bytes)
        place.write_bytes(branch)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(NAMES, BRANCH, min_size=1, max_size=5))
def test_any_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, branch: dict[bytes, object]) -> None:
    base = tmp_path_factory.mktemp("tree")
    _make(base / "source", branch)
    (base / "dump").mkdir()
    comes_back(base / "source", base / "dump", base / "target")
