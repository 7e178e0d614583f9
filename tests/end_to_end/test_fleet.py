"""`killick fleet` as an operator runs it: the real process, on a real S3 server."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from killick import records, stores
from tests.end_to_end.test_loop import answer, eventually
from tests.kit import wait_for
from tests.lab.s3 import S3
from tests.unit.test_state import back_up


def test_a_fleet_on_s3(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    bucket = s3.bucket(f"fleet-{secrets.token_hex(4)}")
    store, now = stores.connect(f"{bucket}/backups"), datetime.now(UTC).replace(microsecond=0)
    made = back_up(store, now)
    records.record(store, "shop", made, now, "verify", "passed", 5, {"restore_seconds": 3.5, "tables": 8})
    (tmp_path / "projects.txt").write_text("shop\nblog # nobody set it up\n")
    environ = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ} | s3.environment()
    argv = [sys.executable, "-m", "killick", "fleet", f"{bucket}/backups", "--expect", str(tmp_path / "projects.txt")]
    log = (tmp_path / "log").open("w+")
    with log, subprocess.Popen([*argv, "--port", "0"], env=environ, stderr=log, stdout=log) as process:
        try:
            port = _port(tmp_path / "log")
            page = eventually(port, "/", "restorable")
            assert "no backup yet" in page
            assert answer(port, "/badge/shop.svg")[1].count("restorable · 0 min ago") == 3
            status, night = answer(port, f"/night/shop/db/{now:%Y-%m-%d}")
            assert status == 200
            assert made in night
            assert (
                'killick_verify_level{engine="postgres",project="shop",source="db"} 5.0' in answer(port, "/metrics")[1]
            )
            assert answer(port, "/readyz")[0] == 503, "blog"
            assert answer(port, "/healthz")[0] == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert "fleet-stopped" in (tmp_path / "log").read_text()
    assert s3.environment()["AWS_SECRET_ACCESS_KEY"] not in (tmp_path / "log").read_text() + page + night


def _port(log: Path) -> int:
    wait_for(lambda: "fleet-started" in log.read_text())
    found = re.search(r"\bport=(\d+)", log.read_text())
    assert found
    return int(found[1])
