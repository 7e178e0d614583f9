"""What every store promises. A module in killick/stores that declares SCHEMES is tested here, unasked."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import pytest

from killick import stores
from killick.errors import NotFound, SettingsError, StoreError, Taken
from killick.stores import Store, Takes
from killick.watch import Watch

SMALL, LARGE = 1_000, (20 << 20) + 7  # one request, and several parts, where a store has parts
SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
MODULES = sorted({module.__name__: module for module in stores.modules().values()}.items())


@pytest.fixture(params=[module for _, module in MODULES], ids=[name.rpartition(".")[2] for name, _ in MODULES])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place of the store's own."""
    places = {"folder": str(tmp_path / "store"), "bucket": ""}
    if "{bucket}" in request.param.TRIAL:
        server = request.getfixturevalue("s3")
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        places["bucket"] = server.bucket(f"contract-{secrets.token_hex(6)}").removeprefix("s3://")
    return str(request.param.TRIAL.format(**places))


@pytest.fixture
def store(url: str) -> Store:
    return stores.connect(url)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def make(size: int = SMALL) -> Path:
        path = tmp_path / f"file-{secrets.token_hex(4)}"
        path.write_bytes(os.urandom(size))
        return path

    return make


def keys(store: Store, prefix: str = "") -> list[str]:
    return [stored.key for stored in store.list(prefix)]


def nothing_unfinished(store: Store, key: str) -> bool:
    return stores.sweep(store, key) == 0


class Interrupted(BaseException):
    """As a signal would be, in the middle of the work."""


def interrupt(done: int, total: int = 0, unit: str = "bytes") -> None:
    raise Interrupted


@pytest.mark.parametrize("size", [0, 1, SMALL, 16 << 20, (16 << 20) + 1, LARGE])
def test_what_was_put_comes_back(store: Store, file: Callable[..., Path], tmp_path: Path, size: int) -> None:
    source, seen, got = file(size), [], []
    digest = sha256(source.read_bytes()).hexdigest()
    stored = store.put("app/x.tar", source, sha256=digest, watch=lambda done, total=0, unit="": seen.append(done))
    store.get("app/x.tar", tmp_path / "back", watch=lambda done, total=0, unit="": got.append((done, total)))
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert (stored.key, stored.bytes) == ("app/x.tar", size)
    assert stored.sha256 in ("", digest)
    assert abs(stored.modified - datetime.now(UTC)) < timedelta(minutes=5)
    assert [*store.list("")] == [stores.Stored(stored.key, size, stored.modified, stored.etag)]
    assert size == 0 or (seen[-1] == size and seen == sorted(seen))
    assert size == 0 or (got[-1] == (size, size) and got == sorted(got))
    assert (tmp_path / "back").stat().st_mode & 0o777 == 0o600
    assert {p.name for p in tmp_path.iterdir()} <= {source.name, "back", "store"}


@SIZES
def test_a_content_that_is_not_the_promised_one_is_never_there(
    store: Store, file: Callable[..., Path], size: int
) -> None:
    with pytest.raises(StoreError):
        store.put("app/x", file(size), sha256="0" * 64)
    assert keys(store) == []
    assert nothing_unfinished(store, "app/x")


@SIZES
def test_a_key_in_use_is_left_alone(store: Store, file: Callable[..., Path], tmp_path: Path, size: int) -> None:
    first = file()
    store.put("app/x", first, if_absent=True)
    with pytest.raises(Taken):
        store.put("app/x", file(size), if_absent=True)
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == first.read_bytes()
    assert keys(store) == ["app/x"]
    assert nothing_unfinished(store, "app/x")


def test_of_many_who_put_at_once_one_wins(store: Store, file: Callable[..., Path], tmp_path: Path) -> None:
    contenders = [file(10) for _ in range(6)]
    together = Barrier(len(contenders))

    def put(key: str, path: Path) -> bool:
        together.wait(60)
        try:
            store.put(key, path, if_absent=True)
        except Taken:
            return False
        return True

    with ThreadPoolExecutor(len(contenders)) as pool:
        for attempt in range(15):
            won = list(pool.map(put, [f"app/{attempt}"] * len(contenders), contenders))
            store.get(f"app/{attempt}", tmp_path / "back")
            assert won.count(True) == 1
            assert (tmp_path / "back").read_bytes() == contenders[won.index(True)].read_bytes()


