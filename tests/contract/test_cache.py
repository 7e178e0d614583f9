"""The cache of archives: nothing is fetched twice, nothing damaged is used, nothing that is in use expires."""

import json
import os
import random
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest

from killick import bring, cache, stores
from killick.cache import Cache
from killick.codecs import CODECS, Choice, encode, encrypt
from killick.errors import Corrupt, NoSpace, NotFound, StoreError
from killick.manifest import Archive, Manifest
from killick.stores import Store, Stored
from killick.stores._download import RANGE
from killick.stores.folder import Folder
from killick.stream import measure
from killick.tar import pack
from killick.watch import Phases, Watch
from tests.kit import small_disk, wait_for
from tests.lab.faults import Answer, Faults, Slow

DAY = 86400.0
SMALL, LARGE = 100_000, 40 << 20
ROOT = Path(__file__).parents[2]
BLANK = Manifest("20261123T030000Z-db", "shop", "db", "files", "", "", "", "", "", "", "", None)


@dataclass
class Shop:
    """A store, backups in it, and a cache."""

    store: Store
    folder: Path
    faults: Faults | None = None
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def cache(self) -> Cache:
        return Cache(self.folder / "cache", 7 * DAY, 1 << 30)

    def backup(self, size: int = SMALL, key: str = "") -> Manifest:
        path = self.folder / "archive"
        path.write_bytes(os.urandom(size))
        key = key or f"shop/20261123T0300{next(self._numbers):02}Z-db.tar"
        self.store.put(key, path)
        digest = measure(path).sha256
        return replace(BLANK, archive=Archive(key, size, digest, size, digest, "none"))

    def listed(self, manifest: Manifest) -> Stored:
        (stored,) = self.store.list(key(manifest))
        return stored

    def fill(self, manifest: Manifest) -> Path:
        """The archive's path in the cache, which nobody holds any more."""
        with self.cache.archive(self.store, manifest, Phases()) as path:
            assert content(path) == digest(manifest)
        return path

    def asked(self) -> int:
        """How many requests for objects came."""
        return self.faults.seen["GET"] + self.faults.seen["HEAD"] if self.faults else 0

    def files(self) -> list[str]:
        return sorted(path.name for path in self.cache.folder.rglob("*") if path.is_file())


def key(manifest: Manifest) -> str:
    return bring.archive_of(manifest).key


def digest(manifest: Manifest) -> str:
    return bring.archive_of(manifest).sha256


