"""The composed project from inside: dc.test.yml runs these beside the sidecar, with its settings.

Elsewhere they are not collected: they need the services `sidecar`, `db` and `s3`.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psycopg2
import pytest

SOURCES = {"db": "postgres", "events": "mongodb", "uploads": "files"}


def run(*argv: str, code: int = 0, **environment: str) -> str:
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )
    assert done.returncode == code, f"{argv[:2]}: exit {done.returncode}\n{done.stderr}{done.stdout}"
    return done.stdout


def asked(path: str) -> tuple[int, str]:
    """The sidecar's answer to GET path."""
    try:
        with urllib.request.urlopen(os.environ["SIDECAR"] + path, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def secret(name: str) -> str:
    return Path(os.environ[f"{name}_FILE"]).read_text().strip()


def connect(database: str) -> Any:
    return psycopg2.connect(host="db", user="shop", password=secret("DATABASE_PASSWORD"), dbname=database)


@pytest.fixture(scope="module", autouse=True)
def first_backups() -> None:
    """Taken by the sidecar of itself, at its start, because there are none."""
    deadline = time.monotonic() + 120
    while (answer := asked("/readyz"))[0] != 200:
        assert time.monotonic() < deadline, answer
        time.sleep(1)


@pytest.fixture(scope="module")
def ids() -> dict[str, str]:
    """The newest backup of each source."""
    listed = json.loads(run("killick", "list", "--json"))
    return {entry["source"]: entry["id"] for entry in reversed(listed) if entry["manifest"]}


def test_every_source_has_a_backup(ids: dict[str, str]) -> None:
    assert ids.keys() == SOURCES.keys()
    for source, engine in SOURCES.items():
        assert json.loads(run("killick", "show", "--json", ids[source]))["engine"] == engine


def test_metrics_tell_of_every_source() -> None:
    status, text = asked("/metrics")
    assert status == 200
    for source, engine in SOURCES.items():
        labels = f'{{engine="{engine}",project="shop",source="{source}"}}'
        value = next(
            line
            for line in text.splitlines()
            if line.startswith(f"killick_backup_last_success_timestamp_seconds{labels}")
        )
        assert float(value.split()[-1]) > time.time() - 86400


def test_the_loop_lives() -> None:
    assert asked("/healthz")[0] == 200


def test_doctor_finds_nothing() -> None:
    assert "✗" not in run("killick", "doctor")


@pytest.mark.parametrize("source", SOURCES)
def test_stock_tools_open_the_archive(source: str, ids: dict[str, str], tmp_path: Path) -> None:
    """The README's way without killick: lrzip -d, tar xf, pg_restore or mongorestore."""
    s3 = boto3.client(
        "s3", aws_access_key_id=secret("AWS_ACCESS_KEY_ID"), aws_secret_access_key=secret("AWS_SECRET_ACCESS_KEY")
    )
    s3.download_file("backups", f"shop/{ids[source]}.tar.lrz", str(tmp_path / "archive.tar.lrz"))
    run("lrzip", "-q", "-d", "-o", str(tmp_path / "archive.tar"), str(tmp_path / "archive.tar.lrz"))
    run("tar", "xf", str(tmp_path / "archive.tar"), "-C", str(tmp_path))
    if source == "db":
        home = "/usr/lib/postgresql/16"
        (toc,) = tmp_path.rglob("toc.dat")
        contents = run(f"{home}/bin/pg_restore", "--list", str(toc.parent), LD_LIBRARY_PATH=f"{home}/client-lib")
        assert "TABLE DATA public orders shop" in contents
    elif source == "events":
        (dumped,) = tmp_path.rglob("events.bson")
        assert dumped.stat().st_size > 5000
    else:
        assert len(list(tmp_path.rglob("picture *.bin"))) == 20


@pytest.mark.parametrize(("source", "level"), [("db", 5), ("uploads", 4)])
def test_verified(source: str, level: int, ids: dict[str, str], tmp_path: Path) -> None:
    report = json.loads(run("killick", "verify", ids[source], "--json", SCRATCH_DIR=str(tmp_path)))
    assert (report["result"], report["level"]) == ("passed", level)


def test_restored_beside_the_original(ids: dict[str, str], tmp_path: Path) -> None:
    copy = f"copy_{uuid4().hex[:8]}"
    into = f"postgres://shop@db/{copy}"
    run("killick", "restore", ids["db"], "--into", into, "--yes", copy, SCRATCH_DIR=str(tmp_path))
    counts = []
    for database in ("shop", copy):
        with connect(database) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT count(*), sum(total) FROM orders")
            counts.append(cursor.fetchone())
        connection.close()
    assert counts[0] == counts[1]
    assert counts[0][0] == 20_000


def test_production_is_refused_as_a_target(ids: dict[str, str]) -> None:
    run("killick", "restore", ids["db"], "--into", "postgres://shop@db/shop", "--yes", "shop", code=5)
