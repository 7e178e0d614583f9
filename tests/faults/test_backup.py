"""What goes wrong with a backup is one sentence with its cure, is recorded, stops no other, and leaves nothing."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from killick import settings
from killick.session import Session
from killick.stores import Store, Stored
from sidecar.backup import back_up
from tests.kit import Project, wait_for, wrapper
from tests.lab.postgres import Postgres


@pytest.fixture
def two(project: Project, tmp_path: Path) -> Project:
    """A second source, of files: it must be backed up whatever becomes of the first."""
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads/a.txt").write_text("a")
    project.environment["FILES_UPLOADS"] = str(tmp_path / "uploads")
    return project


def fails(project: Project, kind: str, *words: str, **more: str) -> str:
    """Backs up; `db` must fail with that kind and a sentence with these words, `uploads` must be made."""
    done = project.run("backup", "--json", expect=1, **more)
    outcome = {one["source"]: one for one in done.json}
    assert outcome["db"]["id"] is None
    for word in words:
        assert word in outcome["db"]["error"]
    if "uploads" in outcome:
        assert outcome["uploads"]["error"] is None
    found = project.catalog()
    assert [(f.source, f.kind) for f in found.failures] == [("db", kind)]
    assert [b.source for b in found.backups] == ["uploads"] * ("uploads" in outcome)
    assert project.at_rest()
    return str(outcome["db"]["error"])


def test_wrong_password(two: Project, postgres16: Postgres, database: str) -> None:
    url = postgres16.url(database, password="n0t-the-one")
    assert "n0t-the-one" not in fails(two, "access-denied", "password", DATABASE_URL=url)


def test_no_route(two: Project) -> None:
    fails(two, "unreachable", "127.0.0.1:1", DATABASE_URL="postgres://u@127.0.0.1:1/app", DATABASE_PASSWORD="x")


def test_a_host_that_there_is_not(two: Project) -> None:
    fails(two, "unreachable", "nowhere.invalid", DATABASE_URL="postgres://u@nowhere.invalid/app")


def test_a_database_that_there_is_not(two: Project, postgres16: Postgres, database: str) -> None:
    fails(two, "database-missing", database, DATABASE_URL=postgres16.url(f"{database}x"))


def test_a_role_without_rights_on_one_table(two: Project, postgres16: Postgres, database: str) -> None:
    postgres16.execute(
        f"DROP ROLE IF EXISTS poor_{database}; CREATE ROLE poor_{database} LOGIN PASSWORD 'p';"
        f"GRANT SELECT ON customers, customers_id_seq, orders_id_seq TO poor_{database}", database
    )  # fmt: skip
    try:
        url = postgres16.url(database, user=f"poor_{database}", password="p")
        fails(two, "access-denied", "public.orders", "GRANT SELECT", DATABASE_URL=url)
    finally:
        postgres16.execute(f"DROP OWNED BY poor_{database}; DROP ROLE poor_{database}", database)


def test_a_server_newer_than_every_client(two: Project, postgres18: Postgres, tmp_path: Path, database: str) -> None:
    if Path("/usr/lib/postgresql/18").exists():
        pytest.fail("this machine has a client of 18 where it is always looked for")
    url = postgres18.create(database)
    old = str(Postgres(16).bin)
    asked = wrapper(tmp_path / "bin", Path(old) / "pg_dump", f'touch {tmp_path}/asked; exec $REAL "$@"')
    fails(two, "unsupported", "18", DATABASE_URL=url, PROGRAMS=f"{asked}")
    assert not (tmp_path / "asked").exists(), "refused before the dump"


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("exit 0", "empty-dump"),
        ('"$REAL" "$@"; echo pg_dump: error: something at the end >&2; exit 1', "command-failed"),
        ('"$REAL" "$@" & sleep 0.2; kill -9 $!; wait $!', "command-failed"),
        ('"$REAL" "$@" && for f in "$@"; do case $f in --file=*) : > ${f#--file=}/toc.dat;; esac; done', ""),
    ],
    ids=["writes nothing", "ends with 1 after writing all", "killed", "an empty table of contents"],
)
def test_a_dump_that_is_none(
    two: Project, postgres16: Postgres, tmp_path: Path, script: str, kind: str, programs_path: str
) -> None:
    folder = wrapper(tmp_path / "bin", postgres16.bin / "pg_dump", script)
    done = two.run("backup", "--json", expect=1, PROGRAMS=f"{folder}:{programs_path}")
    assert done.json[0]["error"]
    found = two.catalog()
    assert [f.kind for f in found.failures if kind] == [kind] * bool(kind)
    assert [b.source for b in found.backups] == ["uploads"]
    assert two.at_rest()


def test_a_dump_that_lost_rows_is_seen(two: Project, postgres16: Postgres, tmp_path: Path, programs_path: str) -> None:
    """Rows are counted by the server beside the dump: what pg_dump leaves out shows."""
    script = (
        '"$REAL" "$@" || exit; for f in "$@"; do case $f in --file=*) cd "${f#--file=}";; esac; done\n'
        'big=$(ls -S *.dat | head -1); sed -i 7d "$big"'
    )
    folder = wrapper(tmp_path / "bin", postgres16.bin / "pg_dump", script)
    fails(two, "empty-dump", "public.", PROGRAMS=f"{folder}:{programs_path}")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
class TestScratch:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / "small"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "killick-test", folder], check=True)
        yield folder
        subprocess.run(["umount", folder], check=True)

    def test_too_small_is_told_before(self, project: Project, postgres16: Postgres, database: str, small: Path) -> None:
        postgres16.execute(
            "CREATE TABLE big AS SELECT i, md5(i::text) || md5((i+1)::text) AS t FROM generate_series(1, 400000) i",
            database,
        )
        error = fails(project, "no-space", "scratch", SCRATCH_DIR=str(small))
        assert "SCRATCH_DIR" in error

    def test_full_during_the_dump(self, project: Project, postgres16: Postgres, database: str, small: Path) -> None:
        """What the server holds compressed is larger as text: the estimate before the dump cannot know."""
        postgres16.execute(
            "CREATE TABLE big AS SELECT i, repeat(md5(i::text), 20000) AS t FROM generate_series(1, 120) i", database
        )
        project.environment["SCRATCH_DIR"] = str(small)
        fails(project, "no-space", "No space left")
        assert shutil.disk_usage(small).used < 1_000_000


@pytest.mark.parametrize("phase", ["dump", "compress", "store"])
def test_kill_9_in_each_phase_and_the_next_run_sweeps(project: Project, phase: str, programs_path: str, tmp_path: Path,
                                                     postgres16: Postgres) -> None:  # fmt: skip
    slow = tmp_path / "bin"
    if phase == "dump":
        wrapper(slow, postgres16.bin / "pg_dump", 'sleep 20; exec "$REAL" "$@"')
    else:
        zstd = Path(shutil.which("zstd") or "zstd")
        slow.mkdir()
        wait = "-d" if phase == "store" else "-T"
        (slow / "zstd").write_text(f'#!/bin/sh\ncase "$*" in *{wait}*) sleep 20;; esac\nexec {zstd} "$@"\n')
        (slow / "zstd").chmod(0o755)
    more = {"PROGRAMS": f"{slow}:{programs_path}", "PATH": f"{slow}:{os.environ['PATH']}"}
    with project.running("backup", **more) as process:
        if phase == "store":  # the archive is stored already; its read-back hangs
            wait_for(lambda: any(".tar" in key for key in project.stored()))
        else:
            place = "dump/postgres" if phase == "dump" else "archive.zst"
            wait_for(
                lambda: any(project.scratch.glob(f"run-*/{place.split('/', maxsplit=1)[0]}")) and process.poll() is None
            )
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    left = project.catalog()
    assert left.backups == ()
    assert left.locks, "a lock of the dead"
    done = project.run("backup")
    told = " ".join(event["what"] for event in done.events("swept"))
    assert "run-" in told
    if phase == "store":
        assert ".tar.zst" in told
    assert len(project.catalog().backups) == 1
    assert project.at_rest()


class Behind:
    """The project's store, whose clock is behind ours."""

    def __init__(self, store: Store, by: timedelta) -> None:
        self._store, self._by = store, by

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, key: str, path: Path, **more: Any) -> Stored:
        return self._seen(self._store.put(key, path, **more))

    def list(self, prefix: str) -> Iterator[Stored]:
        return map(self._seen, self._store.list(prefix))

    def _seen(self, stored: Stored) -> Stored:
        return replace(stored, modified=stored.modified - self._by)


