"""What every kind of throwaway promises, for every engine that it has servers for. A new kind is tested unasked."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from urllib.parse import unquote

import psycopg2
import pymongo
import pytest

from killick import compare, throwaway
from killick.contents import Contents
from killick.engines import Engine, Source, connect
from killick.errors import AccessDenied, DatabaseMissing, Unverifiable
from killick.manifest import Manifest
from killick.programs import Program
from killick.throwaway import Copy, Terms, _server, sweep
from killick.throwaway._place import User
from killick.watch import unwatched
from tests.kit import short_folder
from tests.lab import docker
from tests.lab.mongod import Mongod
from tests.lab.postgres import Postgres

KINDS = throwaway.modules()
CASES = [(kind, engine) for kind in KINDS for engine in KINDS[kind].ENGINES]


@pytest.fixture(autouse=True)
def programs(programs_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", programs_path)


class Sample:
    """A source with something in it: its engine, a dump of it, and the manifest of that."""

    def __init__(self, source: Source, folder: Path) -> None:
        engine = connect(source)
        facts = engine.facts()
        self.folder = folder
        self.contents: Contents = engine.dump(folder, 1, unwatched)
        self.manifest = manifest(facts.engine, facts.server_version, facts.database, self.contents)


def manifest(engine: str, version: str, database: str = "", contents: Contents | None = None) -> Manifest:
    return Manifest("20260101T000000Z-x", "p", "x", engine, "", "", "", version, "", "", database, contents)


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    kind, engine = request.param
    if kind == "container":
        docker.base_images()
    return kind, engine


@pytest.fixture
def sample(case: tuple[str, str], request: pytest.FixtureRequest, tmp_path: Path) -> Sample:
    folder = tmp_path / "dump"
    folder.mkdir()
    match case[1]:
        case "postgres":
            postgres16: Postgres = request.getfixturevalue("postgres16")
            name = f"throwaway{time.monotonic_ns()}"
            url = postgres16.create(name)
            postgres16.execute("CREATE TABLE t AS SELECT g AS id, md5(g::text) FROM generate_series(1, 100) g", name)
            return Sample(Source("x", url), folder)
        case "mongodb":
            server: Mongod = request.getfixturevalue("mongod")
            name = f"throwaway{time.monotonic_ns()}"
            with server.client() as client:
                client[name].t.insert_many([{"n": n} for n in range(100)])
            return Sample(Source("x", without_password(server.url(name)), server.password), folder)
        case "files":
            there = tmp_path / "there"
            (there / "inner").mkdir(parents=True)
            (there / "inner/a").write_text("a")
            return Sample(Source("x", f"file://{there}"), folder)
        case other:
            pytest.fail(f"this suite needs a sample for {other}")


def without_password(url: str) -> str:
    return re.sub(r"(//[^:]*):[^@]*@", r"\1@", url)


@pytest.fixture
def scratch() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


def empty(engine: Engine) -> bool:
    try:
        return engine.facts().empty
    except DatabaseMissing:
        return True


def traces(scratch: Path) -> list[str]:
    """Folders of runs."""
    return [run.name for run in scratch.rglob("run-*")]


def alive(kind: str, run: str) -> list[str]:
    """What still runs of it: processes that name it, containers that bear its label."""
    found = [str(pid) for pid in processes(run)]
    return [*found, *containers(run)] if kind == "container" else found


def containers(run: str, *options: str) -> list[str]:
    return docker.docker("ps", "--quiet", f"--filter=label=killick.run={run}", *options).stdout.split()


def processes(word: str) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if word in (entry / "cmdline").read_text(errors="replace"):
                    yield int(entry.name)


def folder_of(copy: Copy) -> str:
    """The run's folder, as it stands in the URL."""
    return next(part for part in copy.source.url.replace("%2F", "/").split("/") if part.startswith("run-"))


def test_born_empty_takes_the_dump_and_is_gone(case: tuple[str, str], sample: Sample, scratch: Path) -> None:
    with throwaway.throwaway(sample.manifest, scratch, case[0]) as copy:
        engine = connect(copy.source)
        assert empty(engine)
        engine.load(sample.folder, 1, sample.contents, unwatched)
        assert compare.compare(sample.contents, engine.contents(like=sample.contents)) == []
        run = folder_of(copy)
        assert traces(scratch) == [run]
        assert copy.where == case[0]
        assert copy.network
        assert copy.files
    assert traces(scratch) == []
    assert alive(case[0], run) == []