def content(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def local(tmp_path: Path) -> Shop:
    return Shop(Folder(tmp_path / "store"), tmp_path)


@pytest.fixture
def remote(tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name, value in {**faults.environment(), "AWS_MAX_ATTEMPTS": "2"}.items():
        monkeypatch.setenv(name, value)
    return Shop(stores.connect(faults.upstream.bucket(f"cache-{secrets.token_hex(6)}")), tmp_path, faults)


@pytest.fixture(params=["local", "remote"])
def shop(request: pytest.FixtureRequest) -> Shop:
    made: Shop = request.getfixturevalue(request.param)
    return made


class Interrupted(BaseException):
    """As a signal would be, in the middle of the work."""


def interrupting(phase: str) -> Watch:
    def watch(done: int, total: int = 0, unit: str = "bytes") -> None:
        if phase == "download" and done > total // 2:
            raise Interrupted

    return watch


def test_the_second_time_nothing_is_fetched(shop: Shop) -> None:
    manifest, first, second = shop.backup(), Phases(), Phases()
    with shop.cache.archive(shop.store, manifest, first) as path:
        assert content(path) == digest(manifest)
        assert path == shop.cache.folder / digest(manifest) / key(manifest).removeprefix("shop/")
        assert path.stat().st_mode & 0o777 == 0o600
        assert {folder.stat().st_mode & 0o777 for folder in (path.parent, shop.cache.folder)} == {0o700}
    asked = shop.asked()
    shop.store.delete(key(manifest))
    with shop.cache.archive(shop.store, manifest, second) as path:
        assert content(path) == digest(manifest)
    assert shop.asked() == asked
    assert (first.seconds.keys(), second.seconds.keys()) == ({"download", "check"}, {"check"})


def test_nobody_else_may_look_at_what_is_in_it(local: Shop) -> None:
    """Whatever the rights of CACHE_DIR itself, which may be a volume, and of what was there before."""
    manifest = local.backup()
    folder = local.cache.folder / digest(manifest)
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    local.fill(manifest)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_an_interrupted_download_goes_on(shop: Shop) -> None:
    manifest, seen = shop.backup(LARGE), []
    name = key(manifest).removeprefix("shop/")
    with pytest.raises(Interrupted), shop.cache.archive(shop.store, manifest, Phases(interrupting)):
        pass
    assert shop.files() == [f"{name}.part", f"{name}.part.json"]
    phases = Phases(lambda _phase: lambda done, total=0, unit="": seen.append(done))
    with shop.cache.archive(shop.store, manifest, phases) as path:
        assert content(path) == digest(manifest)
    assert seen[0] > LARGE // 2
    assert shop.files() == [name]


RUN = """
import sys
from pathlib import Path
from killick import stores
from killick.cache import Cache
from killick.manifest import loads
from killick.watch import Phases
url, folder, text = sys.argv[1:]
phases = Phases()
with Cache(Path(folder), 1e6, 1 << 40).archive(stores.connect(url), loads(text, "argv"), phases):
    print(*phases.seconds, flush=True)
    sys.stdin.read()
"""


def another_process(remote: Shop, manifest: Manifest) -> "subprocess.Popen[str]":
    """Tells its phases when it has the archive, and holds it until its stdin ends."""
    assert isinstance(remote.store, stores.modules()["s3"].S3)
    argv = [sys.executable, "-c", RUN, f"s3://{remote.store.bucket}", str(remote.cache.folder), manifest.dumps()]
    return subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def came(remote: Shop) -> int:
    """How many bytes of unfinished downloads are recorded."""
    records = [json.loads(path.read_text()) for path in remote.cache.folder.rglob("*.part.json")]
    return sum(end - start for record in records for start, end in record["done"])


def test_a_download_that_was_killed_goes_on(remote: Shop, faults: Faults) -> None:
    manifest = remote.backup(LARGE)
    faults.add(Slow(rate=3 << 20), method="GET")
    with another_process(remote, manifest) as process:
        wait_for(lambda: came(remote) > 0)
        process.kill()
    there = came(remote)
    assert there > 0
    faults.clear()
    before = len(faults.requests)
    remote.fill(manifest)
    assert sum(request.sent for request in faults.requests[before:]) == LARGE - there


def test_what_the_store_cannot_give_now_is_gone_on_with_later(remote: Shop, faults: Faults) -> None:
    class Later(Answer):
        """When the first range has come."""

        def before(self) -> None:
            wait_for(lambda: any(path.stat().st_size >= RANGE for path in remote.cache.folder.rglob("*.part")))

    manifest = remote.backup(LARGE)
    threads = set(threading.enumerate())
    faults.add(Later(503), ranged=True)
    with pytest.raises(StoreError), remote.cache.archive(remote.store, manifest, Phases()):
        pass
    # the other range is asked for once more, by a thread that nobody waits for: it must find the fault too
    wait_for(lambda: set(threading.enumerate()) <= threads)
    faults.clear()
    there, before = came(remote), len(faults.requests)
    remote.fill(manifest)
    assert there == RANGE
    assert sum(request.sent for request in faults.requests[before:]) == LARGE - there


def test_two_processes_download_it_once(remote: Shop, faults: Faults) -> None:
    """And read it at the same time."""
    manifest = remote.backup(LARGE)
    faults.add(Slow(rate=12 << 20), method="GET")
    before = faults.seen["GET"]
    processes = [another_process(remote, manifest) for _ in range(2)]
    try:
        told = [process.stdout.readline() for process in processes if process.stdout]
    finally:  # they hold the archive until their stdin ends: without it a failure here would wait for ever
        for process in processes:
            process.communicate()
    one, two = processes
    assert [process.returncode for process in (one, two)] == [0, 0]
    assert ["download" in phases for phases in told].count(True) == 1
    assert faults.seen["GET"] - before == 3


def test_two_that_both_find_nothing_read_it_at_the_same_time(local: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for the other's block to end: that may be a restore of hours."""
    manifest, sound = local.backup(), cache._sound
    both_looked, both_read = (threading.Barrier(2, timeout=30) for _ in range(2))
    asked = count()

    def looked(path: Path, wanted: "cache._Wanted") -> bool:
        there = sound(path, wanted)
        if next(asked) < 2:
            both_looked.wait()
        return there

    def read(_: int) -> set[str]:
        phases = Phases()
        with local.cache.archive(local.store, manifest, phases) as path:
            assert content(path) == digest(manifest)
            both_read.wait()
        return set(phases.seconds)

    monkeypatch.setattr(cache, "_sound", looked)
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(read, range(2)))
    assert ["download" in phases for phases in told].count(True) == 1


@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_what_was_damaged_in_the_cache_is_fetched_anew(shop: Shop, how: str) -> None:
    manifest, phases = shop.backup(), Phases()
    damage(shop.fill(manifest), how)
    with shop.cache.archive(shop.store, manifest, phases) as path:
        assert content(path) == digest(manifest)
    assert "download" in phases.seconds


def damage(path: Path, how: str) -> None:
    if how == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)


def another(shop: Shop, manifest: Manifest) -> None:
    shop.backup(key=key(manifest))


def shorter(shop: Shop, manifest: Manifest) -> None:
    shop.backup(SMALL - 1, key=key(manifest))


def gone(shop: Shop, manifest: Manifest) -> None:
    shop.store.delete(key(manifest))


@pytest.mark.parametrize("harm", [another, shorter, gone])
def test_nothing_stays_of_an_object_that_is_not_the_archive(shop: Shop, harm: Callable[[Shop, Manifest], None]) -> None:
    manifest = shop.backup()
    harm(shop, manifest)
    with pytest.raises(Corrupt), shop.cache.archive(shop.store, manifest, Phases()):
        pass
    assert list(shop.cache.folder.iterdir()) == []


def test_a_digest_that_is_a_path_leads_nowhere(local: Shop) -> None:
    (local.folder / "precious").mkdir()
    edited = replace(bring.archive_of(local.backup()), sha256="../precious")
    with (
        pytest.raises(Corrupt, match="names no SHA-256"),
        local.cache.archive(local.store, replace(BLANK, archive=edited), Phases()),
    ):
        pass
    assert not local.cache.folder.exists()


def test_an_object_without_a_manifest(shop: Shop) -> None:
    manifest, first, second, third = shop.backup(), Phases(), Phases(), Phases()
    stored = shop.listed(manifest)
    with shop.cache.object(shop.store, stored, first) as path:
        assert content(path) == digest(manifest)
        assert path.name == key(manifest).removeprefix("shop/")
    asked = shop.asked()
    with shop.cache.object(shop.store, stored, second) as path:
        assert content(path) == digest(manifest)
    assert shop.asked() == asked
    damage(path, "flipped")
    with shop.cache.object(shop.store, stored, third) as path:
        assert content(path) == digest(manifest)
    assert ["download" in phases.seconds for phases in (first, second, third)] == [True, False, True]


def test_an_object_that_was_replaced_is_another_one(shop: Shop) -> None:
    manifest = shop.backup()
    old = shop.listed(manifest)
    with shop.cache.object(shop.store, old, Phases()):
        pass
    other = shop.backup(key=key(manifest))
    with shop.cache.object(shop.store, shop.listed(manifest), Phases()) as path:
        assert content(path) == digest(other)
    shop.backup(SMALL + 1, key=key(manifest))
    damage(shop.cache.folder / cache.name(old) / path.name, "cut")
    with pytest.raises(Corrupt), shop.cache.object(shop.store, old, Phases()):
        pass
    with pytest.raises(NotFound), shop.cache.object(shop.store, replace(old, key="shop/none"), Phases()):
        pass


# Expiry


def used(path: Path, days_ago: float) -> None:
    then = path.parent.stat().st_mtime - days_ago * DAY
    os.utime(path.parent, (then, then))


def test_what_nobody_used_for_too_long_expires(local: Shop) -> None:
    """An unfinished download too."""
    old, young, unfinished = local.backup(), local.backup(), local.backup()
    paths = [local.fill(old), local.fill(young)]
    with pytest.raises(Interrupted), local.cache.archive(local.store, unfinished, Phases(interrupting)):
        pass
    used(paths[0], 7.1)
    used(paths[1], 6.9)
    used(local.cache.folder / digest(unfinished) / "part", 7.1)
    assert sorted(local.cache.expire()) == sorted([digest(old), digest(unfinished)])
    assert local.files() == [paths[1].name]
    assert local.cache.expire() == []


def test_use_makes_young(local: Shop) -> None:
    manifest = local.backup()
    used(local.fill(manifest), 100)
    path = local.fill(manifest)
    assert local.cache.expire() == []
    assert path.exists()


def test_the_least_recently_used_make_room(local: Shop) -> None:
    manifests = [local.backup() for _ in range(4)]
    small = replace(local.cache, max_size=3 * SMALL)
    for days, manifest in zip((1, 3, 2), manifests, strict=False):
        used(local.fill(manifest), days)
    with small.archive(local.store, manifests[3], Phases()):
        assert {path.name for path in small.folder.iterdir()} == {digest(manifests[n]) for n in (0, 2, 3)}


def test_an_archive_that_is_larger_than_the_cache_is_used_and_goes(local: Shop) -> None:
    manifest = local.backup()
    with replace(local.cache, max_size=SMALL - 1).archive(local.store, manifest, Phases()) as path:
        assert content(path) == digest(manifest)
    assert list(local.cache.folder.iterdir()) == []


def test_what_is_held_stays(local: Shop) -> None:
    manifest, other = local.backup(), local.backup()
    tiny = replace(local.cache, max_size=1)
    with local.cache.archive(local.store, manifest, Phases()) as path:
        used(path, 100)
        assert tiny.expire() == []
        with tiny.archive(local.store, other, Phases()) as second:
            assert tiny.expire() == []
            assert (content(path), content(second)) == (digest(manifest), digest(other))
        assert [folder.name for folder in local.cache.folder.iterdir()] == [digest(manifest)]


def test_what_is_not_the_caches_own_is_left_alone(local: Shop) -> None:
    local.cache.folder.mkdir()
    for name in ("holiday", "0" * 63, "0" * 65):
        (local.cache.folder / name).mkdir()
    (local.cache.folder / ("0" * 64)).symlink_to(local.folder)
    (local.cache.folder / ("1" * 64)).write_text("a file")
    before = sorted(local.cache.folder.iterdir())
    assert replace(local.cache, max_age=1e-9, max_size=0).expire() == []
    assert sorted(local.cache.folder.iterdir()) == before


def test_forgotten(local: Shop) -> None:
    """One that another run reads goes when that has ended."""
    manifest = local.backup()
    local.fill(manifest)
    local.cache.forget(digest(manifest))
    assert local.files() == []
    local.cache.forget(digest(manifest))
    with local.cache.archive(local.store, manifest, Phases()) as path:
        local.cache.forget(digest(manifest))
        assert content(path) == digest(manifest)
    assert local.files() == []


def test_removal_at_any_moment(local: Shop) -> None:
    """Whoever gets an archive gets it whole, whatever others forget and expire meanwhile."""
    manifests = [local.backup(1000) for _ in range(2)]
    tiny = replace(local.cache, max_size=1)
    done = threading.Event()

    def remove() -> None:
        while not done.is_set():
            local.cache.forget(digest(random.choice(manifests)))
            tiny.expire()

    def read(_: int) -> None:
        manifest = random.choice(manifests)
        with local.cache.archive(local.store, manifest, Phases()) as path:
            assert content(path) == digest(manifest)
            assert content(path) == digest(manifest)

    removers = [threading.Thread(target=remove) for _ in range(2)]
    for each in removers:
        each.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(read, range(150)))
    finally:
        done.set()
        for each in removers:
            each.join()


