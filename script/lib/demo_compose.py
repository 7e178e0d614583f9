"""`script/demo --compose`: the example project as a user starts it, MongoDB too, by docker compose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from script.lib.project import ROOT
from script.lib.stage import NotAsPromised, Stage
from tests.lab import Missing, docker

SUMS = """SELECT 'customers' AS of, count(*), md5(string_agg(md5(x::text), '' ORDER BY md5(x::text))) FROM customers x
UNION ALL SELECT 'orders', count(*), md5(string_agg(md5(x::text), '' ORDER BY md5(x::text))) FROM orders x"""
SIDECAR, VERIFIER = "docker compose exec -T sidecar", "docker compose exec -T verifier"
NAME = f"killick-demo-{os.getpid()}"


def show(keep: bool) -> int:
    try:
        docker.engine()
    except Missing as missing:
        print(f"script/demo --compose: {missing}", file=sys.stderr)
        return 2
    print(
        "Making the images; the first time takes minutes, more where the official ones cannot be pulled …", flush=True
    )
    docker.base_images()
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST") if name in os.environ}
    stage = Stage(ROOT, {**environment, "COMPOSE_PROJECT_NAME": NAME, "LC_ALL": "C.UTF-8"})
    with _down(stage):
        try:
            story(stage)
        except NotAsPromised as broken:
            stage.failed(str(broken))
            return 1
        stage.summary()
        if keep:
            print(
                f"\nEverything is up until Ctrl-C. In another terminal, in {ROOT}:\n"
                f"  export COMPOSE_PROJECT_NAME={NAME}\n"
                "  docker compose ps; docker compose logs -f sidecar; docker compose exec sidecar killick list",
                flush=True,
            )
            while True:
                time.sleep(3600)
    return 0


def story(stage: Stage) -> None:
    up(stage)
    first_backup(stage)
    verify(stage)
    restore(stage)


def up(stage: Stage) -> None:
    stage.step("docker compose up", "A shop with Postgres, MongoDB and uploads, an S3 server; the sidecar, a verifier.")
    stage.run("script/secrets && docker compose build --quiet && docker compose --progress quiet up --detach --wait")
    stage.run(
        "docker compose ps --format 'table {{.Service}}\\t{{.Image}}\\t{{.Status}}'", says=["sidecar", "(healthy)"]
    )
    stage.proves("one command brings the project up, its sidecar healthy")


def first_backup(stage: Stage) -> None:
    stage.step("The first backup", "Nobody asked for it: there was none, so the sidecar took one at once.")
    for _ in range(120):
        if len(_listed(stage)) == 3:
            break
        time.sleep(0.5)
    stage.run(f"{SIDECAR} killick list", says=["-db", "-events", "-uploads"])
    stage.run(f"{SIDECAR} killick show latest --source events", says=["mongodb"])
    stage.run(f"{SIDECAR} killick doctor")
    stage.run(f"{SIDECAR} killick health")
    stage.proves("Postgres, MongoDB and uploads are in S3 without a word said")


def verify(stage: Stage) -> None:
    stage.step("The proof", "The verifier reaches the store and no database; it restores into a server of its own.")
    for source, level in (("db", 5), ("uploads", 4)):
        stage.run(f"{VERIFIER} killick verify --source {source}", says=[f"can be restored: level {level}"])
    stage.run(f"{SIDECAR} killick list", says=["passed, level 5", "passed, level 4"])
    stage.proves("the backups of database and uploads were restored and compared")


def restore(stage: Stage) -> None:
    stage.step("Restore beside, and compare without killick")
    stage.run(f"{SIDECAR} killick restore --source db --into postgres://shop@db/shop_copy", says=["✓"])
    sums = [
        stage.run(f'docker compose exec -T db psql -U shop -Xd {name} -c "{SUMS}"') for name in ("shop", "shop_copy")
    ]
    stage.expect(sums[0] == sums[1], "the copy differs from the original")
    stage.proves("the restored copy is equal to the original, by SQL")


def _listed(stage: Stage) -> list[dict[str, Any]]:
    asked = ["docker", "compose", "exec", "-T", "sidecar", "killick", "list", "--json"]
    done = subprocess.run(asked, env=stage.environment, cwd=stage.folder, capture_output=True, check=False)
    return list(json.loads(done.stdout)) if done.returncode == 0 else []


@contextmanager
def _down(stage: Stage) -> Iterator[None]:
    """Containers, networks and volumes of this demonstration are gone afterwards; images stay."""
    try:
        yield
    finally:
        subprocess.run(
            ["docker", "compose", "down", "--volumes", "--remove-orphans", "--timeout", "5"],
            env=stage.environment, cwd=stage.folder, capture_output=True, check=False,
        )  # fmt: skip
