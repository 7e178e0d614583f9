"""S3 on bad days, through a proxy before a real server: a whole object and success, or none and an error that helps."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from killick import layout, records, stores
from killick.catalog import read
from killick.errors import KillickError, NoSpace, NotFound, SettingsError, StoreDenied, StoreError, Taken
from killick.manifest import Archive, Manifest
from killick.prune import prune, prune_records
from killick.retention import Decision, Policy, decide
from killick.stores import _download, _partial
from killick.stores._download import RANGE
from killick.stores.s3 import S3 as Store
from tests.kit import small_disk, wait_for
from tests.lab.faults import Answer, Cut, CutDownload, CutUpload, Fault, Faults, Flip, Ignore, Lie, LoseAnswer, Slow

SMALL, LARGE = 1_000, 40 << 20
SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)


@pytest.fixture
def bucket(faults: Faults) -> str:
    return faults.upstream.bucket(f"faults-{secrets.token_hex(6)}").removeprefix("s3://")


@pytest.fixture
def store(faults: Faults, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Tries everything twice, so that tests need not wait for six."""
    for name, value in {**faults.environment(), "AWS_MAX_ATTEMPTS": "2"}.items():
        monkeypatch.setenv(name, value)
    made = stores.connect(f"s3://{bucket}/backups")
    assert isinstance(made, Store)
    yield made
    faults.clear()
    left = faults.upstream.client().list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert left == []  # whatever a test did, nothing is left open


@pytest.fixture
def file(tmp_path: Path) -> Callable[[int], Path]:
    def make(size: int = SMALL) -> Path:
        path = tmp_path / secrets.token_hex(4)
        path.write_bytes(os.urandom(size))
        return path

    return make


def keys(store: Store) -> list[str]:
    return [stored.key for stored in store.list("")]


