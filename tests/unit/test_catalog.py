"""A listing tells what there is."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from killick import catalog, layout, older
from killick.catalog import Backup, Evidence
from killick.errors import Corrupt, NotFound, SettingsError
from killick.find import find, run_of, until
from killick.stores import Stored

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def scan(*keys: str, project: str = "app", zone: ZoneInfo | None = None) -> catalog.Catalog:
    return catalog.scan(project, [Stored(key, 100 + n, NOW) for n, key in enumerate(keys)], zone or UTC)


def evidence(*records: str) -> tuple[Evidence, ...]:
    """ "verify-passed-5" each, a day apart."""
    split = [record.split("-") for record in records]
    return tuple(Evidence(NOW + timedelta(days=n), k, r, int(v)) for n, (k, r, v) in enumerate(split))


def test_a_listing_tells_everything_about_a_backup() -> None:
    found = scan(
        "app/20261123T030000Z-db.evidence/20261123T030500Z-backup-passed-0.json",
        "app/20261123T030000Z-db.evidence/20261124T050000Z-verify-failed-3.json",
        "app/20261123T030000Z-db.json",
        "app/20261123T030000Z-db.tar.lrz.age",
    )
    (backup,) = found.backups
    assert backup == Backup(
        project="app",
        id="20261123T030000Z-db",
        source="db",
        time=NOW,
        bytes=103,
        suffix=".lrz.age",
        manifest=True,
        evidence=(
            Evidence(datetime(2026, 11, 23, 3, 5, tzinfo=UTC), "backup", "passed", 0),
            Evidence(datetime(2026, 11, 24, 5, tzinfo=UTC), "verify", "failed", 3),
        ),
    )
    assert backup.archive == "app/20261123T030000Z-db.tar.lrz.age"
    assert found.sources == ["db"]


def test_what_is_no_backup_is_told_apart() -> None:
    found = scan(
        "app/20261122T030000Z-db.tar.lrz",
        "app/20261121T030000Z-db.failed-no-space.json",
        "app/20261120T030000Z-db.evidence/20261120T030500Z-backup-passed-0.json",
        "app/db.lock.12",
        "app/db.lock.0.1f2e",
        "app/notes.txt",
        "app/20269922T030000Z-db.json",
        "app/logs/nginx.log.zst",
        "application/20261123T030000Z-db.json",
    )
    assert found.backups == ()
    assert [b.id for b in found.partial] == ["20261122T030000Z-db"]
    assert [(f.id, f.kind) for f in found.failures] == [("20261121T030000Z-db", "no-space")]
    assert [b.id for b in found.remains] == ["20261120T030000Z-db"]
    assert [(x.source, x.generation) for x in found.locks] == [("db", 12)]


def test_what_somebody_laid_beside_an_archive_is_not_taken_for_it() -> None:
    key = "app/20261123T030000Z-db.tar.lrz"
    (backup,) = scan(key, f"{key}.bak", f"{key}.sha256", f"{key}.age.sig", key.replace("tar.lrz", "json")).backups
    assert (backup.archive, backup.bytes) == (key, 100)


def test_siblings_are_not_confused() -> None:
    found = scan("app/20261123T030000Z-app_staging.json", "app/20261122T030000Z-app.json")
    assert find(found, source="app").id == "20261122T030000Z-app"


@pytest.mark.parametrize(
    ("key", "time"),
    [
        ("202611/app.20261106-020000.sql.lrz", "2026-11-06T01:00:00Z"),
        ("202607/app-dump.20260702-040000.tar.lrz", "2026-07-02T02:00:00Z"),
        ("202611/app.20261031-020000.sql.sql.zst", "2026-10-31T01:00:00Z"),
        ("20180914/app.20180914-030002.sql.lrz", "2018-09-14T01:00:02Z"),
        ("app.20171125-030001.sql.bz2", "2017-11-25T02:00:01Z"),
        ("20160504.tar.lrz", "2016-05-03T22:00:00Z"),
        ("mongo.20150101-000000.tar.bz2", "2014-12-31T23:00:00Z"),
        ("by-hand.sql.gz", "2026-11-23T03:00:00Z"),
        ("before-12345678-upgrade.dump", "2026-11-23T03:00:00Z"),
        ("app.tgz", "2026-11-23T03:00:00Z"),
        ("App.SQL.GZ", "2026-11-23T03:00:00Z"),
        ("app-2024-01-16_03-00-00.sql.gz", "2024-01-16T02:00:00Z"),
        ("app-2024-01-16T03:00:00Z.backup", "2024-01-16T03:00:00Z"),
        ("app-2024-01-16T03:00:00-05:00.sql.gz", "2024-01-16T08:00:00Z"),
        ("app.20240116-030000+0000.sql.lrz", "2024-01-16T03:00:00Z"),
        ("app 2024-01-16 03:00:00.sql.gz", "2024-01-16T02:00:00Z"),
        ("2024/01/16/app.sql.gz", "2024-01-15T23:00:00Z"),
        ("app_202401160300.pgdump", "2024-01-16T02:00:00Z"),
        ("app.sql.20240116.gz", "2024-01-15T23:00:00Z"),
        ("20180914/app.archive.gz", "2018-09-13T22:00:00Z"),
        ("app.1731294000.sql", "2026-11-23T03:00:00Z"),
    ],
)
def test_older_archives_are_listed_with_local_stamps(key: str, time: str) -> None:
    (backup,) = scan(f"app/{key}", zone=BERLIN).backups
    assert (backup.id, layout.rfc3339(backup.time), backup.source) == (key, time, older.SOURCE)
    assert (backup.older, backup.manifest, backup.bytes, backup.archive) == (True, False, 100, f"app/{key}")


@pytest.mark.parametrize(
    "key", ["logs/app.20261106-020000.sql.lrz", "x.log.tar.gz", "photo.jpg", "x.sql.exe", ".sql", ".a.sql.gz", "a.json"]
)
def test_what_is_no_older_archive(key: str) -> None:
    assert scan(f"app/{key}") == catalog.Catalog("app")


def test_evidence_of_an_older_archive() -> None:
    found = scan("app/202611/a.sql.lrz", "app/202611/a.sql.lrz.evidence/20261124T050000Z-verify-passed-2.json")
    assert found.backups[0].proven
    assert scan("app/x.sql.evidence/20261124T050000Z-verify-passed-2.json").backups == ()


@pytest.mark.parametrize(
    ("records", "proven", "failed"),
    [
        ([], False, False),
        (["backup-passed-0"], False, False),
        (["verify-passed-3"], False, False),
        (["verify-passed-4"], True, False),
        (["refresh-passed-4"], True, False),
        (["verify-passed-5", "verify-unverifiable-0"], True, False),
        (["verify-passed-5", "verify-failed-4"], False, True),
        (["verify-passed-5", "verify-failed-4", "verify-unverifiable-0"], False, True),
        (["verify-failed-4", "verify-passed-5"], True, False),
        (["verify-passed-6", "verify-failed-5"], False, True),
        (["verify-failed-2", "verify-passed-1"], False, True),
        (["verify-failed-1", "verify-passed-2"], False, False),
        (["verify-passed-5", "verify-passed-1"], True, False),
        (["verify-unverifiable-0"], False, False),
        (["verify-unverifiable-0", "verify-passed-4"], True, False),
        (["backup-passed-0", "verify-passed-5", "prune-passed-0"], True, False),
    ],
)
def test_proven_and_failed(records: list[str], proven: bool, failed: bool) -> None:
    backup = Backup("app", "x", "db", NOW, manifest=True, evidence=evidence(*records))
    assert (backup.proven, backup.failed) == (proven, failed)
    assert backup.broken == (failed and backup.verdict is not None and backup.verdict.level < 5)


def test_an_older_archive_is_proven_by_a_restore() -> None:
    assert Backup("app", "x", "db", NOW, older=True, evidence=evidence("verify-passed-2")).proven
    assert not Backup("app", "x", "db", NOW, evidence=evidence("verify-passed-2")).proven


MANY = (
    "app/20261120T030000Z-db.json",
    "app/20261120T030000Z-db.tar.lrz",
    "app/20261121T233000Z-db.json",
    "app/20261121T233000Z-db.tar.lrz",
    "app/20261122T030000Z-db.tar.lrz",
    "app/20261123T030000Z-db.failed-no-space.json",
    "app/20261119T030000Z-db.evidence/20261119T030500Z-backup-passed-0.json",
    "app/202612/app.20261201-030000.sql.lrz",
)


def test_latest_is_killicks_own_newest_that_is_whole() -> None:
    assert find(scan(*MANY)).id == "20261121T233000Z-db"


def test_latest_among_older_ones_alone() -> None:
    assert find(scan("app/a.20200101-000000.sql", "app/b.20210101-000000.sql")).id == "b.20210101-000000.sql"


def test_at_a_day_means_up_to_its_end_in_the_local_zone() -> None:
    found = scan(*MANY)
    assert find(found, before=until("2026-11-21", UTC)).id == "20261121T233000Z-db"
    assert find(found, before=until("2026-11-21", BERLIN)).id == "20261120T030000Z-db"  # 23:30 UTC is tomorrow there
    assert find(found, before=until("2026-11-20T03:00", UTC)).id == "20261120T030000Z-db"
    with pytest.raises(NotFound, match="oldest is of 2026-11-20T03:00:00Z"):
        find(found, before=until("2026-11-20T03:59:59+01:00", UTC))
    for text in ("yesterday", "9999-12-31", "9999-12-31T23:59:59.999999"):
        with pytest.raises(SettingsError, match="neither a day nor a time"):
            until(text, UTC)


def test_the_end_of_a_day_of_twenty_five_hours() -> None:
    assert until("2026-10-25", BERLIN) - until("2026-10-24", BERLIN) == timedelta(hours=25)


def test_by_id_by_stamp_and_by_key() -> None:
    found = scan(*MANY)
    for wanted in ("20261120T030000Z-db", "20261120T030000Z", "app/20261120T030000Z-db"):
        assert find(found, wanted).id == "20261120T030000Z-db"
    assert find(found, "202612/app.20261201-030000.sql.lrz").older


@pytest.mark.parametrize(
    ("wanted", "error", "told"),
    [
        ("20261122T030000Z-db", Corrupt, "no manifest"),
        ("20261123T030000Z-db", NotFound, "attempt that failed"),
        ("20261119T030000Z-db", NotFound, "was pruned"),
        ("20261120T030001Z-db", NotFound, "did you mean 20261120T030000Z-db"),
        ("zzz", NotFound, "killick list"),
    ],
)
def test_what_cannot_be_had_is_told_with_its_reason(wanted: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        find(scan(*MANY), wanted)


def test_several_sources_need_a_name() -> None:
    found = scan("app/20261120T030000Z-db.json", "app/20261120T030000Z-media.json")
    for wanted in ("latest", "20261120T030000Z"):
        with pytest.raises(SettingsError, match="db, media") as caught:
            find(found, wanted)
        assert caught.value.exit_code == 2
        assert find(found, wanted, "media").source == "media"
    with pytest.raises(NotFound, match="did you mean media"):
        find(found, source="medai")
    with pytest.raises(NotFound, match="no backups in this store"):
        find(scan())


def test_a_fleet_is_one_pass_and_fits_in_memory() -> None:
    """500 projects of 400 backups, with two records each, all held at once: within 300 MB."""
    code = r"""
