"""What it costs to look: a listing answers list, prune, metrics and health; no manifest is read but the newest."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from killick import layout
from tests.kit import Project
from tests.lab.faults import Faults
from tests.lab.s3 import S3


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_thousand_keys_are_one_request(project: Project, s3: S3, faults: Faults, count: int) -> None:
    """Three keys a backup: 10,000 backups are some 30 requests, and three more for each source."""
    bucket = f"b{secrets.token_hex(6)}"
    s3.bucket(bucket)
    project.environment.update(faults.environment(), STORE=f"s3://{bucket}/backups")
    newest = project.back_up()
    client = s3.client()
    now = datetime.now(UTC)

    def make(number: int) -> None:
        then = now - timedelta(hours=number + 1)
        id = layout.backup_id(then, "db")
        for key in (
            layout.archive("shop", id, ".zst"),
            layout.manifest("shop", id),
            layout.evidence("shop", id, then, "verify", "passed", 4),
        ):
            client.put_object(Bucket=bucket, Key=f"backups/{key}", Body=b"")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(make, range(count)))
    pages = 3 * count // 1000 + 1
    for verb in (("list", "--json"), ("prune", "--dry-run"), ("health",), ("state", "--json")):
        before = faults.seen["GET"] + faults.seen["HEAD"]
        project.run(*verb)
        asked = faults.seen["GET"] + faults.seen["HEAD"] - before
        assert pages <= asked <= pages + 1 + 2 * 3, f"{verb}: {asked} requests for {3 * count} keys"
    assert project.run("list", "--json").json[0]["id"] == newest
