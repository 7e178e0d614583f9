"""monitoring/compose.yml beside the example: a backup breaks, Prometheus raises the alert, Alertmanager gets it."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.end_to_end.test_compose import Compose, compose
from tests.kit import wait_for
from tests.lab import Missing, debian, docker

MONITORING = docker.ROOT / "monitoring"
QUICKER = """\
services:
  sidecar:
    environment:
      SCHEDULE: every minute
      DATABASE_URL_EVENTS: !reset null
      DATABASE_PASSWORD_EVENTS_FILE: !reset null
      FILES_UPLOADS: !reset null
    depends_on: !reset []
  prometheus:
    ports: !reset []
    volumes:
      - {folder}/prometheus.yml:/etc/prometheus/prometheus.yml:ro
      - {folder}/rules.yml:/etc/prometheus/rules.yml:ro
  alertmanager: {{ports: !reset []}}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """Of the example the database, the store and the sidecar: a backup each minute, a look each second, and no waiting.

    How long a rule waits is tested by promtool, with the rules as they are.
    """
    docker.base_images()
    if docker.docker("compose", "version", check=False).returncode:
        raise Missing("no docker compose here: script/docker-engine installs it")
    subprocess.run([docker.ROOT / "script/secrets"], check=True)
    folder = tmp_path_factory.mktemp("monitoring")
    (folder / "rules.yml").write_text(re.sub(r"for: \w+", "for: 0s", (MONITORING / "rules.yml").read_text()))
    slow = (MONITORING / "prometheus.yml").read_text()
    (folder / "prometheus.yml").write_text(slow.replace("_interval: 1m", "_interval: 1s"))
    (folder / "compose.yml").write_text(QUICKER.format(folder=folder))
    name = f"killick-test-{uuid4().hex[:8]}"
    files = ("docker-compose.yml", "monitoring/compose.yml", str(folder / "compose.yml"))

    def run(*argv: str, check: bool = True) -> str:
        return compose(name, *argv, files=files, check=check)

    try:
        run("build", "sidecar")
        run("up", "--detach", "--wait", "db", "s3", "prometheus", "alertmanager")
        run("run", "--rm", "bucket")
        run(
            "exec",
            "-T",
            "db",
            "psql",
            "-U",
            "shop",
            "-c",
            "CREATE TABLE orders AS SELECT generate_series(1, 100) AS id",
        )
        run("up", "--detach", "--wait", "sidecar")
        yield run
    finally:
        run("down", "--volumes", "--remove-orphans", "--timeout", "1", check=False)


def asked(project: Compose, query: str) -> list[dict[str, str]]:
    """The labels of what Prometheus answers."""
    argv = ("promtool", "query", "instant", "-o", "json", "http://127.0.0.1:9090", query)
    return [one["metric"] for one in json.loads(project("exec", "-T", "prometheus", *argv))]


def firing(project: Compose) -> set[str]:
    return {one["alertname"] for one in asked(project, 'ALERTS{alertstate="firing"}')}


def told(project: Compose) -> list[dict[str, Any]]:
    """What Alertmanager has of the alert."""
    argv = ("amtool", "--alertmanager.url=http://127.0.0.1:9093", "alert", "query", "KillickBackupFailed", "-o", "json")
    return list(json.loads(project("exec", "-T", "alertmanager", *argv)))


def test_the_sidecars_own_metrics_are_scraped_and_well_formed(project: Compose) -> None:
    wait_for(lambda: bool(asked(project, "killick_backup_last_success_timestamp_seconds")), 120)
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9187/metrics').read().decode(), end='')"
    text = project("exec", "-T", "sidecar", "python3", "-c", ask)
    promtool = debian.unpack("prometheus") / "bin/promtool"
    done = subprocess.run([promtool, "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "killick_backup_last_size_bytes{" in text


def test_the_dashboard_finds_its_figures(project: Compose) -> None:
    """What comes of backups; nothing was verified here. An expression that Prometheus refuses is an error."""
    wait_for(lambda: bool(asked(project, "killick_backup_last_success_timestamp_seconds")), 120)
    panels = json.loads((MONITORING / "grafana/killick.json").read_text())["panels"]
    shown = {
        panel["title"]: [
            asked(project, target["expr"].replace("$project", ".*").replace("$source", ".*"))
            for target in panel.get("targets", ())
        ]
        for panel in panels
    }
    for title in ("Sources", "Never proven", "Backups fail", "Stored", "Sizes", "What a backup takes"):
        assert shown[title][0], title
    assert shown["Recovery point (RPO)"][1] == [{"project": "shop", "source": "db"}], "backed up"
    assert [bool(found) for found in shown["The worst"]] == [False, True, True, False, False]


def test_a_backup_that_breaks_is_told_of(project: Compose) -> None:
    wait_for(lambda: bool(asked(project, "killick_backup_last_success_timestamp_seconds")), 120)
    assert "KillickBackupFailed" not in firing(project)
    project("stop", "db")
    wait_for(lambda: "KillickBackupFailed" in firing(project), 120)
    wait_for(lambda: bool(told(project)), 30)
    (alert,) = told(project)
    assert alert["annotations"]["description"] == "shop/db: 1 attempt(s) failed since the newest backup."
    assert {receiver["name"] for receiver in alert["receivers"]} == {"mail"}