import json, re
from pathlib import Path
from datetime import UTC, datetime, timedelta
from killick import catalog, layout
from killick.stores import Stored
now, start = datetime(2026, 11, 23, tzinfo=UTC), datetime(2025, 10, 1, 3, tzinfo=UTC)
class Many:
    def list(self, prefix):
        for p in range(500):
            project = f"project_{p:03}"
            for day in range(400):
                id = layout.backup_id(start + timedelta(days=day, seconds=p), "db")
                when = layout.stamp(start + timedelta(days=day))
                for kind in ("backup-passed-0", "verify-passed-5"):
                    yield Stored(f"{project}/{id}.evidence/{when}-{kind}.json", 9, now)
                yield Stored(f"{project}/{id}.json", 9, now)
                yield Stored(f"{project}/{id}.tar.lrz", 9, now)
fleet = list(catalog.fleet(Many()))
print(json.dumps([len(fleet), sum(len(c.backups) for c in fleet), sum(b.proven for c in fleet for b in c.backups),
                  int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024]))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=Path(__file__).parents[2])
    projects, backups, proven, megabytes = json.loads(run.stdout)
    assert (projects, backups, proven) == (500, 200_000, 200_000)
    assert megabytes <= 300


# Runs


def ids(found: list[Backup]) -> list[str]:
    return [backup.id for backup in found]


