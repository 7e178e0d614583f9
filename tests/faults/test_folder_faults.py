"""A folder on bad days: no right, no room, a path that leads elsewhere, a file system without links."""

import errno
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from killick import stores
from killick.errors import KillickError, NotFound, SettingsError, StoreDenied, StoreError, Taken
from killick.stores.folder import Folder

NOBODY = 65534
ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "store")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    return path


@pytest.mark.parametrize(
    "key", ["../x", "/x", "a/../../x", "a//x", "", ".", "a/.", "a/", "a\0b", f".x.{'0' * 16}.part"]
)
def test_no_key_leads_out(store: Folder, file: Path, tmp_path: Path, key: str) -> None:
    for work in (
        lambda: store.put(key, file),
        lambda: store.get(key, tmp_path / "back"),
        lambda: store.delete(key),
        lambda: store.sweep(key),
    ):
        with pytest.raises(StoreError, match="cannot be a key"):
            work()
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["file"]


def test_no_prefix_leads_out(store: Folder, file: Path) -> None:
    with pytest.raises(StoreError):
        list(store.list("../"))


def test_no_link_leads_out(store: Folder, file: Path, tmp_path: Path) -> None:
    store.put("app/x", file)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/precious").write_text("not ours")
    (store.root / "app/link").symlink_to(tmp_path / "elsewhere")
    for work in (lambda: store.put("app/link/x", file), lambda: store.delete("app/link/precious")):
        with pytest.raises(StoreError, match="leads out"):
            work()
    assert [s.key for s in store.list("")] == ["app/x"]
    assert (tmp_path / "elsewhere/precious").exists()


@pytest.mark.parametrize("url", ["file://host/backups", "file:relative", "file://"])
def test_a_url_that_is_no_folder(url: str) -> None:
    with pytest.raises(SettingsError, match="absolute path"):
        stores.connect(url)


def test_parts_are_not_listed_and_foreign_files_are(store: Folder, file: Path) -> None:
    store.put("app/x", file)
    for name in (f".x.{'0f' * 8}.part", "y.part", ".x.part", ".hidden"):
        (store.root / "app" / name).touch()
    assert [s.key for s in store.list("app/")] == ["app/.hidden", "app/.x.part", "app/x", "app/y.part"]
    assert (store.sweep("app/x"), store.sweep("app/y")) == (1, 0)
    assert {p.name for p in (store.root / "app").iterdir()} == {"x", "y.part", ".x.part", ".hidden"}


def test_an_emptied_folder_goes_and_comes_again(store: Folder, file: Path) -> None:
    store.put("app/x.evidence/1", file)
    store.delete("app/x.evidence/1")
    assert store.root.is_dir()
    assert list(store.root.iterdir()) == []
    store.put("app/x.evidence/1", file)
    with pytest.raises(NotFound):
        store.get("app/x.evidence/2", file.with_name("back"))


def test_without_hard_links_one_still_wins(store: Folder, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CIFS and exFAT, which cannot be mounted here."""

    def link(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", link)
    store.put("app/x", file, if_absent=True)
    with pytest.raises(Taken):
        store.put("app/x", file, if_absent=True)
    assert [(s.key, s.bytes) for s in store.list("")] == [("app/x", 7)]


def test_a_link_whose_answer_was_lost_is_ours(store: Folder, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As NFS may do: the server links, the answer is lost, the second try finds the name in use."""
    real = os.link

    def link(source: Path, target: Path) -> None:
        real(source, target)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", link)
    assert store.put("app/x", file, if_absent=True).bytes == 7


def as_nobody(work: Callable[[], object]) -> KillickError:
    """What `work` raises in a process without root's rights."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_as_nobody, args=(work, theirs))
    child.start()
    theirs.close()
    try:
        kind, message, hint = ours.recv()
    finally:
        child.join()
    error = {"StoreDenied": StoreDenied}[kind](message, hint)
    assert isinstance(error, KillickError)
    return error


def _as_nobody(work: Callable[[], object], pipe: Connection) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    try:
        work()
        pipe.send(("nothing", "", ""))
    except KillickError as error:
        pipe.send((type(error).__name__, error.message, error.hint))


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder to which everybody can go; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_no_right_tells_the_uid_and_the_cure(reachable: Path) -> None:
    store, file = Folder(reachable / "store"), reachable / "file"
    file.write_bytes(b"content")
    file.chmod(0o644)
    store.put("app/x", file)
    store.root.chmod(0o555)
    (store.root / "app").chmod(0o555)
    (store.root / "app/x").chmod(0)
    uid = os.geteuid() or NOBODY
    try:
        for work in (
            lambda: store.put("app/y", file),
            lambda: store.put("app/y", file, if_absent=True),
            lambda: store.put("new/y", file),
            lambda: store.get("app/x", Path("/nowhere")),
            lambda: store.delete("app/x"),
        ):
            error = as_nobody(work)
            assert f"Permission denied for uid {uid}" in error.message
            assert error.hint.startswith(f"make it its own: chown -R {uid} {store.root}")
        (store.root / "app").chmod(0)
        assert "Permission denied" in as_nobody(lambda: list(store.list("app/"))).message
    finally:
        for path in (store.root, store.root / "app"):
            path.chmod(0o755)
    assert [s.key for s in store.list("")] == ["app/x"]


FULL = """
import sys
from pathlib import Path
from killick.errors import NoSpace
from killick.stores.folder import Folder
store, big = Folder(Path(sys.argv[1])), Path(sys.argv[2])
store.put("app/x", big.with_name("small"))
for if_absent in (True, False):
    try:
        store.put("app/y", big, if_absent=if_absent)
    except NoSpace as error:
        print(error.message, sorted(p.name for p in store.root.rglob("*")))
"""


def test_a_full_disk(tmp_path: Path) -> None:
    disk, big = tmp_path / "disk", tmp_path / "big"
    disk.mkdir()
    big.write_bytes(bytes(4 << 20))
    (tmp_path / "small").write_bytes(b"x")
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--user", "--map-root-user"]
    inside = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$1" "$4"'
    argv = [*unshare, "sh", "-c", inside, "-", str(disk), sys.executable, FULL, str(big)]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace may be made here")
    run = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout.splitlines() == [f"no space left for {disk}/app/y ['app', 'x']"] * 2, run.stderr
