"""`script/demo`: the story, step by step. Each step is a promise; one that is not kept ends it with status 1."""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any, NoReturn

from script.lib.project import MAJOR, ROOT, Project, fill, folder, project
from script.lib.stage import NotAsPromised, Stage
from tests.lab import Missing

QUERY = ROOT / "script/lib/rows.sql"


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/demo", description="The whole main job, on real servers.")
    parser.add_argument("--keep", action="store_true", help="leave everything up until Ctrl-C, and say where to look")
    parser.add_argument("--compose", action="store_true", help="with docker-compose.yml, where a Docker engine answers")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    try:
        if options.compose:
            from script.lib.demo_compose import show

            return show(options.keep)
        return show_here(options.keep)
    except Missing as missing:
        print(f"script/demo: {missing}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.")
        return 130


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def show_here(keep: bool) -> int:
    print(f"Starting Postgres {MAJOR} and an S3 server (SeaweedFS), and loading a shop …", flush=True)
    with folder() as place, project(place) as made:
        stage = Stage(place, made.environment)
        try:
            story(stage, made)
        except NotAsPromised as broken:
            stage.failed(str(broken))
            return 1
        stage.summary()
        if keep:
            _keep(made)
    return 0


def story(stage: Stage, made: Project) -> None:
    the_project(stage, made)
    first = back_up(stage, made)
    stock_tools(stage, first["db"])
    a_second_backup(stage)
    damage(stage, made, first["db"])
    verify(stage)
    restore(stage, made)
    no_secret_was_shown(stage, made)


def the_project(stage: Stage, made: Project) -> None:
    stage.step("A project: a shop, its database and its uploads")
    counts, files = fill(made)
    tables = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    stage.say(f"{sum(counts.values()):,} rows in {len(counts)} tables ({tables}).")
    stage.say(
        f"{files} uploads, names like 'new\\nline' and '-rf' among them. In the schema: a partitioned table, views, "
        "sequences, jsonb, arrays, bytea, large objects, a trigger."
    )
    stage.expect(sum(counts.values()) >= 200_000, "the shop has fewer than 200,000 rows")
    stage.say("All that killick is told (secrets are files, mode 0600; DATABASE_URL has no password in it):")
    for name in made.settings:
        stage.say(f"  {name}={made.environment[name]}")
    stage.run("killick doctor")
    stage.proves(f"killick doctor finds nothing wrong with a project of {sum(counts.values()):,} rows")


def back_up(stage: Stage, made: Project) -> dict[str, str]:
    """The ids by source."""
    stage.step(
        "Back up", "Dumped, counted by the server in the same snapshot, packed, compressed, uploaded, read back."
    )
    stage.run("killick backup")
    stage.run("killick list", says=["-db", "-uploads"])
    found = {entry["source"]: entry["id"] for entry in listed(stage)}
    stage.expect(set(found) == {"db", "uploads"}, f"there are backups of {sorted(found)} instead of db and uploads")
    stage.proves("one command stores database and uploads in S3")
    return found


def stock_tools(stage: Stage, id: str) -> None:
    stage.step("Stock tools open it", "From here to the next heading killick is not used: this is what it leaves you.")
    key = f"shop/{id}.tar.lrz"
    stage.run(
        f'python3 -c \'import boto3; boto3.client("s3").download_file("backups", "{key}", "db.tar.lrz")\'\n'
        "lrzip -Q -d db.tar.lrz && mkdir opened && tar -xf db.tar -C opened && ls opened",
        says=["manifest.json", "postgres"],
    )
    stage.run("pg_restore -l opened/postgres | grep 'TABLE DATA' | sed -n 1,5p", says=["TABLE DATA"])
    stage.run("createdb one_table && pg_restore -d one_table --no-owner -t reviews opened/postgres")
    counted = stage.run("for d in shop one_table; do psql -XAtd $d -c 'SELECT count(*) FROM reviews'; done").split()
    stage.expect(len(counted) == 2 and counted[0] == counted[1] != "0", f"reviews has {counted} rows in the two")
    stage.proves(f"lrzip, tar and pg_restore bring a table back without killick ({int(counted[0]):,} rows)")


def a_second_backup(stage: Stage) -> None:
    stage.step("Business goes on, and another night")
    stage.run(
        "psql -Xqd shop -c \"INSERT INTO reviews SELECT id, 1, 5, '⚓ good', 0 FROM products ON CONFLICT DO NOTHING\""
    )
    stage.run("killick backup db")
    stage.proves("a second backup of the changed database")