def test_the_backups_of_one_run() -> None:
    made = ("20261123T030000Z-db", "20261122T030000Z-uploads", "20261122T030000Z-db", "20261122T030000Z-events")
    found = scan(*(f"app/{id}.json" for id in made))
    whole = ["20261122T030000Z-db", "20261122T030000Z-events", "20261122T030000Z-uploads"]
    assert ids(run_of(found, "latest", ["db", "events", "uploads"])) == whole  # the newest lacks two of them
    assert ids(run_of(found, "latest", ["db"])) == ["20261123T030000Z-db"]
    assert ids(run_of(found, "latest", ["db", "elsewhere"])) == ["20261123T030000Z-db"]  # nothing has all: the newest
    assert ids(run_of(found, "20261122T030000Z", ["uploads", "db"])) == ["20261122T030000Z-uploads", whole[0]]
    assert ids(run_of(found, "20261122T030000Z-events", ["db", "events"])) == ["20261122T030000Z-events"]
    with pytest.raises(NotFound):
        run_of(found, "20261101T030000Z", ["db"])
    with pytest.raises(NotFound):
        run_of(scan(), "latest", ["db"])


def test_where_only_older_archives_are_they_are_the_run() -> None:
    found = scan("app/202611/app.20261106-020000.sql.lrz")
    assert ids(run_of(found, "latest", ["db"])) == ["202611/app.20261106-020000.sql.lrz"]
