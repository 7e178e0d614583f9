"""The verifier's decisions: what speaks against a backup, which one is taken, what is said."""

import signal
import struct
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from killick import errors
from killick.catalog import Backup, Catalog, Evidence
from killick.compare import Mismatch
from killick.contents import Contents
from killick.engines import Source
from killick.errors import RestoreError, Unverifiable
from killick.manifest import Manifest
from killick.stores import Store
from killick.throwaway import Copy, Ended, confine
from verify.choose import choose, unfinished
from verify.cli import exit_code
from verify.climb import _compare
from verify.deadline import Deadline
from verify.found import Found
from verify.options import Options, variable
from verify.outcome import _LACKING, _NOT_ITS_FAULT, outcome
from verify.report import Report
from verify.verify import record
from verify.works import left_out, works


def _reasons() -> list[str]:
    return sorted({*_LACKING.values(), *_NOT_ITS_FAULT.values(), "version", "key", "recipe"})


DAY = datetime(2026, 11, 23, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "result", "reason"),
    [
        (errors.Corrupt("x"), "failed", "corrupt"),
        (errors.EmptyDump("x"), "failed", "empty-dump"),
        (errors.SourceError("x"), "failed", "source-error"),
        (RestoreError("x"), "failed", "restore"),
        *(
            (RestoreError("x", reason=r), "failed", r)
            for r in ("missing-role", "truncated", "duplicate-rows", "version")
        ),
        (RestoreError("x", reason="missing-extension"), "unverifiable", "extension"),
        (RestoreError("x", reason="out-of-space"), "unverifiable", "disk"),
        (RestoreError("x", reason="out-of-memory"), "unverifiable", "memory"),
        (RestoreError("x", reason="server-gone"), "unverifiable", "environment"),
        (Unverifiable("x", reason="image"), "unverifiable", "image"),
        (errors.NoSpace("x"), "unverifiable", "disk"),
        (errors.NotFound("x"), "unverifiable", "pruned"),
        (errors.Refused("x"), "unverifiable", "format"),
        (errors.StoreDenied("x"), "unverifiable", "network"),
        (errors.SettingsError("x"), "unverifiable", "key"),
        (errors.Unreachable("x"), "unverifiable", "environment"),
        (errors.Unsupported("x"), "unverifiable", "version"),
        (errors.CommandFailed("lrzip", 127, ""), "unverifiable", "environment"),
        (errors.CommandFailed("lrzip", -9, ""), "unverifiable", "memory"),
        (MemoryError(), "unverifiable", "memory"),
        (TimeoutError(), "unverifiable", "timeout"),
        (OSError(28, "No space left on device"), "unverifiable", "disk"),
        (OSError(13, "Permission denied"), "unverifiable", "environment"),
        (KeyError("a row's content"), "unverifiable", "environment"),
    ],
    ids=lambda value: getattr(value, "reason", None) or (value if isinstance(value, str) else type(value).__name__),
)
def test_what_speaks_against_a_backup(error: Exception, result: str, reason: str) -> None:
    found = outcome(error)
    assert (found.result, found.reason) == (result, reason)
    assert "content" not in found.error


def test_a_server_older_than_the_source_proves_nothing_by_refusing() -> None:
    error = RestoreError("unrecognized parameter", reason="version")
    assert outcome(error, older_server=True).result == "unverifiable"
    assert outcome(RestoreError("x", reason="missing-role"), older_server=True).result == "failed"


def backup(day: int, source: str = "db", *looked: int, result: str = "passed", **fields: bool) -> Backup:
    time_ = DAY + timedelta(days=day)
    evidence = tuple(Evidence(DAY + timedelta(days=d), "verify", result, 4) for d in looked)
    made = Backup("p", f"{time_:%Y%m%dT%H%M%SZ}-{source}", source, time_, 10, ".lrz", True, evidence=evidence)
    return replace(made, **fields)


def of(*backups: Backup) -> Catalog:
    return Catalog("p", tuple(sorted(backups, key=lambda b: b.time, reverse=True)))