def test_six_tries_by_default(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    fresh = stores.connect(f"s3://{store.bucket}")
    assert isinstance(fresh, Store)
    assert fresh._client.meta.config.retries == {"mode": "standard", "total_max_attempts": 6}


@SIZES
@pytest.mark.parametrize("status", [500, 503])
def test_a_few_errors_of_the_server_are_passed_over(
    store: Store,
    faults: Faults,
    file: Callable[[int], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
    status: int,
) -> None:
    monkeypatch.delenv("AWS_MAX_ATTEMPTS")
    patient, source = stores.connect(f"s3://{store.bucket}/backups"), file(size)
    faults.add(Answer(status), method="PUT", times=3)
    patient.put("app/x", source)
    patient.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert [r.status for r in faults.requests].count(status) == 3


@SIZES
@pytest.mark.parametrize("fault", [Answer(503), CutUpload(100)], ids=["503", "cut"])
def test_a_server_that_never_recovers_ends_it(
    store: Store, faults: Faults, file: Callable[[int], Path], size: int, fault: Fault
) -> None:
    faults.add(fault, method="PUT")
    with pytest.raises(StoreError):
        store.put("app/x", file(size))
    assert faults.seen["PUT"] <= 2 * 3
    faults.clear()
    assert keys(store) == []


def test_the_number_of_tries_is_told(store: Store, faults: Faults, file: Callable[[int], Path]) -> None:
    faults.add(Answer(503), method="PUT")
    with pytest.raises(StoreError, match=r"PutObject of app/x in s3://.* failed 2 times: the store answers 503"):
        store.put("app/x", file(SMALL))


@SIZES
def test_an_upload_that_was_cut_once_goes_on(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path, size: int
) -> None:
    source = file(size)
    faults.add(CutUpload(size // 40), method="PUT", times=1)
    store.put("app/x", source)
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


@pytest.mark.parametrize(("size", "method"), [(SMALL, "PUT"), (LARGE, "POST")], ids=["small", "large"])
@pytest.mark.parametrize("if_absent", [True, False])
def test_a_put_whose_answer_was_lost_is_ours(
    store: Store, faults: Faults, file: Callable[[int], Path], size: int, method: str, if_absent: bool
) -> None:
    faults.add(LoseAnswer(), method=method, path=r"backups/app/x($|.*uploadId)", times=1)
    assert store.put("app/x", file(size), if_absent=if_absent).bytes == size
    assert None in [r.status for r in faults.requests]
    with pytest.raises(Taken):
        store.put("app/x", file(SMALL), if_absent=True)


@SIZES
@pytest.mark.parametrize(
    "lie",
    [Lie("Content-Length", "999"), Lie("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=")],
    ids=["size", "checksum"],
)
def test_a_store_that_has_something_else_is_not_believed(
    store: Store, faults: Faults, file: Callable[[int], Path], size: int, lie: Lie
) -> None:
    faults.add(lie, method="HEAD")
    with pytest.raises(StoreError, match=f"{size} bytes were sent, and the store has (999 bytes|another SHA-256)"):
        store.put("app/x", file(size))
    assert keys(store) == []


def test_another_ones_object_is_not_deleted_for_it(store: Store, faults: Faults, file: Callable[[int], Path]) -> None:
    class Both(Lie):
        def headers(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
            return Lie("Content-Length", "999").headers(super().headers(headers))

    faults.add(Both("ETag", '"of another"'), method="HEAD")
    with pytest.raises(StoreError):
        store.put("app/x", file(SMALL))
    assert keys(store) == ["app/x"]


def test_a_store_without_checksums_is_compared_by_size(
    store: Store, faults: Faults, file: Callable[[int], Path]
) -> None:
    faults.add(Lie("x-amz-checksum-sha256", None))
    assert store.put("app/x", file(SMALL)).sha256 == ""


@SIZES
def test_no_right_to_write(store: Store, faults: Faults, file: Callable[[int], Path], size: int) -> None:
    faults.add(Answer(403), method="PUT")
    with pytest.raises(StoreDenied, match="allow s3:PutObject"):
        store.put("app/x", file(size))


def test_no_right_to_list(store: Store, faults: Faults) -> None:
    faults.add(Answer(403), method="GET")
    with pytest.raises(StoreDenied, match="s3:ListBucket"):
        keys(store)


def test_a_download_that_is_cut_goes_on(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path
) -> None:
    source = file(LARGE)
    store.put("app/x", source)
    faults.add(CutDownload(after=15 << 20), method="GET", times=2)
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_a_small_object_is_one_request_and_a_large_one_comes_in_ranges(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path
) -> None:
    for size in (0, SMALL, RANGE, LARGE):
        source = file(size)
        store.put("app/x", source)
        before = len(faults.requests)
        store.get("app/x", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == source.read_bytes()
        asked = [(r.method, r.range) for r in faults.requests[before:]]
        if size <= RANGE:
            assert asked == [("GET", "")]
        else:
            assert asked[0] == ("GET", "")
            assert set(asked[1:]) == {
                ("GET", f"bytes={start}-{min(start + RANGE, size) - 1}") for start in (RANGE, 2 * RANGE)
            }


def test_ranges_come_at_the_same_time(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path
) -> None:
    class Together(Fault):
        """No body begins before all three have been asked for."""

        barrier = threading.Barrier(3)

        def download(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
            self.barrier.wait(30)
            yield from blocks

    source = file(LARGE)
    store.put("app/x", source)
    faults.add(Together(), method="GET", times=3)
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


def test_every_range_goes_on_where_it_was_cut(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CutAll(Fault):
        """Each ends as soon as something of all three was written."""

        def download(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
            yield b"".join(islice(blocks, 32))
            wait_for(lambda: len(came(tmp_path / "back")) == 3)
            raise Cut

    monkeypatch.setattr(_partial, "EVERY", 0)
    source = file(LARGE)
    store.put("app/x", source)
    faults.add(CutAll(), method="GET", times=3)
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    cut, after = faults.requests[-6:-3], faults.requests[-3:]
    assert [r.status for r in cut] == [None] * 3
    starts = sorted(int(r.range.removeprefix("bytes=").partition("-")[0]) for r in after)
    assert all(start > n * RANGE for n, start in enumerate(starts))


@SIZES
@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
def test_a_server_that_knows_no_ranges(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path, size: int, cut: bool
) -> None:
    source = file(size)
    store.put("app/x", source)
    faults.add(Ignore("Range"), ranged=True)
    if cut:
        faults.add(CutDownload(after=size // 2), method="GET", times=1)
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    assert [r.range for r in faults.requests if r.method == "GET"].count("") <= 2


def test_a_server_that_does_not_know_its_own_etag_again(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path
) -> None:
    source = file(LARGE)
    store.put("app/x", source)
    faults.add(Answer(412), ranged=True)
    store.get("app/x", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("ignored", ["", "If-Match", "Range"])
def test_an_object_that_is_replaced_while_it_comes(
    store: Store,
    faults: Faults,
    file: Callable[[int], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ignored: str,
) -> None:
    replaced = threading.Event()

    class Wait(Fault):
        unheard = ignored

        def before(self) -> None:
            assert replaced.wait(30)

    def replace(done: int, total: int = 0, unit: str = "bytes") -> None:
        if not replaced.is_set():
            store.put("app/x", other)
            replaced.set()

    monkeypatch.setattr(_download, "RANGE", 2 << 20)
    other = file(LARGE)
    store.put("app/x", file(LARGE))
    faults.add(Fault(), ranged=True, times=2)
    faults.add(Wait(), ranged=True)
    store.get("app/x", tmp_path / "back", watch=replace)
    assert (tmp_path / "back").read_bytes() == other.read_bytes()


def test_an_object_that_is_replaced_again_and_again(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path
) -> None:
    store.put("app/x", file(LARGE))
    faults.add(Answer(412), ranged=True)
    faults.add(CutDownload(after=20 << 20), method="GET")
    with pytest.raises(StoreError, match="app/x is replaced again and again"):
        store.get("app/x", tmp_path / "back")
    assert not list(tmp_path.glob("back*"))


def test_an_object_that_goes_while_it_comes(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path
) -> None:
    store.put("app/x", file(LARGE))
    faults.add(Answer(404), ranged=True)
    with pytest.raises(NotFound):
        store.get("app/x", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_download_that_never_gets_further_ends(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path
) -> None:
    store.put("app/x", file(LARGE))
    faults.add(CutDownload(after=10), method="GET")
    with pytest.raises(StoreError, match="was cut again and again"):
        store.get("app/x", tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_byte_that_changed_on_its_way_down(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path
) -> None:
    store.put("app/x", file(SMALL))
    faults.add(Flip(7), method="GET")
    with pytest.raises(StoreError, match="does not have the checksum"):
        store.get("app/x", tmp_path / "back")
    assert not list(tmp_path.glob("back*"))


def test_a_bucket_that_is_not_there(store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path) -> None:
    missing = stores.connect("s3://nobody-made-this/backups")
    with pytest.raises(StoreError, match=r"there is no bucket nobody-made-this.*STORE"):
        list(missing.list(""))
    with pytest.raises(StoreError, match="there is no bucket"):
        missing.get("app/x", tmp_path / "back")
    faults.add(Answer(404, "NoSuchBucket"), method="PUT")
    with pytest.raises(StoreError, match="there is no bucket"):
        store.put("app/x", file(SMALL))


def test_a_clock_that_is_wrong(store: Store, file: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = datetime.now(UTC) + timedelta(hours=1)
    with monkeypatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda *_a, **_k: wrong.replace(tzinfo=None))
        with pytest.raises(StoreError, match=r"clock is wrong: the store has .*set the clock"):
            store.put("app/x", file(SMALL))


def test_wrong_keys_are_told_without_showing_them(store: Store, file: Callable[[int], Path]) -> None:
    secret = "hush-hush-hush-hush"
    for access in (stores.Access(store.access.key_id or "NOBODY", secret), stores.Access("NOBODY", secret, "token")):
        other = Store(store.bucket, "backups", access, addressing="path")
        with pytest.raises(StoreDenied) as told:
            other.put("app/x", file(SMALL))
        assert "AWS_SECRET_ACCESS_KEY" in told.value.hint
        assert told.value.__cause__ is None
        assert secret not in f"{told.value}{other!r}"


def test_no_keys_at_all(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreDenied, match="there are no keys"):
        list(stores.connect(f"s3://{store.bucket}").list(""))


def test_a_server_that_is_not_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreError, match=r"cannot be reached.*AWS_ENDPOINT_URL"):
        list(stores.connect(f"s3://{store.bucket}").list(""))


@pytest.mark.parametrize("http", [507, 403])
def test_a_store_that_is_full(store: Store, faults: Faults, file: Callable[[int], Path], http: int) -> None:
    faults.add(Answer(http, "QuotaExceeded"), method="PUT")
    with pytest.raises(NoSpace):
        store.put("app/x", file(SMALL))


def test_encryption_and_storage_class_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    store = stores.connect("s3://bucket/a/b?sse=aws:kms&kms_key_id=arn:x&storage_class=STANDARD_IA")
    assert isinstance(store, Store)
    assert (store.bucket, store.prefix) == ("bucket", "a/b")
    assert store.extras == {
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": "arn:x",
        "StorageClass": "STANDARD_IA",
    }
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "many")
    with pytest.raises(SettingsError) as told:
        stores.connect("s3:///x?colour=red")
    assert len(told.value.problems) == 3


def interrupted(faults: Faults, store: Store, path: Path, number: signal.Signals) -> int:
    """A put in a process of its own, ended by a signal while a part is on its way."""
    faults.add(Slow(rate=4 << 20), method="PUT")
    argv = [sys.executable, "-m", "tests.faults.putter", f"s3://{store.bucket}/backups", "put", "app/x", str(path)]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while faults.seen["PUT"] < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    status = process.wait(30)
    faults.clear()
    return status


def test_an_interrupt_aborts_the_upload(store: Store, faults: Faults, file: Callable[[int], Path]) -> None:
    assert interrupted(faults, store, file(LARGE), signal.SIGINT) != 0
    assert faults.seen["DELETE"] == 1
    assert store.sweep("app/x") == 0
    assert keys(store) == []


def test_what_a_killed_upload_left_is_swept(store: Store, faults: Faults, file: Callable[[int], Path]) -> None:
    assert interrupted(faults, store, file(LARGE), signal.SIGKILL) == -signal.SIGKILL
    assert store.sweep("app/other") == store.sweep("app/") == store.sweep("app/xx") == 0
    assert store.sweep("app/x") == 1
    assert keys(store) == []


def came(path: Path) -> list[list[int]]:
    """The spans that the record of a download names."""
    record = path.with_name(f"{path.name}.part.json")
    return json.loads(record.read_text())["done"] if record.exists() else []  # type: ignore[no-any-return]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_download_that_was_ended_goes_on_in_every_range(
    store: Store, faults: Faults, file: Callable[[int], Path], tmp_path: Path, number: signal.Signals
) -> None:
    source, back = file(LARGE), tmp_path / "back"
    store.put("app/x", source)
    faults.add(Slow(rate=3 << 20), method="GET")
    argv = [sys.executable, "-m", "tests.faults.putter", f"s3://{store.bucket}/backups", "get", "app/x", str(back)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: len(came(back)) >= 2)
        process.send_signal(number)
        assert process.wait(30) != 0
    there = sum(end - start for start, end in came(back))
    assert LARGE > there > 0
    assert not back.exists()
    faults.clear()
    before, seen = len(faults.requests), []
    store.get("app/x", back, watch=lambda done, total=0, unit="": seen.append(done))
    assert back.read_bytes() == source.read_bytes()
    assert seen[0] > there
    assert sum(request.sent for request in faults.requests[before:]) == LARGE - there


def test_a_full_disk_is_told(store: Store, file: Callable[[int], Path], tmp_path: Path) -> None:
    store.put("app/x", file(LARGE))
    with small_disk(tmp_path / "disk", megabytes=20) as disk:
        with pytest.raises(NoSpace, match=f"no space left for {disk}/back.part"):
            store.get("app/x", disk / "back")
        assert not (disk / "back").exists()


def test_memory_is_flat(store: Store, tmp_path: Path) -> None:
    big = tmp_path / "big"
    with big.open("wb") as out:
        for _ in range(256):
            out.write(os.urandom(1 << 20))
    for verb, path in (("put", big), ("get", tmp_path / "back")):
        run = subprocess.run(
            [sys.executable, "-m", "tests.faults.putter", f"s3://{store.bucket}/backups", verb, "app/x", str(path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(run.stdout) <= 130
    assert (tmp_path / "back").stat().st_size == big.stat().st_size


def finished(store: Store, days: int, source: str = "db") -> str:
    """A backup as killick leaves it, `days` ago."""
    time = NOW - timedelta(days=days)
    id = layout.backup_id(time, source)
    key = layout.archive("app", id, ".lrz")
    stores.put_bytes(store, key, b"archive")
    when = layout.rfc3339(time)
    archive = Archive(key, 7, "0" * 64, 7, "0" * 64, "lrzip")
    manifest = Manifest(id, "app", source, "files", when, when, when, "", "", "", "", None, archive=archive)
    records.put_manifest(store, manifest)
    records.record(store, "app", id, time, "backup", "passed", 0, {"seconds": 1})
    return id


@pytest.fixture
def five(store: Store) -> list[str]:
    """Five backups, oldest first, of which the policy keeps three."""
    return [finished(store, days) for days in (5, 4, 3, 2, 1)]


def decisions(store: Store) -> list[Decision]:
    return decide(read(store, "app").backups, Policy(3, 0, 0, 0, 0), UTC)


def test_prune_removes_manifest_and_archive_and_keeps_the_evidence(store: Store, five: list[str]) -> None:
    told: list[str] = []
    gone = list(prune(store, decisions(store), NOW, told.append))
    assert [b.id for b in gone] == five[:2]
    assert told == [f"app/{id}.tar.lrz" for id in five[:2]]
    after = read(store, "app")
    assert [b.id for b in after.backups] == five[:1:-1]
    assert after.partial == ()
    assert [b.id for b in after.remains] == [five[1], five[0]]
    assert [r["kind"] for r in records.evidence(store, after.remains[0])] == ["backup", "prune"]
    assert list(prune(store, decisions(store), NOW)) == []
    assert prune_records(store, after, NOW + timedelta(days=399)) == 0
    assert prune_records(store, after, NOW + timedelta(days=401)) == 4
    assert read(store, "app").remains == ()


@pytest.mark.parametrize("path", ["", r"\.tar\.lrz", r"\.json"], ids=["all", "archive", "manifest"])
def test_no_right_to_delete_leaves_everything_whole(store: Store, faults: Faults, five: list[str], path: str) -> None:
    before, planned = keys(store), decisions(store)
    faults.add(Answer(403), method="DELETE", path=path)
    with pytest.raises(
        StoreDenied, match=f"{five[0]} cannot be pruned: DeleteObject .*s3:DeleteObject.*PRUNE=off"
    ) as told:
        list(prune(store, planned, NOW))
    assert told.value.exit_code == 1
    assert "\n" not in str(told.value)
    assert keys(store) == before
    whole = read(store, "app")
    assert [b.id for b in whole.backups] == five[::-1]
    assert records.manifest(store, whole.backups[-1]).id == five[0]


def test_evidence_is_only_ever_added(store: Store, five: list[str]) -> None:
    backup = read(store, "app").backups[0]
    for n in range(3):
        records.record(store, "app", backup.id, NOW, "verify", "passed", 5, {"n": n})
    found = records.evidence(store, read(store, "app").backups[0])[1:]
    assert [(r["n"], r["kind"], r["result"], r["level"]) for r in found] == [
        (n, "verify", "passed", 5) for n in range(3)
    ]
    assert len({r["time"] for r in found}) == 3


def test_a_manifest_of_another_backup_is_no_manifest(store: Store, five: list[str]) -> None:
    text = stores.get_bytes(store, f"app/{five[0]}.json")
    stores.put_bytes(store, f"app/{five[1]}.json", text)
    backups = {b.id: b for b in read(store, "app").backups}
    assert records.manifest(store, backups[five[0]]).id == five[0]
    with pytest.raises(KillickError, match="is the manifest of") as told:
        records.manifest(store, backups[five[1]])
    assert told.value.exit_code == 4
    with pytest.raises(Taken):
        records.put_manifest(store, records.manifest(store, backups[five[0]]))


def test_a_failed_attempt_is_recorded_once(store: Store) -> None:
    for _ in range(2):
        records.attempt_failed(store, "app", "20261123T030000Z-db", "no-space", {"message": "full"})
    assert [(f.id, f.kind) for f in read(store, "app").failures] == [("20261123T030000Z-db", "no-space")]


def test_a_thousand_keys_are_one_request(store: Store, faults: Faults, bucket: str) -> None:
    client = faults.upstream.client()
    for n in range(1_001):
        client.put_object(Bucket=bucket, Key=f"backups/app/{layout.backup_id(NOW + timedelta(days=n), 'db')}.json")
    before = len(faults.requests)
    assert len(read(store, "app").backups) == 1_001
    assert len(faults.requests) - before == 2
