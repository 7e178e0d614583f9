"""`script/bench`: runs the cases in alternation, takes medians, writes docs/performance.md."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from script.lib import bench_memory, bench_report, bench_restore, bench_verify
from script.lib.bench_cases import DUMP, VARIANTS, Bench, rounds
from script.lib.bench_report import Findings, Variant
from script.lib.bench_restore import Copies
from script.lib.project import MAJOR, ROOT, Project, folder, project
from script.lib.usage import MB, Failed, Usage, typical
from tests.lab import Missing, packages

CATALOGUE = """
CREATE TABLE catalogue AS
    SELECT row_number() OVER () AS id, path, section, package,
        timestamptz '2025-01-01 00:00Z' + (hashtext(package) & 33554431) * interval '1 second' AS built,
        md5(path || package) AS md5
    FROM files;
DROP TABLE files;
ALTER TABLE catalogue RENAME TO files;
ALTER TABLE files ADD PRIMARY KEY (id);
CREATE INDEX ON files (package);
ANALYZE;
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench", description="Measures killick, writes docs/performance.md.")
    parser.add_argument("--rounds", type=int, default=3, help="of each case, in alternation; the median counts")
    parser.add_argument("--rows", type=int, default=2_200_000, help="of Debian's file list; 2.2 million are 330 MB")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs/performance.md")
    options = parser.parse_args()
    try:
        with folder() as place, project(place) as made:
            findings = measure(made, place, options.rows, options.rounds)
    except (Missing, Failed) as error:
        print(f"script/bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running, and nothing was written.")
        return 130
    options.output.write_text(bench_report.page(findings, options.output.with_suffix(".svg").name))
    options.output.with_suffix(".svg").write_text(bench_report.drawing(findings))
    print(f"Written: {options.output}")
    return 0


def measure(made: Project, place: Path, rows: int, count: int) -> Findings:
    say(f"Loading {rows:,} rows of Debian's package indexes into Postgres {MAJOR} …")
    loaded = load(made, rows)
    bench = Bench(made, place)
    found: dict[str, list[Usage]] = defaultdict(list)
    evidence = []
    copies = Copies(bench)
    for number in range(1, count + 1):
        for name, case in {**rounds(bench), "refresh": copies.refresh, "refresh again": copies.again}.items():
            found[name].append(case())
            say(f"round {number} of {count}: {name:<12} {found[name][-1].seconds:7.2f} s")
            if name == "backup off":
                evidence.append(bench_memory.phases(bench)["dump"])
    variants = {file: compare(bench, file) for file in (DUMP, bench.paths())}
    older = bench.older_scripts()
    say(f"the older scripts' pipeline      {older.seconds:7.2f} s")
    restores = bench_restore.measure(copies)
    say(f"swaps under {bench_restore.CLIENTS} clients        {restores.window:7.0f} ms without a connection")
    throwaways = bench_verify.measure(copies)
    bench.sizes["archive"] = archive_size(made)
    growth = []
    for part in (rows // 100, rows // 10, rows):
        took, phases = bench_memory.at_size(bench, part)
        growth.append((part, took, phases))
        say(f"backup of {part:>9,} rows        {took.seconds:7.2f} s, Python {took.peak('python'):.0f} MB")
    idle = bench_memory.idle(bench)
    try:
        confined = bench_memory.confined(bench)
    except Failed as error:
        confined = f"FAILED: {error}"
    return Findings(
        rows=loaded,
        rounds=count,
        usage={name: typical(several) for name, several in found.items()},
        dump_phase=median(evidence),
        sizes=bench.sizes,
        variants=variants,
        older=older,
        restores=restores,
        throwaways=throwaways,
        growth=growth,
        idle=idle,
        confined=confined,
        load=os.getloadavg()[2],
        day=time.strftime("%Y-%m-%d"),
    )


def load(made: Project, rows: int) -> int:
    """Debian's packages, and its list of files with what a catalogue has beside paths; how many rows.

    Paths alone repeat each other so much (15:1) that they say little about other data.
    """
    connection = made.postgres.connect("shop")
    loaded = sum(packages.load(connection, rows).values())
    with connection.cursor() as cursor:
        cursor.execute(CATALOGUE)
    connection.close()
    return loaded


def compare(bench: Bench, file: str) -> dict[str, Variant]:
    """The variants of lrzip on one file."""
    found = {}
    for name, flags in VARIANTS.items():
        encoding = bench.variant(name, flags, file)
        found[name] = Variant(encoding, bench.sizes[name], bench.decode_variant())
        say(f"{file}: {name:<30} {encoding.seconds:7.2f} s, {bench.sizes[name] / MB:.1f} MB")
    return found


def archive_size(made: Project) -> int:
    """Of the newest archive that killick stored with its default codec."""
    client = made.s3.client()
    listed = client.list_objects_v2(Bucket="backups", Prefix="shop/")["Contents"]
    return int(max((o for o in listed if o["Key"].endswith(".tar.lrz")), key=lambda o: o["Key"])["Size"])


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