def test_an_overwritten_object_has_another_etag(store: Store, file: Callable[..., Path], tmp_path: Path) -> None:
    one, two = file(), file()
    before = store.put("app/x", one)
    after = store.put("app/x", two)
    assert before.etag != after.etag
    assert [s.etag for s in store.list("app/")] == [after.etag]
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == two.read_bytes()


def test_what_lies_on_a_stores_own_disk_is_stored_without_a_copy(file: Callable[..., Path], tmp_path: Path) -> None:
    store = stores.connect(f"file://{tmp_path}/store")
    assert isinstance(store, Takes)
    source = file()
    inode, content = source.stat().st_ino, source.read_bytes()
    stored = store.take("app/x", source)
    assert not source.exists()
    assert [*store.list("")] == [stored]
    assert (tmp_path / "store/app/x").stat().st_ino == inode
    with pytest.raises(Taken):
        store.take("app/x", file())
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content
    assert nothing_unfinished(store, "app/x")


def test_what_lies_on_another_disk_is_to_be_copied(file: Callable[..., Path], tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second disk here")
    store = stores.connect(f"file://{tmp_path}/store")
    assert isinstance(store, Takes)
    there = shm / f"killick-{secrets.token_hex(6)}"
    try:
        there.write_bytes(b"elsewhere")
        assert store.take("app/y", there) is None
        assert there.read_bytes() == b"elsewhere"
    finally:
        there.unlink(missing_ok=True)
    assert keys(store) == []


def test_a_put_that_was_interrupted_never_happened(store: Store, file: Callable[..., Path]) -> None:
    with pytest.raises(Interrupted):
        store.put("app/x", file(LARGE), watch=interrupt)
    assert keys(store) == []
    assert nothing_unfinished(store, "app/x")


def test_a_list_is_by_plain_prefix_and_ordered(store: Store, file: Callable[..., Path]) -> None:
    path = file(3)
    wanted = ["app/2-db.evidence/1.json", "app/2-db.json", "app/a b+c%2F.tar", "app/é.json", "app2/x", "app_2/x", "z"]
    for key in reversed(wanted):
        store.put(key, path)
    assert keys(store) == wanted
    assert keys(store, "app/") == wanted[:4]
    assert keys(store, "app") == wanted[:6]
    assert keys(store, "app/2-db.") == wanted[:2]
    assert keys(store, "app/2-db.evidence/") == wanted[:1]
    assert keys(store, "app/2-db.json/") == keys(store, "nothing") == keys(store, "no/thing") == []
    assert {s.bytes for s in store.list("")} == {3}


def test_a_list_of_more_than_a_page(store: Store, file: Callable[..., Path]) -> None:
    path, wanted = file(1), [f"app/{n:05}" for n in range(1_005)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: store.put(key, path), wanted))
    assert keys(store, "app/") == wanted


def test_what_is_not_there_is_not_found(store: Store, file: Callable[..., Path], tmp_path: Path) -> None:
    store.put("app/x", file())
    with pytest.raises(NotFound):
        store.get("app/y", tmp_path / "back")
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("back")]


def test_delete(store: Store, file: Callable[..., Path]) -> None:
    for key in ("app/x", "app/x.json", "app/y/z"):
        store.put(key, file())
    store.delete("app/x")
    store.delete("app/x")
    store.delete("app/y/z")
    store.delete("never/was")
    assert keys(store) == ["app/x.json"]


def halfway(done: int, total: int = 0, unit: str = "bytes") -> None:
    if done > total // 2:
        raise Interrupted


def all_of_it(done: int, total: int = 0, unit: str = "bytes") -> None:
    if done == total:
        raise Interrupted


