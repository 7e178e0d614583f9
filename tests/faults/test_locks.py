"""One at a time, whatever dies, sleeps or comes at the same moment."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from killick import layout, lock, stores
from killick.errors import Aborted, Busy
from killick.lock import Terms, hold
from killick.owner import Owner
from killick.stores import Store, Stored
from killick.stores.folder import Folder
from tests.lab.faults import Answer, Faults, Skew

LONG = Terms()
SHORT = Terms(renew=0.5, again=0.1, expiry=5)  # S3 tells times in whole seconds
CROWDED = Terms(renew=0.5, again=0.1, expiry=12)  # twenty processes on a small machine
ARCHIVE = "app/20261123T030000Z-db.tar.lrz"


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "folder":
        return f"file://{tmp_path}/store"
    server = request.getfixturevalue("s3")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return f"{server.bucket(f'locks-{secrets.token_hex(6)}')}/backups"


@pytest.fixture
def store(url: str) -> Store:
    return stores.connect(url)


@pytest.fixture
def owners(tmp_path: Path) -> Callable[[str], Owner]:
    return lambda name: Owner(tmp_path / "scratch" / name)


def locks(store: Store) -> list[str]:
    return [stored.key for stored in store.list("app/db.lock.")]


class Holder:
    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


@contextmanager
def holder(url: str, owner: Owner, terms: Terms = LONG, *keys: str) -> Iterator[Holder]:
    argv = [sys.executable, "-m", "tests.faults.holder", url, str(owner.folder), str(terms.renew), str(terms.expiry)]
    process = subprocess.Popen(
        [*argv, *keys], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        yield Holder(process)
    finally:
        process.kill()
        process.communicate()


def test_the_second_is_told_who_and_since_when(store: Store, owners: Callable[[str], Owner]) -> None:
    with hold(store, "app", "db", owners("a")):
        with pytest.raises(
            Busy, match=rf"db is .* \(process {os.getpid()}\) since {datetime.now(UTC):%Y-%m-%d}T"
        ) as told:
            hold(store, "app", "db", owners("b")).__enter__()
        assert told.value.exit_code == 7
        with hold(store, "app", "media", owners("b")), hold(store, "app2", "db", owners("b")):
            assert locks(store) == ["app/db.lock.1"]
    assert locks(store) == []
    with hold(store, "app", "db", owners("b")) as again:
        again.check()


def test_on_one_machine_the_second_is_told_without_asking_the_store(
    url: str, store: Store, owners: Callable[[str], Owner]
) -> None:
    with holder(url, owners("a")) as other:
        other.go()
        assert (other.says(), other.says()) == ("ready", "held")
        with pytest.raises(Busy, match=rf"process {other.process.pid} since .* on this machine"):
            hold(store, "app", "db", owners("a")).__enter__()


def test_of_twenty_who_find_an_expired_lock_one_takes_over(
    url: str, store: Store, owners: Callable[[str], Owner]
) -> None:
    with holder(url, owners("dead")) as dead:
        dead.go()
        assert (dead.says(), dead.says()) == ("ready", "held")
    died = time.monotonic()
    with ExitStack() as stack:
        contenders = [stack.enter_context(holder(url, owners(f"c{n}"), CROWDED)) for n in range(20)]
        assert {c.says() for c in contenders} == {"ready"}
        time.sleep(max(0, died + CROWDED.expiry + 2 - time.monotonic()))
        for contender in contenders:
            contender.go()
        said = [contender.says() for contender in contenders]
        assert sorted(said) == ["busy"] * 19 + ["held"]
        winner = contenders[said.index("held")]
        assert locks(store) == ["app/db.lock.2"]
        winner.go()
        assert winner.says() == "done"
        winner.process.wait()
    assert locks(store) == []


def test_of_twenty_who_find_none_one_gets_it(url: str, store: Store, owners: Callable[[str], Owner]) -> None:
    with ExitStack() as stack:
        contenders = [stack.enter_context(holder(url, owners(f"c{n}"))) for n in range(20)]
        assert {c.says() for c in contenders} == {"ready"}
        for contender in contenders:
            contender.go()
        assert sorted(c.says() for c in contenders) == ["busy"] * 19 + ["held"]


def test_a_holder_that_lives_is_not_taken_for_dead(url: str, store: Store, owners: Callable[[str], Owner]) -> None:
    with holder(url, owners("a"), SHORT) as other:
        other.go()
        assert (other.says(), other.says()) == ("ready", "held")
        time.sleep(SHORT.expiry + 2)
        with pytest.raises(Busy):
            hold(store, "app", "db", owners("b"), terms=SHORT).__enter__()
        other.go()
        assert other.says() == "done"


def test_a_holder_that_slept_has_lost(url: str, store: Store, owners: Callable[[str], Owner]) -> None:
    with holder(url, owners("a"), SHORT) as sleeper:
        sleeper.go()
        assert (sleeper.says(), sleeper.says()) == ("ready", "held")
        sleeper.process.send_signal(signal.SIGSTOP)
        time.sleep(SHORT.expiry + 2)
        with hold(store, "app", "db", owners("b"), terms=SHORT) as second:
            assert second.generation == 2
            sleeper.process.send_signal(signal.SIGCONT)
            sleeper.go()
            assert sleeper.says().startswith("aborted")
            second.check()
            assert locks(store) == ["app/db.lock.2"]


def test_a_holder_that_slept_while_the_other_came_and_went_has_lost(
    url: str, store: Store, owners: Callable[[str], Owner]
) -> None:
    with holder(url, owners("a"), SHORT) as sleeper:
        sleeper.go()
        assert (sleeper.says(), sleeper.says()) == ("ready", "held")
        sleeper.process.send_signal(signal.SIGSTOP)
        time.sleep(SHORT.expiry + 2)
        with hold(store, "app", "db", owners("b"), terms=SHORT):
            pass
        assert locks(store) == []
        sleeper.process.send_signal(signal.SIGCONT)
        sleeper.go()
        assert sleeper.says().startswith("aborted")
        sleeper.process.wait()
    assert locks(store) == []


def test_our_own_dead_is_not_waited_for_and_swept(
    url: str, store: Store, owners: Callable[[str], Owner], tmp_path: Path
) -> None:
    whole, others, strange = "app/20261122T030000Z-db.tar.lrz", "app/20261123T030000Z-media.tar.lrz", "app/photo.jpg"
    for key in (ARCHIVE, whole, others, strange, layout.manifest("app", "20261122T030000Z-db"), f"{ARCHIVE}.age"):
        stores.put_bytes(store, key, b"bytes")
    leave_unfinished(url, store, ARCHIVE)
    with holder(url, owners("a"), LONG, ARCHIVE, whole, others, strange, "app/db.lock.1", "../x") as dead:
        dead.go()
        assert (dead.says(), dead.says()) == ("ready", "held")
    swept: list[str] = []
    with pytest.raises(Busy):
        hold(store, "app", "db", owners("b"), swept=swept.append).__enter__()
    assert swept == []
    with hold(store, "app", "db", owners("a"), swept=swept.append) as second:
        assert second.generation == 2
        assert locks(store) == ["app/db.lock.2"]
    assert len(swept) == 1
    assert ARCHIVE in swept[0]
    assert stores.sweep(store, ARCHIVE) == 0
    assert {s.key for s in store.list("app/")} == {
        whole,
        others,
        strange,
        f"{ARCHIVE}.age",
        layout.manifest("app", "20261122T030000Z-db"),
    }


def leave_unfinished(url: str, store: Store, key: str) -> None:
    """What a put leaves when its process is killed."""
    if isinstance(store, Folder):
        (store.root / "app" / f".{Path(key).name}.{'0' * 16}.part").write_bytes(b"half")
    else:
        client, bucket = store._client, url.split("/")[2]  # type: ignore[attr-defined]
        client.create_multipart_upload(Bucket=bucket, Key=f"backups/{key}")


def test_a_lock_that_was_removed_is_lost(store: Store, owners: Callable[[str], Owner]) -> None:
    with hold(store, "app", "db", owners("a")) as held:
        held.watching(lambda *_: None)(1)
        store.delete("app/db.lock.1")
        with pytest.raises(Aborted, match="removed or replaced"):
            held.check()
        with pytest.raises(Aborted):
            held.watching(lambda *_: None)(1)
        with pytest.raises(Aborted):
            held.will_write(ARCHIVE)
    assert locks(store) == []


def test_a_holder_that_finds_the_next_generation_has_lost(store: Store, owners: Callable[[str], Owner]) -> None:
    with hold(store, "app", "db", owners("a")) as held:
        stores.put_json(store, "app/db.lock.2", {"owner": "another"})
        with pytest.raises(Aborted, match="another run took over"):
            held.check()
    assert "app/db.lock.2" in locks(store)


class Careless(Folder):
    """A store that overwrites, whatever it is asked."""

    def put(self, key: str, path: Path, *, if_absent: bool = False, **more: object) -> Stored:
        return super().put(key, path)


def test_a_store_without_conditional_puts_is_told_of(tmp_path: Path, owners: Callable[[str], Owner]) -> None:
    store, warned = Careless(tmp_path / "store"), []
    with hold(store, "app", "db", owners("a"), warn=warned.append) as first:
        assert len(warned) == 1
        with pytest.raises(Busy):
            hold(store, "app", "db", owners("b"), warn=warned.append).__enter__()
        first.check()
        stores.put_json(store, "app/db.lock.1", {"owner": "of another run, started at the same moment"})
        with pytest.raises(Aborted):
            first.check()
    assert locks(store) == ["app/db.lock.1"]


def test_a_store_with_conditional_puts_is_not(store: Store, owners: Callable[[str], Owner]) -> None:
    warned: list[str] = []
    with hold(store, "app", "db", owners("a"), warn=warned.append):
        assert warned == []


@pytest.fixture
def proxied(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in {**faults.environment(), "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    return stores.connect(f"{faults.upstream.bucket(f'locks-{secrets.token_hex(6)}')}/backups")


def test_credentials_that_may_not_delete(faults: Faults, proxied: Store, owners: Callable[[str], Owner]) -> None:
    faults.add(Answer(403), method="DELETE")
    for n in range(1, 6):
        with hold(proxied, "app", "db", owners(f"a{n}")) as held:
            assert held.generation == n
            with pytest.raises(Busy):
                hold(proxied, "app", "db", owners("b")).__enter__()


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_ages_are_by_the_stores_clock(
    faults: Faults, proxied: Store, owners: Callable[[str], Owner], ahead: int
) -> None:
    faults.add(Skew(ahead))
    with hold(proxied, "app", "db", owners("a")) as held:
        assert abs(held.skew - ahead) < 60
        with pytest.raises(Busy):
            hold(proxied, "app", "db", owners("b")).__enter__()


def test_a_holder_cut_off_for_too_long_has_lost(faults: Faults, proxied: Store, owners: Callable[[str], Owner]) -> None:
    with hold(proxied, "app", "db", owners("a"), terms=Terms(renew=0.2, again=0.1, expiry=1)) as held:
        faults.add(Answer(503))
        watch = held.watching(lambda *_: None)
        with pytest.raises(Aborted, match="could not be renewed"):
            for _ in range(600):
                time.sleep(0.1)
                watch(1)
        faults.clear()


def test_a_short_outage_is_survived(faults: Faults, proxied: Store, owners: Callable[[str], Owner]) -> None:
    with hold(proxied, "app", "db", owners("a"), terms=Terms(renew=0.1, again=0.1, expiry=60)) as held:
        before = len(faults.requests)
        faults.add(Answer(503), times=3)
        while len(faults.requests) < before + 8:
            time.sleep(0.05)
        held.check()


def test_the_owner_is_made_once(owners: Callable[[str], Owner]) -> None:
    assert owners("a").id == owners("a").id != owners("b").id
    assert Terms(renew=60, again=10, expiry=300) == lock.TERMS
