"""What `script/bench` measures of restores into a database that is in use."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

import psycopg2

from script.lib.bench_cases import KILLICK, Bench
from script.lib.usage import Usage, use
from tests.lab.server import HOST

COPY, SMALL = "dev", "hundred"
CLIENTS, SWAPS = 20, 10
SMALL_ROWS = 480_000  # of files: 100 MB as tables with their indexes
MASK = "files.path: hash, files.package: name, files.md5: hash"
MASKED = 3


@dataclass(frozen=True)
class Restores:
    """Seconds, but for `masked` (rows a second), `small` (bytes of the database that is reset) and `windows` (ms)."""

    windows: list[float]
    undo: float
    reset: float
    small: int
    masked: float
    older: Usage

    @property
    def window(self) -> float:
        return median(self.windows)


@dataclass
class Copies:
    """A copy of the bench's database beside it, which is refreshed again and again."""

    bench: Bench
    made: bool = field(default=False)

    @property
    def url(self) -> str:
        return self.of(COPY)

    def of(self, database: str) -> str:
        return self.bench.project.environment["DATABASE_URL"].removesuffix("shop") + database

    def refresh(self) -> Usage:
        """As the first on this machine: nothing is in the cache."""
        self.ready()
        shutil.rmtree(self.bench.folder / ".cache", ignore_errors=True)
        return self.again()

    def again(self) -> Usage:
        return self.bench.killick("restore", "--into", self.url, "--yes")

    def ready(self) -> None:
        if not self.made:
            self.bench.killick("restore", "--into", self.url)
            self.made = True

    def told(self, *argv: str, **settings: str) -> dict[str, Any]:
        """The document that a verb gives."""
        with (self.bench.folder / "document").open("w+b") as file:
            use([KILLICK, *argv, "--json"], env={**self.bench.env, **settings}, cwd=self.bench.folder, stdout=file)
            file.seek(0)
            found: dict[str, Any] = json.load(file)
            return found


def measure(copies: Copies) -> Restores:
    """Directly after `Bench.older_scripts`, whose archive is restored here as the older scripts did."""
    older = _older(copies.bench)
    copies.ready()
    undone = [copies.told("restore", "--undo", "--into", copies.url)["seconds"]["undo"] for _ in range(SWAPS)]
    plain = copies.told("restore", "--into", copies.url, "--yes")
    masked = copies.told("restore", "--into", copies.url, "--yes", MASK=MASK, MASK_KEY="bench")
    rows = int(copies.bench.project.postgres.execute("SELECT count(*) FROM files", COPY)[0][0])
    took = masked["seconds"]["restore"] - plain["seconds"]["restore"]
    return Restores(_windows(copies), median(undone), *_reset(copies), rows / max(took, 0.001), older)


def _older(bench: Bench) -> Usage:
    """lrzip -d, a new database, psql."""
    bench.run("createdb", "-T", "template0", "older")
    took = bench.shell("lrzip -q -f -d -o site.sql variant.lrz && psql -qXd older -f site.sql >psql.log")
    bench.run("dropdb", "older")
    bench.forget("site.sql")
    return took


def _reset(copies: Copies) -> tuple[float, int]:
    """Seconds of a reset, and how large the database is."""
    server = copies.bench.project.postgres
    copies.bench.part(SMALL, SMALL_ROWS)
    size = int(server.execute("SELECT pg_database_size(current_database())", SMALL)[0][0])
    copies.told("snapshot", "--into", copies.of(SMALL))
    took = [copies.told("reset", "--into", copies.of(SMALL))["seconds"]["reset"] for _ in range(3)]
    return median(took), size


def _windows(copies: Copies) -> list[float]:
    """For each of some swaps the milliseconds in which none of the clients, who never rest, was let in."""
    found = []
    with _clients(copies) as answered:
        for _ in range(SWAPS):
            time.sleep(0.5)
            start = time.monotonic()
            copies.told("restore", "--undo", "--into", copies.url)
            time.sleep(0.5)
            seen = sorted(at for at in list(answered) if start - 0.5 < at)
            found.append(1000 * max(b - a for a, b in pairwise(seen)))
    return found


@contextmanager
def _clients(copies: Copies) -> Iterator[list[float]]:
    """Clients that connect, ask, and connect again; the moments of their answers."""
    server = copies.bench.project.postgres
    answered: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                connection = psycopg2.connect(
                    host=HOST, port=server.port, user=server.user, password=server.password, dbname=COPY
                )
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1 FROM files LIMIT 1")
                answered.append(time.monotonic())
                connection.close()
            except psycopg2.Error:
                time.sleep(0.002)
            time.sleep(0.01)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        done.set()
        for thread in threads:
            thread.join()