def test_gone_after_a_failure_too(case: tuple[str, str], sample: Sample, scratch: Path) -> None:
    with pytest.raises(KeyError), throwaway.throwaway(sample.manifest, scratch, case[0]) as copy:
        run = folder_of(copy)
        assert traces(scratch) == [run]
        raise KeyError
    assert traces(scratch) == []
    assert alive(case[0], run) == []


def test_two_at_once(case: tuple[str, str], sample: Sample, scratch: Path) -> None:
    with (
        throwaway.throwaway(sample.manifest, scratch, case[0]) as one,
        throwaway.throwaway(sample.manifest, scratch, case[0]) as two,
    ):
        connect(one.source).load(sample.folder, 1, sample.contents, unwatched)
        assert empty(connect(two.source))
        assert sweep(scratch) == []
        assert not empty(connect(one.source))


def test_nobody_else_gets_in(case: tuple[str, str], sample: Sample, scratch: Path) -> None:
    """A password of its own run, or a socket (or a folder) that only its user comes to."""
    with (
        throwaway.throwaway(sample.manifest, scratch, case[0]) as one,
        throwaway.throwaway(sample.manifest, scratch, case[0]) as two,
    ):
        for copy in (one, two):
            closed = [path.stat().st_mode & 0o077 == 0 for path in folders(copy)]
            assert len(copy.source.password) > 20 or any(closed)
        assert one.source.password != two.source.password or not one.source.password


def folders(copy: Copy) -> list[Path]:
    """From the run's folder down to what the URL names."""
    path = Path(unquote(re.sub(r"^\w+://([^@/]*@)?|\?.*", "", copy.source.url)))
    run = folder_of(copy)
    return [parent for parent in (path, *path.parents) if run in parent.parts and parent.is_dir()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
def test_nothing_outlives_a_signal(
    case: tuple[str, str], sample: Sample, scratch: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """After SIGKILL the server is gone at once, and the folder with the next run; after the others both."""
    (tmp_path / "manifest").write_text(sample.manifest.dumps())
    child = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path / "manifest"), str(scratch), case[0]], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        run = child.stdout.readline().decode().strip()
        assert run.startswith("run-")
        assert sweep(scratch) == [], "one that is in use is never swept"
        child.send_signal(number)
        child.wait(20)
    finally:
        child.kill()
        child.communicate()
    wait_until_gone(case[0], run)
    assert sweep(scratch) == ([run] if number is signal.SIGKILL else [])
    assert traces(scratch) == []
    assert case[0] != "container" or containers(run, "--all") == []


_HOLDER = dedent(
    """
    import sys, time
    from pathlib import Path
    from killick import manifest, throwaway
    from killick.cli import _signals
    m = manifest.loads(Path(sys.argv[1]).read_text(), "here")
    with _signals(), throwaway.throwaway(m, Path(sys.argv[2]), sys.argv[3]) as copy:
        print(next(p for p in copy.source.url.replace("%2F", "/").split("/") if p.startswith("run-")), flush=True)
        time.sleep(60)
    """
)


def wait_until_gone(kind: str, run: str) -> None:
    """A server whose parent died needs a moment; it has ten seconds."""
    end = time.monotonic() + 10
    while left := alive(kind, run):
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.05)


@pytest.mark.parametrize("case", [case for case in CASES if case[1] != "files"], ids="-".join)
def test_a_version_that_is_not_here(case: tuple[str, str], scratch: Path) -> None:
    """Files have none."""
    with (
        pytest.raises(Unverifiable, match="99") as told,
        throwaway.throwaway(manifest(case[1], "99.1"), scratch, case[0]),
    ):
        pass
    assert told.value.reason == {"process": "version", "container": "no-image"}[case[0]]
    assert told.value.hint
    assert traces(scratch) == []


def test_a_program_that_ends_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "initdb").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "initdb").chmod(0o755)
    (tmp_path / "cell").mkdir()
    ourselves = User("", os.geteuid(), os.getegid())
    with (
        _server.cell(tmp_path / "cell", ourselves, Terms()) as cell,
        pytest.raises(Unverifiable, match=r"initdb 16\.0 does not start as a throwaway: python was killed by signal 9"),
    ):
        _server.prepare(cell, Program((16, 0), tmp_path / "initdb"), ())