def test_latest_and_all() -> None:
    known = of(backup(0), backup(1), backup(0, "files"))
    assert choose(known, "latest", "db") == [backup(1)]
    assert choose(known, "all") == [backup(1), backup(0, "files")]
    assert choose(known, "all", "files") == [backup(0, "files")]
    assert choose(known, backup(0).id) == [backup(0)]
    with pytest.raises(errors.SettingsError):
        choose(known)
    with pytest.raises(errors.SettingsError):
        choose(known, "random")
    with pytest.raises(errors.NotFound):
        choose(of(), "all")
    with pytest.raises(errors.NotFound):
        choose(known, "all", "nowhere")


def test_an_archive_without_a_manifest_is_known_by_its_id() -> None:
    lost = backup(0, manifest=False)
    known = Catalog("p", (), (lost,))
    assert unfinished(known, lost.id) == lost
    assert unfinished(known, f"p/{lost.id}") == lost
    assert unfinished(known, "latest") is None


@pytest.mark.parametrize(
    ("results", "code"),
    [
        (["passed"], 0),
        (["failed"], 1),
        (["unverifiable"], 6),
        (["passed", "unverifiable"], 6),
        (["unverifiable", "failed", "passed"], 1),
    ],
)
def test_exit_codes(results: list[str], code: int) -> None:
    assert exit_code(results) == code


def report(result: str, level: int, **fields: object) -> Report:
    return replace(Report("p", "20261123T030000Z-db", DAY, result, level, 4), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("id", "source"),
    [
        ("20261123T030000Z-app_2", "app_2"),
        ("202611/app.20261101-020000.sql.lrz", "db"),
        ("202611/app-dump.20261101-020000.tar.lrz", "db"),
    ],
)
def test_a_report_names_its_source(id: str, source: str) -> None:
    found = report("unverifiable", 0, id=id)
    assert (found.source, found.to_record()["source"]) == (source, source)


def test_a_report_for_programs_has_these_names_and_no_others() -> None:
    found = report("failed", 3, failed_level=4, error="1 difference", mismatches=(Mismatch("t", "rows", "2", "1", 4),))
    assert found.to_json() == {
        "id": "20261123T030000Z-db",
        "result": "failed",
        "level": 3,
        "failed_level": 4,
        "error": "1 difference",
        "seconds": {},
        "tables": 0,
        "mismatches": [{"table": "t", "what": "rows", "expected": "2", "got": "1"}],
    }
    assert report("passed", 4).to_json()["error"] is None