@pytest.mark.parametrize(("minutes", "code"), [(4, 0), (6, 1)])
def test_a_clock_far_ahead_of_the_stores(
    project: Project, monkeypatch: pytest.MonkeyPatch, minutes: int, code: int
) -> None:
    """Its names would be of the future, and hide the backups that come after."""
    monkeypatch.setenv("PROGRAMS", project.environment["PROGRAMS"])
    session = Session(settings.load(project.environment))
    vars(session)["store"] = Behind(session.store, timedelta(minutes=minutes))
    (outcome,) = back_up(session, session.settings.sources)
    assert outcome.code == code
    assert len(project.catalog().backups) == 1 - code
    if code:
        assert "ahead of the store" in str(outcome.error)
        assert [f.kind for f in project.catalog().failures] == ["clock-ahead"]


def test_sigterm_aborts_cleanly(project: Project, postgres16: Postgres, tmp_path: Path, programs_path: str) -> None:
    slow = wrapper(tmp_path / "bin", postgres16.bin / "pg_dump", 'sleep 20; exec "$REAL" "$@"')
    with project.running("backup", PROGRAMS=f"{slow}:{programs_path}") as process:
        wait_for(lambda: any(project.scratch.glob("run-*/dump")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 1
    assert [f.kind for f in project.catalog().failures] == ["aborted"]
    assert project.at_rest()


def test_names_that_nobody_should_use(project: Project, postgres16: Postgres, tmp_path: Path) -> None:
    name = 'o\'dd "näme" % =x\n🚢'
    quoted = name.replace('"', '""')
    role, password = 'ro "le%', "p@ss:w/o?r#d %41 'q\" \\ 🗝"
    postgres16.execute(f'CREATE DATABASE "{quoted}"')
    try:
        postgres16.execute('CREATE SCHEMA "sch ema"; CREATE TABLE "sch ema"."ta\nble \'%s" ("co l" int);'
                           'INSERT INTO "sch ema"."ta\nble \'%s" SELECT generate_series(1, 10);', name)  # fmt: skip
        literal = password.replace("'", "''")
        postgres16.execute(f"""CREATE ROLE "{role.replace('"', '""')}" SUPERUSER LOGIN PASSWORD '{literal}'""")
        id = project.back_up(DATABASE_URL=postgres16.url(name, user=role, password=password))
        shown = project.run("show", id, "--json").json
        assert shown["database"] == name
        assert [table["rows"] for table in shown["contents"]["tables"].values()] == [10]
        assert project.run("verify", "--json").json["result"] == "passed"
        project.run("restore", "--into", postgres16.url(f"{name}2"))
        assert postgres16.execute('SELECT count(*) FROM "sch ema"."ta\nble \'%s"', f"{name}2") == [(10,)]
    finally:
        for each in (name, f"{name}2"):
            postgres16.execute("""DROP DATABASE IF EXISTS "{}" WITH (FORCE)""".format(each.replace('"', '""')))
        postgres16.execute("""DROP ROLE IF EXISTS "{}" """.format(role.replace('"', '""')))


def test_settings_problems_are_told_all_at_once(project: Project) -> None:
    told = project.run("backup", expect=2, SHEDULE="@daily", CODEC="lrzop", KEEP_LAST="x", STORE="s4://x").err
    for word in ("SHEDULE", "SCHEDULE", "lrzop", "KEEP_LAST", "STORE"):
        assert word in told
    assert project.stored() == []


def test_a_codec_that_writes_other_bytes_is_found_out(project: Project, tmp_path: Path) -> None:
    """The archive is read back before there is a manifest; READ_BACK=off leaves that to the verifier."""
    zstd = Path(shutil.which("zstd") or "zstd")
    wrong = wrapper(tmp_path / "wrong", zstd, 'case "$*" in *-d*) exec $REAL "$@";; esac; tr a b | $REAL "$@"')
    path = f"{wrong}:{os.environ['PATH']}"
    fails(project, "corrupt", "does not decode to what was encoded", PATH=path)
    id = project.back_up(PATH=path, READ_BACK="off")
    report = project.run("verify", id, "--json", expect=1).json
    assert (report["result"], report["failed_level"]) == ("failed", 1)