# Room


def test_a_cache_that_cannot_be_written(local: Shop) -> None:
    (local.folder / "file").write_text("")
    for place in (Path("/proc/nowhere"), local.folder / "file"):
        with (
            pytest.raises(NoSpace, match=r"cannot be filled.*CACHE_DIR"),
            Cache(place, DAY, 1 << 30).archive(local.store, local.backup(), Phases()),
        ):
            pass


def test_too_little_room_is_told_before(shop: Shop) -> None:
    with small_disk(shop.folder / "cache", megabytes=20):
        manifest = shop.backup(LARGE)
        asked = shop.asked()
        with (
            pytest.raises(NoSpace, match=r"41.9 MB are needed, and 2\d.\d MB are free.*CACHE_DIR"),
            shop.cache.archive(shop.store, manifest, Phases()),
        ):
            pass
        assert shop.asked() == asked


def test_too_little_room_is_told_when_it_shows(shop: Shop) -> None:
    with small_disk(shop.folder / "cache", megabytes=20):
        right = shop.backup(LARGE)
        wrong = replace(right, archive=replace(bring.archive_of(right), bytes=SMALL))
        with pytest.raises(NoSpace, match=r"no space left.*CACHE_DIR"), shop.cache.archive(shop.store, wrong, Phases()):
            pass


