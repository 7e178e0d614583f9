"""Damages of what was written while MongoDB was dumped: the oplog brings it back, or it is missed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import bson
import pytest

from tests.damages.mongodb import emptied, source
from tests.damages.mongodump import Dump, all_of
from tests.damages.reports import told, verified
from tests.damages.stored import cut
from tests.damages.table import caught
from tests.end_to_end.backups import Backups
from tests.lab.mongod import Mongod
from verify.options import Options


@pytest.fixture(scope="module", autouse=True)
def installed(programs_path: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        yield


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "scratch", level=4, where="process")


@contextmanager
def inserting(server: Mongod) -> Iterator[None]:
    stop = threading.Event()

    def insert() -> None:
        with server.client() as client:
            n = 10_000
            while not stop.is_set():
                client["shop"].busy.insert_one({"_id": (n := n + 1), "n": n})

    writer = threading.Thread(target=insert)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


@pytest.fixture(scope="module")
def made(mongo_set: Mongod, installed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """{"store": its folder, "read": what was written is promised, "forgotten": it could not be read any more: ids}"""
    folder = tmp_path_factory.mktemp("shop")
    backups = Backups(folder)
    with emptied(mongo_set).client() as client:
        client["shop"].busy.insert_many([{"_id": n, "pad": "x" * 1000} for n in range(2000)])
        # the dump of these takes longer
        client["shop"].still.insert_many([{"_id": n, "pad": bytes(1 << 20)} for n in range(20)])
        with inserting(mongo_set):
            read = backups.make(source(mongo_set), 0)
            client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=0)
            try:
                forgotten = backups.make(source(mongo_set), 1)
            finally:
                client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=300)
    yield {"store": str(folder), "read": read, "forgotten": forgotten}
    emptied(mongo_set)


def _last_insert(dump: Dump) -> int:
    """Of a document that mongodump did not read any more."""
    read = {bson.decode(document)["_id"] for document in dump.documents("busy")}
    entries = [bson.decode(entry) for entry in all_of(dump.oplog)]
    return max(n for n, entry in enumerate(entries) if entry["ns"] == "shop.busy" and entry["o"]["_id"] not in read)


def _shorter(dump: Dump) -> None:
    """The last document that was inserted, and what came after it."""
    dump.oplog.write_bytes(b"".join(all_of(dump.oplog)[: _last_insert(dump)]))


def _other_value(dump: Dump) -> None:
    entries = all_of(dump.oplog)
    entry = bson.decode(entries[n := _last_insert(dump)])
    entries[n] = bson.encode({**entry, "o": {**entry["o"], "n": 0}})
    dump.oplog.write_bytes(b"".join(entries))


def _twice(dump: Dump) -> None:
    """An entry too many: a document that was never there."""
    entries = all_of(dump.oplog)
    entry = bson.decode(entries[_last_insert(dump)])
    dump.oplog.write_bytes(b"".join([*entries, bson.encode({**entry, "o": {"_id": -1}, "o2": {"_id": -1}})]))


def _first_document(dump: Dump) -> None:
    dump.reorder("busy", lambda found: found[1:])


DAMAGES: dict[str, tuple[str, Callable[[Dump], object], int, str]] = {
    "the oplog gone": ("read", lambda d: d.oplog.unlink(), 2, "restore: oplog.bson is not in the archive"),
    "the oplog without its last write": ("read", _shorter, 4, "shop.busy: rows"),
    "the oplog with a write too many": ("read", _twice, 4, "shop.busy: rows"),
    "a value in the oplog": ("read", _other_value, 4, "shop.busy: checksum"),
    "the oplog cut in an entry": (
        "read", lambda d: cut(d.oplog, -5), 1, "corrupt: mongodb/oplog.bson is not whole documents: it breaks at byte …"
    ),
    "an unread moment: the oplog without its last write": (
        "forgotten", _shorter, 2, "restore: oplog.bson does not hold what was dumped"
    ),
    "an unread moment: a document missing": (
        "forgotten", _first_document, 2, "restore: shop.busy does not hold what was dumped"
    ),
    "an unread moment: the oplog gone": (
        "forgotten", lambda d: d.oplog.unlink(), 2, "restore: oplog.bson is not in the archive"
    ),
}  # fmt: skip


def test_without_damage_they_pass(made: dict[str, str], options: Options) -> None:
    backups = Backups(Path(made["store"]))
    contents = {which: backups.manifest(made[which]).contents for which in ("read", "forgotten")}
    assert contents["read"]
    assert contents["read"].tables["shop.busy"].rows > 2000
    assert contents["forgotten"]
    assert list(contents["forgotten"].tables) == ["shop.still"]
    for which in ("read", "forgotten"):
        report = verified(backups, made[which], options)
        assert (report.result, report.level, report.warnings) == ("passed", 4, ()), report.text()


@pytest.mark.parametrize("title", DAMAGES)
def test_damages(made: dict[str, str], tmp_path: Path, options: Options, title: str) -> None:
    which, harm, level, says = DAMAGES[title]
    backups = Backups(Path(made["store"])).copied(tmp_path / "store")
    backups.remake(made[which], lambda folder: harm(Dump(folder)))
    report = verified(backups, made[which], options)
    assert (report.result, report.failed_level, told(report)) == ("failed", level, says), report.text()
    caught("MongoDB", title, level, says)