def test_a_download_goes_on_where_it_stopped(store: Store, file: Callable[..., Path], tmp_path: Path) -> None:
    source, before, after = file(LARGE), [], []

    def interrupted(done: int, total: int = 0, unit: str = "bytes") -> None:
        before.append(done)
        halfway(done, total)

    store.put("app/x", source)
    with pytest.raises(Interrupted):
        store.get("app/x", tmp_path / "back", watch=interrupted)
    assert not (tmp_path / "back").exists()
    assert (tmp_path / "back.part").stat().st_mode & 0o777 == 0o600
    store.get("app/x", tmp_path / "back", watch=lambda done, total=0, unit="": after.append(done))
    assert LARGE // 2 < before[-1] <= after[0]
    assert after[-1] == LARGE
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("back")] == ["back"]


def test_a_part_of_which_nobody_knows_what_it_is(store: Store, file: Callable[..., Path], tmp_path: Path) -> None:
    source = file()
    store.put("app/x", source)
    for record in ("", "[]", "{}", '{"etag": "x", "size": 1000, "done": []}', '{"etag": "x", "done": [[0, 9]]}'):
        (tmp_path / "back.part").write_bytes(b"x" * 2 * SMALL)
        (tmp_path / "back.part.json").write_text(record)
        store.get("app/x", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == source.read_bytes()
        assert [p.name for p in tmp_path.iterdir() if p.name.startswith("back")] == ["back"]


def test_a_part_that_lost_its_end(store: Store, file: Callable[..., Path], tmp_path: Path) -> None:
    source = file(LARGE)
    store.put("app/x", source)
    with pytest.raises(Interrupted):
        store.get("app/x", tmp_path / "back", watch=halfway)
    os.truncate(tmp_path / "back.part", SMALL)
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_a_download_that_only_lacked_its_name(store: Store, file: Callable[..., Path], tmp_path: Path) -> None:
    source = file()
    store.put("app/x", source)
    with pytest.raises(Interrupted):
        store.get("app/x", tmp_path / "back", watch=interrupt)
    assert (tmp_path / "back.part").stat().st_size == SMALL
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("when", [halfway, all_of_it])
def test_a_download_of_an_object_that_was_replaced_starts_anew(
    store: Store, file: Callable[..., Path], tmp_path: Path, when: Watch
) -> None:
    store.put("app/x", file(LARGE))
    with pytest.raises(Interrupted):
        store.get("app/x", tmp_path / "back", watch=when)
    other = file(LARGE)
    store.put("app/x", other)
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == other.read_bytes()


def test_the_clock_is_the_stores(store: Store) -> None:
    assert abs(stores.clock(store, "app/clock") - datetime.now(UTC)) < timedelta(minutes=5)
    assert keys(store) == []


def test_connecting_reaches_nothing(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert isinstance(stores.connect(url.replace("store", "not-there")), Store)


def test_a_scheme_that_no_store_answers_to() -> None:
    with pytest.raises(SettingsError, match="file://, s3://"):
        stores.connect("ftp://host/folder")


TOY = """
from killick.stores.folder import Folder
SCHEMES, TRIAL = ("toy",), "toy://{folder}"
class Toy(Folder):
    %s
def connect(url, access):
    from pathlib import Path
    return Toy(Path(url.removeprefix("toy://")))
"""
HASTY = "def put(self, key, path, **more): return super().put(key, path, watch=more.get('watch', lambda *a: None))"


@pytest.mark.parametrize(("body", "status", "told"), [("pass", 0, "passed"), (HASTY, 1, "a_key_in_use_is_left_alone")])
def test_a_new_store_is_one_file_and_tested_unasked(tmp_path: Path, body: str, status: int, told: str) -> None:
    root = Path(__file__).parents[2]
    for part in ("killick", "tests/contract/test_stores.py", "pyproject.toml"):
        copy = shutil.copytree if (root / part).is_dir() else shutil.copy
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        copy(root / part, tmp_path / part)
    (tmp_path / "killick/stores/toy.py").write_text(TOY % body)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-k", "[toy", "-p", "no:cacheprovider", "tests/contract/test_stores.py"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == status, run.stdout + run.stderr
    assert told in run.stdout