def test_older_archives_make_room_on_a_full_disk(local: Shop) -> None:
    with small_disk(local.folder / "cache", megabytes=20):
        first, second = local.backup(15 << 20), local.backup(15 << 20)
        local.fill(first)
        local.fill(second)
        assert [folder.name for folder in local.cache.folder.iterdir()] == [digest(second)]


# What opens an archive leaves the cache's alone


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "age"])
def test_an_archive_is_opened_where_it_lies(local: Shop, codec: str, encrypted: bool) -> None:
    keys = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
    recipient = keys.partition("public key: ")[2].split()[0]
    manifest = packed(local, codec, recipient if encrypted else "")
    scratch = local.folder / "scratch"
    for _ in range(2):
        scratch.mkdir()
        with local.cache.archive(local.store, manifest, Phases()) as path:
            with bring.decoded(path, manifest, scratch, Phases(), keys, keep=True):
                assert local.files() == [path.name]
            opened = bring.open_archive(path, manifest, scratch, Phases(), keys, keep=True)
            assert content(path) == digest(manifest)
        assert (opened.folder / "files/one").read_text() == "one"
        assert [left.name for left in scratch.iterdir()] == ["dump"]
        scratch.rename(local.folder / f"scratch-{secrets.token_hex(4)}")
    assert local.files() == [path.name]


def packed(local: Shop, codec: str, recipient: str) -> Manifest:
    """A backup of one file."""
    dump, choice = local.folder / "dump/files", Choice.of(codec)
    dump.mkdir(parents=True)
    (dump / "one").write_text("one")
    inner = replace(BLANK, recipients=(recipient,) if recipient else ())
    path = local.folder / f"archive{choice.codec.suffix}"
    raw = encode(choice, pack(dump.parent, ("manifest.json", inner.dumps().encode())), path).raw
    if recipient:
        encrypt(path, path.with_name(f"{path.name}.age"), (recipient,))
        path = path.with_name(f"{path.name}.age")
    seen, key = measure(path), f"shop/20261123T030000Z-db.tar{path.name.removeprefix('archive')}"
    local.store.put(key, path)
    return inner.outer(Archive(key, seen.size, seen.sha256, raw.size, raw.sha256, codec))
