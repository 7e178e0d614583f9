"""A folder is replaced by one that was filled beside it, or inside it where it is a mount point."""

import json
import os
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from killick.contents import Contents
from killick.engines import Source, connect
from killick.engines.files import renaming
from killick.engines.files.engine import Files
from killick.engines.files.places import Places
from killick.errors import AccessDenied, NoSpace, NotFound, Refused, SourceError
from killick.watch import unwatched
from tests.contract.test_files import as_nobody, hard_tree
from tests.kit import mounted


def files(path: Path) -> Files:
    found = connect(Source("media", path.as_uri()))
    assert isinstance(found, Files)
    return found


@pytest.fixture(params=["beside", "inside"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder with something in it, that can be renamed or cannot."""
    made = tmp_path / "my uploads"
    made.mkdir()
    with ExitStack() as stack:
        if request.param == "inside":
            stack.enter_context(mounted(made))
        (made / "a").mkdir()
        (made / "a/own").write_text("own")
        (made / "only own").write_text("only own")
        os.link(made / "only own", made / "a/the same")
        made.chmod(0o2750)
        os.utime(made, ns=(1, 1_000_000_007))
        yield made


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    (tmp_path / "dump").mkdir()
    return tmp_path / "dump"


@pytest.fixture
def backup(tmp_path: Path, dump: Path) -> Contents:
    (tmp_path / "source").mkdir()
    hard_tree(tmp_path / "source")
    if os.geteuid() != 0:
        for unreadable in ("mode0", "mode1", "mode7", "closed"):
            (tmp_path / "source" / unreadable).chmod(0o700)
    return files(tmp_path / "source").dump(dump, 1, unwatched)


def same(one: Contents, other: Contents) -> None:
    assert one.tables == other.tables
    assert one.groups == other.groups


def put(path: Path, name: str) -> None:
    path.mkdir(exist_ok=True)
    (path / name).write_text(name)


def swapped(root: Path, name: str = "new") -> None:
    """In use is a folder with one file of that name."""
    engine = files(root)
    place = engine.beside("first", 0)
    put(Path(place.root), name)
    engine.swap("first")


def names(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if path.name != ".killick"}


def test_all_that_a_folder_can_hold_comes_into_use_and_goes_and_comes_back(
    root: Path, dump: Path, backup: Contents
) -> None:
    before = files(root).contents()
    place = files(root).beside("first", backup.rows)
    place.load(dump, 1, backup, unwatched)
    same(backup, place.contents(backup))
    same(before, files(root).contents())
    files(root).swap("first")
    for _ in range(2):
        same(backup, files(root).contents(backup))
        assert (root / "a/plain.txt").stat().st_ino == (root / "hard link").stat().st_ino
        files(root).undo()
        same(before, files(root).contents())
        assert (root / "only own").stat().st_ino == (root / "a/the same").stat().st_ino
        files(root).undo()
    assert files(root).sweep() == ()


def test_a_snapshot_of_all_that_a_folder_can_hold(root: Path, dump: Path, backup: Contents) -> None:
    files(root).clear("first", copy=False)
    files(root).load(dump, 1, backup, unwatched)
    with (root / "sparse").open("wb") as file:
        file.truncate(64 << 20)
        file.write(b"x")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket"))
        first = files(root).contents()
        notes = files(root).snapshot()
    assert "1 files are sockets, pipes or devices, and are left out: socket" in notes
    for path in (root / "sparse", root / "a/plain.txt", root / "dangling", root / "socket"):
        path.unlink()
    (root / "a/new").touch()
    second = files(root).contents()
    for _ in range(2):
        files(root).reset()
        same(first, files(root).contents())
        assert (root / "sparse").stat().st_blocks * 512 < 1 << 20
        assert (root / "a/plain.txt").stat().st_ino == (root / "hard link").stat().st_ino
        files(root).undo()
        same(second, files(root).contents())


def test_whoever_looks_sees_one_or_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at after every step that the system is asked for."""
    root = tmp_path / "uploads"
    for name in ("one", "two", "three"):
        put(root, f"old {name}")
    place = files(root).beside("first", 0)
    for name in ("one", "two"):
        put(Path(place.root), f"new {name}")
    seen: list[set[str]] = []
    for module, call in ((os, "rename"), (os, "replace"), (renaming, "exchange")):
        monkeypatch.setattr(module, call, looking(getattr(module, call), lambda: seen.append(names(root))))
    files(root).swap("first")
    files(root).undo()
    old, new = ({"old one", "old two", "old three"}, {"new one", "new two"})
    assert [now for now, before in zip(seen, [set(), *seen], strict=False) if now != before] == [old, new, old]


def looking(real: Callable[..., object], look: Callable[[], None]) -> Callable[..., object]:
    def call(*arguments: object, **named: object) -> object:
        done = real(*arguments, **named)
        look()
        return done

    return call


@pytest.mark.parametrize("known", [True, False])
def test_where_names_cannot_be_exchanged_it_goes_by_renames(
    root: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if not known:
        monkeypatch.setattr(renaming, "exchange", lambda _one, _other: False)
    before = files(root).contents()
    swapped(root, "a")  # the name of a folder that was there
    assert (names(root), (root / "a").read_text()) == ({"a"}, "a")
    files(root).undo()
    same(before, files(root).contents())
    files(root).undo()
    assert names(root) == {"a"}
    assert files(root).sweep() == ()


def test_what_is_killicks_is_no_part_of_the_folder(root: Path, dump: Path, tmp_path: Path) -> None:
    swapped(root)
    files(root).snapshot()
    files(root).beside("second", 0)
    assert (root / ".killick").is_dir()
    facts = files(root).facts()
    assert (facts.copy, facts.empty) == (True, False)
    contents = files(root).dump(dump, 1, unwatched)
    assert set(contents.tables) == {"new"}
    assert {path.name for path in (dump / "files").iterdir()} == {"new"}
    same(contents, files(root).contents())
    assert facts.bytes < 8192
    (root / "new").unlink()
    assert files(root).facts().empty
    assert names(tmp_path) <= {"my uploads", "my uploads__new", "my uploads__old", "my uploads__snapshot", "dump"}


def test_a_folder_of_that_name_that_is_somebodys_is_kept_and_backed_up(root: Path, dump: Path, tmp_path: Path) -> None:
    (root / ".killick").mkdir()
    (root / ".killick/theirs").write_text("theirs")
    assert ".killick/theirs" in files(root).dump(dump, 1, unwatched).tables
    assert not files(root).facts().copy
    with pytest.raises(Refused, match=r"\.killick is there, and is not killick's"):
        files(root).clear("first")
    if Places.of(str(root)).inside:
        with pytest.raises(Refused, match=r"\.killick is there, and is not killick's"):
            files(root).beside("first", 0)
    else:
        swapped(root)
        files(root).undo()
    assert (root / ".killick/theirs").read_text() == "theirs"
    link = tmp_path / "other"
    put(link, "x")
    (link / ".killick").symlink_to(root)
    assert files(link).facts().empty is False
    with pytest.raises(Refused):
        files(link).clear("first")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"other": 1}'])
def test_a_mark_that_cannot_be_read_is_taken_for_a_copys(tmp_path: Path, text: str) -> None:
    swapped(tmp_path / "uploads")
    (tmp_path / "uploads/.killick/mark.json").write_text(text)
    assert files(tmp_path / "uploads").facts().copy


def test_the_mark_says_of_which_backup_it_is_and_can_be_read_by_whoever_backs_up(root: Path) -> None:
    swapped(root)
    mark = json.loads((root / ".killick/mark.json").read_text())
    assert mark["copy"]["origin"] == "first"
    assert mark["place"] == ""
    assert stat.S_IMODE((root / ".killick").stat().st_mode) & 0o777 == 0o755
    files(root).undo()
    assert not files(root).facts().copy


@pytest.mark.parametrize("what", ["new", "old", "out"])
def test_a_folder_beside_that_is_somebodys_stays(tmp_path: Path, what: str) -> None:
    put(tmp_path / "uploads", "own")
    put(tmp_path / f"uploads__{what}", "theirs")
    with pytest.raises(Refused, match=f"uploads__{what} is there, and is not killick's"):
        files(tmp_path / "uploads").beside("first", 0)
    assert names(tmp_path) == {"uploads", f"uploads__{what}"}
    assert names(tmp_path / f"uploads__{what}") == {"theirs"}


def test_an_empty_folder_beside_is_nobodys(tmp_path: Path) -> None:
    put(tmp_path / "uploads", "own")
    for what in ("new", "old"):
        (tmp_path / f"uploads__{what}").mkdir()
    swapped(tmp_path / "uploads")
    assert names(tmp_path / "uploads") == {"new"}
    assert names(tmp_path / "uploads__old") == {"own"}


def test_a_snapshot_beside_that_is_somebodys_stays(tmp_path: Path) -> None:
    put(tmp_path / "uploads", "own")
    put(tmp_path / "uploads__snapshot", "theirs")
    with pytest.raises(Refused, match="uploads__snapshot is there"):
        files(tmp_path / "uploads").snapshot()
    with pytest.raises(NotFound, match="no snapshot"):
        files(tmp_path / "uploads").reset()
    assert names(tmp_path / "uploads__snapshot") == {"theirs"}


def test_too_little_room_is_seen_before_anything_is_made(root: Path, tmp_path: Path) -> None:
    with pytest.raises(NoSpace, match=r"free, and .* would go in beside") as caught:
        files(root).beside("first", 1 << 60)
    assert "--in-place" in caught.value.hint
    assert names(tmp_path) == {"my uploads"}
    assert not (root / ".killick").exists()


def test_what_is_mounted_in_it_is_told_before_anything_is_made(root: Path, tmp_path: Path) -> None:
    before = files(root).contents()
    with mounted(root / "a"):
        for role in (lambda: files(root).beside("first", 0), lambda: files(root).clear("first"), files(root).snapshot):
            with pytest.raises(SourceError, match=r"my uploads/a in .* is a mount point") as caught:
                role()
            assert "unmount" in caught.value.hint
    same(before, files(root).contents())
    assert names(tmp_path) == {"my uploads"}


def test_an_error_half_way_takes_it_all_back(tmp_path: Path) -> None:
    root = tmp_path / "uploads"
    for name in ("a", "b", "d"):
        put(root, name)
    (root / "c").mkdir()
    root.chmod(0o700)
    with mounted(root):
        before = files(root).contents()
        place = files(root).beside("first", 0)
        for name in ("a", "b", "c", "e"):
            put(Path(place.root), name)
        with mounted(root / "c"), pytest.raises(SourceError, match=r"cannot be replaced: .* busy"):
            files(root).swap("first")
        same(before, files(root).contents())
        assert not files(root).facts().copy
        files(root).swap("first")
        assert names(root) == {"a", "b", "c", "e"}
        files(root).undo()
        same(before, files(root).contents())


def test_while_it_is_half_exchanged_it_is_not_backed_up(tmp_path: Path, dump: Path) -> None:
    root = tmp_path / "uploads"
    put(root, "a")
    with mounted(root):
        files(root).beside("first", 0)
        (root / ".killick/journal.json").write_text("{}")
        with pytest.raises(SourceError, match="a restore exchanges what is in"):
            files(root).dump(dump, 1, unwatched)


def test_a_folder_that_is_not_there_is_made_and_nothing_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "not/there/yet"
    place = files(root).beside("first", 0)
    put(Path(place.root), "new")
    assert not files(root).swap("first").kept
    assert names(root) == {"new"}
    with pytest.raises(NotFound):
        files(root).undo()


def test_a_folder_that_was_deleted_comes_back(tmp_path: Path) -> None:
    root = tmp_path / "uploads"
    put(root, "own")
    swapped(root)
    subprocess.run(["rm", "-r", root], check=True)
    files(root).undo()
    assert names(root) == {"own"}
    files(root).undo()
    assert names(root) == set()


@pytest.mark.parametrize("name", [b"n" * 255, "é".encode() * 127, b"line\nbreak \xff%20?#"])
def test_folders_of_any_name(tmp_path: Path, name: bytes) -> None:
    root = Path(os.fsdecode(bytes(tmp_path) + b"/" + name))
    put(root, "own")
    swapped(root)
    assert names(root) == {"new"}
    files(root).undo()
    assert names(root) == {"own"}
    assert files(root).sweep() == ()


def test_two_long_names_have_two_places(tmp_path: Path) -> None:
    one, other = (Places(f"{tmp_path}/{'n' * 250}{end}", inside=False).at("new") for end in "xy")
    assert one != other
    assert len(Path(one).name) == 255


def test_without_the_right_to_write_it_is_told(tmp_path: Path) -> None:
    root = tmp_path / "uploads"
    put(root, "own")
    root.chmod(0o555)
    tmp_path.chmod(0o555)
    with as_nobody(), pytest.raises(AccessDenied, match="may not be written") as caught:
        files(root).beside("first", 0)
    tmp_path.chmod(0o755)
    assert caught.value.hint


def test_where_nothing_can_be_put_beside_it_goes_inside(tmp_path: Path) -> None:
    """As a user who owns the folder, and not the one that it lies in."""
    root = tmp_path / "above/uploads"
    root.parent.mkdir()
    put(root, "own")
    (root / "closed").mkdir(mode=0o500)
    (root / "closed/inside").mkdir(mode=0o500)
    with as_nobody(root):
        if os.geteuid() == root.parent.stat().st_uid:
            root.parent.chmod(0o555)
        before = files(root).contents()
        place = Path(files(root).beside("first", 0).root)
        put(place, "new")
        place.chmod(0o555)
        files(root).swap("first")
        assert names(root) == {"new"}
        assert stat.S_IMODE(root.stat().st_mode) == 0o555
        assert names(root.parent) == {"uploads"}
        files(root).undo()
        same(before, files(root).contents())
        files(root).clear("first")
        assert names(root) == set()
        with pytest.raises(NotFound):
            files(root).undo()
    root.parent.chmod(0o755)


def test_mount_points_are_told_by_what_the_system_says(tmp_path: Path) -> None:
    odd = tmp_path / "a b\tc\\d\ne"
    odd.mkdir()
    assert renaming.can_be_renamed(str(odd))
    assert not renaming.can_be_renamed("/")
    link = tmp_path / "link"
    link.symlink_to(odd)
    assert not renaming.can_be_renamed(str(link))
    with mounted(odd):
        assert not renaming.can_be_renamed(str(odd))
        assert renaming.mounts(str(tmp_path)) == {str(odd)}
        assert renaming.can_be_renamed(str(tmp_path))


def test_files_that_cannot_be_read_make_no_snapshot(tmp_path: Path) -> None:
    root = tmp_path / "uploads"
    put(root, "own")
    put(root, "readable")
    if os.geteuid() != 0:
        pytest.skip("what is our own we can read")
    (root / "own").chmod(0o600)
    tmp_path.chmod(0o777)
    root.chmod(0o777)
    with as_nobody(), pytest.raises(AccessDenied, match=r"1 files or folders in .* cannot be read"):
        files(root).snapshot()
    assert names(root) == {"own", "readable"}