class Full(Store):
    """A store that cannot take what is put."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def put(self, *_given: object, **_named: object) -> NoReturn:
        raise self._error


@pytest.mark.parametrize(
    "error", [errors.StoreDenied("no"), errors.NoSpace("no"), OSError(28, "no space")], ids=lambda e: type(e).__name__
)
def test_a_result_stands_where_it_cannot_be_recorded(error: Exception) -> None:
    passed = report("passed", 4)
    told = record(Full(error), passed)
    assert replace(told, warnings=()) == passed
    assert told.warnings == (f"this result is not recorded beside the backup: {error}",)


def test_a_signal_ends_the_recording_too() -> None:
    with pytest.raises(errors.Stopped):
        record(Full(errors.Stopped()), report("passed", 4))


def test_a_report_for_people() -> None:
    passed = report("passed", 4, seconds={"download": 1.0, "start": 2.0, "restore": 3.0, "compare": 4.0}).text()
    assert "can be restored" in passed
    assert "a restore takes 4.0 s" in passed
    many = tuple(Mismatch(f"table{i}", "rows", "2", "1", 4) for i in range(30))
    failed = report(
        "failed", 3, failed_level=4, error="30 differences", hint="do this", mismatches=many, tables=30
    ).text()
    assert "FAILED at level 4" in failed
    assert "do this" in failed
    assert "table19: rows is 1, not 2" in failed
    assert "table20" not in failed
    assert "10 more" in failed
    assert "says nothing about the backup" in report("unverifiable", 1, error="no server").text()


def test_a_restore_against_its_target() -> None:
    """Longer than it is a warning: the result stays."""
    took = report("passed", 4, seconds={"download": 1.0, "start": 90.0, "restore": 60.0, "compare": 4.0})
    assert (took.to_record()["rto"], took.slow) == (None, False)
    within = replace(took, target=1800.0)
    assert within.to_record()["rto"] == {"target": 1800.0, "met": True}
    assert "a restore takes 61.0 s here, within the target of 30 min (" in within.text()
    slow = replace(took, target=60.0)
    assert slow.to_record()["rto"] == {"target": 60.0, "met": False}
    assert "a restore takes 61.0 s here, longer than the target of 1 min (" in slow.text()
    assert replace(slow, seconds={}).to_record()["rto"] == {"target": 60.0, "met": None}, "it was not measured"


@pytest.mark.parametrize(
    ("status", "result", "reason", "says"),
    [
        (1, "failed", "command", "VERIFY_COMMAND ended with 1 against the copy"),
        (-11, "failed", "command", "was ended by signal 11"),
        (125, "unverifiable", "environment", "could not be run"),
        (126, "unverifiable", "environment", "could not be run"),
        (127, "unverifiable", "environment", "could not be run"),
        (-9, "unverifiable", "memory", "was killed"),
        (137, "unverifiable", "memory", "was killed"),
    ],
)
def test_what_the_status_of_a_command_says(status: int, result: str, reason: str, says: str) -> None:
    found = Found(reached=5)
    with pytest.raises(errors.KillickError) as told:
        worked(found, status, Facing())
    assert (outcome(told.value).result, outcome(told.value).reason) == (result, reason)
    assert says in told.value.message
    assert told.value.hint
    assert found.reached == 5
    assert found.command is not None
    assert found.command.status == status


def test_a_command_without_its_server_says_nothing() -> None:
    for error, result in ((errors.Unreachable("x"), "unverifiable"), (errors.DatabaseMissing("x"), "failed")):
        with pytest.raises(errors.KillickError) as told:
            worked(Found(reached=5), 1, Facing(error))
        assert outcome(told.value).result == result


def test_a_command_that_works() -> None:
    found = Found(reached=5)
    worked(found, 0, Facing())
    assert found.reached == 6


class Facing:
    """All of an engine that is asked: whether its server is still there."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    def facts(self) -> None:
        if self._error:
            raise self._error