def damage(stage: Stage, made: Project, id: str) -> None:
    stage.step("The older backup rots", "One bit of one byte is turned over in the bucket; the size stays the same.")
    stage.say(_flip(made, f"shop/{id}.tar.lrz"))
    stage.run(f"killick fetch {id} -o damaged.tar", status=4, says=["does not match its SHA-256"])
    stage.run(f"killick restore {id} --into {_url(made, 'from_damaged')}", status=4)
    stage.run("psql -XAtc \"SELECT count(*) FROM pg_database WHERE datname = 'from_damaged'\"", says=["0"])
    stage.expect(not (made.folder / "damaged.tar").exists(), "fetch has written a damaged archive")
    stage.run(f"killick verify {id}", status=1, says=["FAILED"])
    stage.run("killick list", says=["failed"])
    stage.proves("a damaged backup is refused before anything is written (4), and fails its verification (1)")


def verify(stage: Stage) -> None:
    stage.step("The newest is proven", "Restored into a server that lives for this only, cut off; all of it compared.")
    stage.run("killick verify --source db", says=["can be restored: level 5"])
    stage.run("killick verify --source uploads", says=["can be restored: level 4"])
    stage.run("killick list", says=["passed, level 5", "passed, level 4"])
    passed = [entry for entry in listed(stage) if (entry["verified"] or {}).get("result") == "passed"]
    stage.expect(len(passed) == 2, f"{len(passed)} backups are proven instead of 2")
    stage.proves("the sound ones were restored into throwaways: every row and file is there")


def restore(stage: Stage, made: Project) -> None:
    stage.step("Restore, and compare without killick", "Counts and MD5 sums by SQL in both databases, and diff.")
    stage.run(f"killick restore --source db --into {_url(made, 'shop_copy')}", says=["✓"])
    stage.run(
        f"for d in shop shop_copy; do psql -Xqf {QUERY} $d >$d.txt; done\n"
        "diff shop.txt shop_copy.txt && echo no difference",
        says=["no difference"],
    )
    compared = stage.run("cat shop_copy.txt", says=["order_lines", "large objects"])
    stage.run(f"killick restore --source uploads --into file://{made.folder}/uploads_copy", says=["✓"])
    stage.run("diff --recursive --no-dereference uploads uploads_copy && echo no difference", says=["no difference"])
    stage.expect(len(compared.splitlines()) > 18, "fewer tables and sequences were compared than the shop has")
    stage.proves("a restored copy is equal to the original, by SQL and by diff")


def no_secret_was_shown(stage: Stage, made: Project) -> None:
    shown = "".join(stage.transcript)
    secrets = {"database's password": made.postgres.password, "secret key": made.s3.secret_key}
    for name, secret in secrets.items():
        stage.expect(secret not in shown, f"the {name} was shown")
    stage.proves("none of the output above holds a secret")


def listed(stage: Stage) -> list[dict[str, Any]]:
    """What `killick list` tells programs."""
    asked = ["killick", "list", "--json"]
    done = subprocess.run(asked, env=stage.environment, cwd=stage.folder, capture_output=True, check=True)
    return list(json.loads(done.stdout))


def _flip(made: Project, key: str) -> str:
    """Turns one bit over in the middle of an object; says which."""
    client = made.s3.client()
    data = bytearray(client.get_object(Bucket="backups", Key=key)["Body"].read())
    at = len(data) // 2
    before, data[at] = data[at], data[at] ^ 1
    client.put_object(Bucket="backups", Key=key, Body=bytes(data))
    return f"  s3://backups/{key}: byte {at:,} of {len(data):,} was {before:#04x} and is {data[at]:#04x}"


def _url(made: Project, database: str) -> str:
    return made.environment["DATABASE_URL"].removesuffix("shop") + database


def _keep(made: Project) -> None:
    port = made.environment["METRICS_PORT"]
    sidecar = ["setpriv", "--pdeathsig=TERM", "killick", "run"]
    with (
        (made.folder / "sidecar.log").open("w") as log,
        subprocess.Popen(sidecar, env=made.environment, cwd=made.folder, stdout=log, stderr=log),
    ):
        print(
            f"""
Everything is up until Ctrl-C, and the sidecar (`killick run`) beside it. In another terminal:
  . {made.env_file}          all settings, for killick, psql and boto3
  killick list; psql shop; psql shop_copy; ls {made.folder}
  http://127.0.0.1:{port}/metrics   http://127.0.0.1:{port}/readyz   its log: {made.folder}/sidecar.log
  S3: {made.s3.endpoint}, bucket backups; its keys are in {made.folder}/secrets""",
            flush=True,
        )
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
