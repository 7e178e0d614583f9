"""Prometheus' own linter on what /metrics answers."""

import subprocess
from datetime import UTC, datetime

from killick.observers import metrics
from killick.state import SourceState, State, Verification
from tests.lab import debian

FULL = SourceState(
    "db",
    engine="postgres",
    database='a "quoted"\\name\n',
    server_version="16.4",
    interval=86400.0,
    last_attempt=1.0,
    last_success=1.0,
    seconds={"dump": 1.5},
    raw_bytes=9,
    archive_bytes=3,
    backups={"proven": 1, "unverified": 0, "failed": 0, "partial": 0},
    bytes=3,
    verification=Verification(1.0, 1.0, "passed", 5, 2.5, 8, 0, 1.0, restore_target=1800.0, proven=1.0, max_age=1.0),
)


def test_promtool_finds_nothing_to_say() -> None:
    promtool = debian.unpack("prometheus") / "bin/promtool"
    text = metrics.exposition(State("shop", datetime.now(UTC).timestamp(), (FULL, SourceState("uploads", "files"))))
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