def worked(found: Found, status: int, engine: Facing) -> None:
    copy = Copy(Source("x", ""), "process", "", "", "", "", run=lambda _app, _seconds: Ended(status, "here", "", ""))
    record = Manifest("20260101T000000Z-db", "p", "db", "postgres", "", "", "", "16.1", "", "", "x", None)
    options = Options(Path("/"), commands={"db": ("check",)})
    works(copy, engine, record, options, found, Deadline(0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("level", "commands", "folder", "said"),
    [
        (6, {}, False, ["level 6 was asked for, and there is no VERIFY_COMMAND: nothing above 5 was tried"]),
        (5, {}, False, []),
        (6, {"db": ("check",)}, False, []),
        (6, {"stats": ("check",)}, False, []),
        (6, {}, True, []),
        (6, {"db": ("check",)}, True, ["VERIFY_COMMAND is not run: a copy of a folder has no server"]),
    ],
)
def test_a_command_that_is_not_run_is_told(
    level: int, commands: dict[str, tuple[str, ...]], folder: bool, said: list[str]
) -> None:
    run = None if folder else lambda _app, _seconds: Ended(0, "here", "", "")
    copy = Copy(Source("x", ""), "process", "", "", "", "", run=run)
    assert left_out(copy, "db", Options(Path("/"), level, commands=commands)) == said


def test_the_variable_of_a_source() -> None:
    assert [variable(source) for source in ("db", "stats")] == ["VERIFY_COMMAND", "VERIFY_COMMAND_STATS"]


def test_a_deadline_interrupts_what_is_going_on() -> None:
    deadline = Deadline(0.05)
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(Unverifiable) as told, deadline.running():
        time.sleep(30)
    assert told.value.reason == "timeout"
    assert deadline.passed
    assert deadline.left == 0
    assert signal.getsignal(signal.SIGALRM) == before


def test_a_deadline_ends_the_server_that_somebody_waits_for() -> None:
    ended: list[bool] = []
    with Deadline(0.05).ends(lambda: ended.append(True)):
        end = time.monotonic() + 10
        while not ended:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_no_deadline() -> None:
    ended: list[bool] = []
    deadline = Deadline(0)
    assert deadline.left is None
    with deadline.running(), deadline.ends(lambda: ended.append(True)):
        pass
    assert not deadline.passed
    assert ended == []


def test_a_locale_that_the_throwaway_lacks_is_a_note() -> None:
    """The database was made with the source's locale, so a difference is what this machine lacks."""
    place = {"encoding": "UTF8", "collate": "en_US.utf8"}
    expected = Contents(groups={"database": place, "schema": {"TABLE t": "1"}})
    found = Found()
    _compare(expected, Contents(groups={**expected.groups, "database": {**place, "collate": "C"}}), 4, found)
    assert (found.reached, found.mismatches) == (4, [])
    assert "locale" in found.warnings[0]
    _compare(expected, Contents(groups={**expected.groups, "database": {**place, "encoding": "LATIN1"}}), 4, found)
    assert (found.reached, len(found.mismatches)) == (2, 1)


@pytest.mark.parametrize(
    ("group", "name"), [("settings", "lc_time"), ("settings", "TimeZone"), ("role settings", "clerk lc_messages")]
)
def test_a_setting_that_the_throwaway_cannot_make_is_a_note(group: str, name: str) -> None:
    expected = Contents(groups={group: {name: "de_DE.UTF-8", "work_mem": "64MB"}})
    found = Found()
    _compare(expected, Contents(groups={group: {"work_mem": "64MB"}}), 4, found)
    assert (found.reached, found.mismatches) == (4, [])
    assert name in found.warnings[0]
    for got in ({name: "C", "work_mem": "64MB"}, {name: "de_DE.UTF-8"}):  # another value; another setting
        found = Found()
        _compare(expected, Contents(groups={group: got}), 4, found)
        assert (found.reached, len(found.mismatches)) == (2, 1)


@pytest.mark.parametrize("reason", _reasons())
def test_every_reason_is_in_the_docs(reason: str) -> None:
    assert f"`{reason}`" in (Path(__file__).parents[2] / "docs/verify.md").read_text()


@pytest.mark.parametrize("machine", confine._MACHINES.values(), ids=list(confine._MACHINES))
@pytest.mark.parametrize("connect", [False, True], ids=["a server", "a client"])
def test_the_filter_lets_through_what_it_takes_and_no_more(machine: confine.Machine, connect: bool) -> None:
    """The program run as the kernel would: (architecture, number of the call, its first argument)."""
    unix, inet, inet6, netlink = 1, 2, 10, 16
    code = confine._filter(machine, connect=connect)

    def allowed(number: int, first: int = 0, architecture: int = machine.audit) -> bool:
        return _bpf(code, {0: number, 4: architecture, 16: first}) == 0x7FFF0000

    assert allowed(machine.socket, unix)
    assert allowed(machine.socketpair, unix)
    assert not any(allowed(machine.socket, family) for family in (inet, inet6, netlink, 40))
    assert not any(
        allowed(number)
        for number in (machine.ptrace, machine.io_uring_setup, machine.process_vm_readv, machine.pidfd_getfd)
    )
    assert allowed(machine.connect) is connect
    assert allowed(1)
    assert not allowed(1, architecture=0x40000003), "another architecture's calls have other numbers"
    assert not allowed(0x40000000 | 41, unix), "x32's too"


def _bpf(code: bytes, data: dict[int, int]) -> int:
    """Of classic BPF what the filter uses: load a word, compare, jump, return."""
    at = accumulator = 0
    while True:
        operation, yes, no, k = struct.unpack_from("HBBI", code, at * 8)
        at += 1
        match operation:
            case 0x20:
                accumulator = data[k]
            case 0x15:
                at += yes if accumulator == k else no
            case 0x35:
                at += yes if accumulator >= k else no
            case 0x06:
                return int(k)
            case other:
                pytest.fail(f"unknown instruction {other:#x}")