def test_an_engine_that_no_kind_has(scratch: Path) -> None:
    with pytest.raises(Unverifiable, match="oracle"), throwaway.throwaway(manifest("oracle", "1"), scratch):
        pass


def test_a_kind_that_there_is_not(scratch: Path) -> None:
    with pytest.raises(Unverifiable, match="off"), throwaway.throwaway(manifest("files", ""), scratch, "off"):
        pass


def test_postgres_wants_its_password(postgres16: Postgres, scratch: Path) -> None:
    version = ".".join(str(postgres16.execute("SHOW server_version")[0][0]).split(".")[:2])
    with throwaway.throwaway(manifest("postgres", version, "postgres"), scratch, "process") as copy:
        assert connect(copy.source).facts().empty
        assert copy.version.startswith("16.")
        with pytest.raises(AccessDenied):
            connect(Source("x", copy.source.url, "wrong")).facts()


@pytest.mark.parametrize("case", [case for case in CASES if case[1] == "mongodb"], ids="-".join)
def test_mongod_keeps_what_has_expired(case: tuple[str, str], sample: Sample, scratch: Path) -> None:
    """It was in the backup: a server that deletes it, a minute later, makes a difference of its own."""
    with throwaway.throwaway(sample.manifest, scratch, case[0]) as copy:
        client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(
            copy.source.url, password=copy.source.password or None
        )
        with client:
            assert client.admin.command("getParameter", ttlMonitorEnabled=1)["ttlMonitorEnabled"] is False


def test_an_older_minor_is_told_of(scratch: Path) -> None:
    with throwaway.throwaway(manifest("postgres", "16.99", "x"), scratch, "process") as copy:
        assert any("16.99" in note for note in copy.notes)


def test_terms_of_a_process(scratch: Path) -> None:
    """Its caches within the memory that it may use, and no more processors than that."""
    shown = {}
    for terms in (Terms(512 << 20, 0.5), Terms(2048 << 20)):
        with throwaway.throwaway(manifest("postgres", "16.1", "postgres"), scratch, "process", terms) as copy:
            (pid,) = (p for p in processes(folder_of(copy)) if "/postgres" in Path(f"/proc/{p}/cmdline").read_text())
            shown[terms.memory] = (_shown(copy, "shared_buffers"), len(os.sched_getaffinity(pid)))
    assert shown == {512 << 20: ("64MB", 1), 2048 << 20: ("256MB", len(os.sched_getaffinity(0)))}


def _shown(copy: Copy, setting: str) -> str:
    connection = psycopg2.connect(copy.source.url, password=copy.source.password)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting(%s)", (setting,))
            return str(cursor.fetchall()[0][0])
    finally:
        connection.close()


def test_files_are_put_back_beside_us_wherever_servers_are(scratch: Path) -> None:
    with throwaway.throwaway(manifest("files", ""), scratch, "container") as copy:
        assert copy.where == "process"


def test_scratch_that_is_too_deep_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-folder-with-a-long-name"] * 5)
    with throwaway.throwaway(manifest("postgres", "16.1", "postgres"), deep, "process") as copy:
        assert connect(copy.source).facts().empty


def test_nobody_can_wait_for_us_with_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in /var/tmp that somebody else made, or that others may write to, is not used."""
    from killick.throwaway import _place  # the seam

    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    theirs.chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setattr(_place, "_roots", lambda _scratch, _name: [theirs, tmp_path / "link", ours])
    monkeypatch.setattr(_place, "reachable", lambda _path, _who: True)
    assert _place._root(tmp_path, _place.user(), "throwaway") == ours


def test_programs_that_the_servers_user_cannot_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when they lie below root's home. As an ordinary user they are tried, and this one is no server."""
    programs = tmp_path / "closed"
    programs.mkdir(0o700)
    (programs / "postgres").write_text("#!/bin/sh\necho postgres 99.1\n")
    (programs / "postgres").chmod(0o755)
    monkeypatch.setenv("PROGRAMS", str(programs))
    expected = "cannot be run by user" if os.geteuid() == 0 else "does not start"
    with (
        pytest.raises(Unverifiable, match=expected) as told,
        throwaway.throwaway(manifest("postgres", "99.1", "x"), tmp_path / "scratch", "process"),
    ):
        pass
    assert told.value.hint
