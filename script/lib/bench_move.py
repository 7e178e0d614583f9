"""`script/bench move`: how long writes are refused, beside what a move cannot do without, in the lab of two servers.

Alone are measured, one after the other, on the same data: `pg_dump -j2` in the old database's container, tar of that
over ssh from server to server, `pg_restore -j2` in the new one's, and the app's start. All servers share one machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.lab import Missing, docker
from tests.lab.two import Lab

WANTED = 1.3
ROWS = """
CREATE TABLE article AS
  SELECT n AS id, md5(n::text) AS digest, now() - n * interval '1 minute' AS at, (n % 977)::int AS author,
    'Article ' || n || ' of ' || md5((n / 7)::text) || ', ' || repeat(md5((n / 3)::text) || ' ', 2) AS body
  FROM generate_series(1, {rows}) n;
ALTER TABLE article ADD PRIMARY KEY (id);
CREATE INDEX ON article (author);
CREATE INDEX ON article (digest);
ANALYZE
"""
FILES = "for n in $(seq 200); do head -c 524288 /dev/urandom >/uploads/$n.jpg; done"
DUMP = "rm -rf /tmp/alone; pg_dump -U shop -Fd -Z0 -j2 --no-sync -f /tmp/alone shop"
RESTORE = "pg_restore -U shop -d shop -j2 /tmp/alone"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="script/bench move", description="Measures the downtime of a move.")
    parser.add_argument("--report", type=Path, help="where the move's own report is written to")
    parser.add_argument("--rows", type=int, default=1_400_000, help="of the table that is moved")
    options = parser.parse_args(argv)
    try:
        with Lab() as lab:
            measure(lab, options.rows, options.report)
    except Missing as error:
        print(f"script/bench: {error}", file=sys.stderr)
        return 1
    return 0


def measure(lab: Lab, rows: int, place: Path | None) -> None:
    lab.fresh()
    lab.sql("old", ROWS.format(rows=rows))
    lab.compose("old", f"exec -T app sh -c '{FILES}'")
    size = int(lab.sql("old", "SELECT pg_database_size('shop')"))
    print(f"{rows:,} rows, a database of {size / 1e6:.0f} MB, 105 MB of uploads", flush=True)
    alone = parts(lab)
    for name, seconds in alone.items():
        print(f"{name:<28}{seconds:7.1f} s", flush=True)
    lab.compose("new", "down --volumes")
    report, text = moved(lab)
    if place:
        place.write_text(text)
    window = report["windows"]["write_unavailable"]["seconds"]
    for step in report["steps"]:
        print(f"  {step['name']:<26}{step['seconds']:7.1f} s")
    whole = sum(alone.values())
    print(f"the four alone              {whole:7.1f} s\nwrites unavailable          {window:7.1f} s")
    print(f"ratio {window / whole:.2f} x, wanted at most {WANTED} x; predicted {report['predicted']} s")


def parts(lab: Lab) -> dict[str, float]:
    """Seconds of each, alone."""
    lab.compose("new", "up --detach --wait db")
    found = {"dump": timed(lambda: lab.compose("old", f"exec -T db sh -ec '{DUMP}'"))}
    copy = "ssh old docker exec shop-db-1 tar -C /tmp -cf - alone | ssh new docker exec -i shop-db-1 tar -C /tmp -xf -"
    environment = {**os.environ, **lab.environment()}
    found["copy"] = timed(lambda: subprocess.run(["sh", "-ec", copy], check=True, env=environment))
    found["restore"] = timed(lambda: lab.compose("new", f"exec -T db sh -ec '{RESTORE}'"))
    found["start of the app"] = timed(lambda: lab.compose("new", "up --detach --wait app"))
    lab.compose("old", "exec -T db rm -rf /tmp/alone")
    return found


def moved(lab: Lab) -> tuple[dict[str, Any], str]:
    """The report of a whole move, rehearsed before; as a document, and as people read it."""
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "shop.toml"
        spec.write_bytes((docker.ROOT / "tests/lab/two/shop.toml").read_bytes())
        environment = {**os.environ, **lab.environment(), "XDG_STATE_HOME": folder}

        def killick(*words: str) -> str:
            argv = lab.words(sys.executable, "-m", "killick", "move", *words)
            done = subprocess.run(argv, env=environment, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"killick move {words[0]}: {done.returncode}\n{done.stderr[-3000:]}")
            return done.stdout

        killick("rehearse", "shop.toml")
        killick("run", "shop.toml", "--yes", "shop")
        return json.loads(killick("report", "shop", "--json")), killick("report", "shop")


def timed(do: Callable[[], object]) -> float:
    began = time.monotonic()
    do()
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
