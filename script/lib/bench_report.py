"""The page that `script/bench` writes, and its drawing."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from script.lib.bench_restore import CLIENTS, MASKED, SWAPS, Restores
from script.lib.bench_verify import Throwaways
from script.lib.project import MAJOR
from script.lib.usage import MB, Usage

NAMES = {
    "dump": "`pg_dump`, directory format, uncompressed",
    "tar": "`tar -c` of it",
    "codec": "`lrzip` of that, as killick calls it",
    "decode": "`lrzip -d` of that, into a file",
    "decode through": "the same to stdout, as killick calls it",
    "untar": "`tar -x`",
    "pg_restore": "`pg_restore` into an empty database",
    "backup off": "`killick backup`, `READ_BACK=off`",
    "backup on": "`killick backup`",
    "pipe": "`pg_dump \\| zstd -3 -T0`",
    "backup zstd": "`killick backup`, `CODEC=zstd READ_BACK=off`",
    "restore": "`killick restore` into a new database",
    "restore zstd": "the same, of a backup with `CODEC=zstd`",
    "refresh": "`killick restore` over a copy that is in use",
    "refresh again": "the same again: the archive is in the cache",
    "verify": "`killick verify --level 4`",
    "help": "`killick --help`",
}
"""The cases in the order of the table."""


@dataclass(frozen=True)
class Variant:
    encoding: Usage
    bytes: int
    decoding: Usage


@dataclass(frozen=True)
class Findings:
    """Medians. `dump_phase` in seconds; `variants` by file and flags; `growth`: rows, backup, its phases."""

    rows: int
    rounds: int
    usage: dict[str, Usage]
    dump_phase: float
    sizes: dict[str, int]
    variants: dict[str, dict[str, Variant]]
    older: Usage
    restores: Restores
    throwaways: Throwaways
    growth: list[tuple[int, Usage, dict[str, float]]]
    idle: int
    confined: str
    load: float
    day: str

    def seconds(self, *names: str) -> float:
        return sum(self.usage[name].seconds for name in names)

    def cpu(self, *names: str) -> float:
        return sum(self.usage[name].cpu for name in names)


@dataclass(frozen=True)
class Target:
    """`met` is None where nothing was promised, or it could not be measured."""

    what: str
    wanted: str
    got: str
    met: bool | None


def targets(f: Findings) -> Iterator[Target]:
    def at_most(what: str, limit: float, got: float, unit: str = " ×") -> Target:
        return Target(what, f"≤ {limit:g}{unit}", f"{got:.2f}{unit}", got <= limit)

    def ratio(what: str, limit: float, case: str, *parts: str) -> Target:
        """By the clock counts; processor seconds are told beside, since a busy machine disturbs them less."""
        got = f.seconds(case) / f.seconds(*parts)
        told = f"{got:.2f} × (processor seconds: {f.cpu(case) / f.cpu(*parts):.2f} ×)"
        return Target(what, f"≤ {limit:g} ×" if limit else "told", told, got <= limit if limit else None)

    made, tools = ("dump", "tar", "codec"), ("decode", "untar", "pg_restore")
    yield ratio("backup, `READ_BACK=off`, to dump + tar + codec", 1.10, "backup off", *made)
    yield ratio("backup, to the same + decoding", 1.10, "backup on", *made, "decode")
    evidence = (f.dump_phase - f.seconds("dump")) / f.seconds("backup off") * 100
    yield at_most("evidence: what the dump takes more than `pg_dump`, of the whole backup", 10, evidence, " %")
    faster = f.older.seconds / f.seconds("backup on")
    yield Target("the older scripts' pipeline, to a backup", "≥ 5 ×", f"{faster:.1f} ×", faster >= 5)
    yield at_most("the archive's size, to theirs", 1.02, f.sizes["archive"] / f.sizes["older"])
    yield ratio("backup with zstd, to `pg_dump \\| zstd`", 2.0, "backup zstd", "pipe")
    yield ratio("restore, to `lrzip -d` + `tar -x` + `pg_restore`", 1.15, "restore", *tools)
    yield ratio("restore over a copy that is in use, to the same", 1.15, "refresh", *tools)
    yield ratio("a second one, without a download, to the first", 0, "refresh again", "refresh")
    r = f.restores
    faster = r.older.seconds / f.seconds("restore")
    yield Target("the older scripts' restore (`lrzip -d`, `psql`), to ours", "≥ 2 ×", f"{faster:.1f} ×", faster >= 2)
    faster = r.older.seconds / f.seconds("restore zstd")
    yield Target("the same, to ours of a backup with zstd", "≥ 2 ×", f"{faster:.1f} ×", faster >= 2)
    what = f"no connection possible in a swap, {CLIENTS} clients, median of {SWAPS}"
    yield Target(what, "≤ 200 ms", f"{r.window:.0f} ms (longest {max(r.windows):.0f} ms)", r.window <= 200)
    yield at_most("undo", 1, r.undo, " s")
    yield at_most(f"reset of a database of {r.small / MB:.0f} MB", 2, r.reset, " s")
    told = f"{r.masked:,.0f} rows/s"
    yield Target(f"masking, {MASKED} columns of each row", "≥ 50,000 rows/s", told, r.masked >= 50_000)
    yield ratio("verify to level 4, to the same as a restore", 1.25, "verify", *tools)
    t = f.throwaways
    yield at_most("a throwaway process is up", 2, t.process, " s")
    if t.container is not None and t.contained is not None:
        yield at_most("a throwaway container is up", 3, t.container, " s")
        yield at_most("verify to level 4 in a container, to the same", 1.25, t.contained / f.seconds(*tools))
    peak = max(took.peak("python") for _, took, _ in f.growth)
    yield at_most("peak memory of killick's own processes, each", 130, peak, " MB")
    yield at_most("memory of the idle loop", 40, f.idle / MB, " MB")
    yield at_most("`killick --help`", 0.4, f.seconds("help"), " s")
    where = f.confined or "not measured: neither Docker nor root here"
    yield Target("a backup in 256 MB, no swap", "succeeds", where, "FAILED" not in where if f.confined else None)


def page(f: Findings, drawing: str) -> str:
    return "\n".join([*_head(f), *_targets(f), *_cases(f), *_variants(f), *_growth(f, drawing)]) + "\n"


def _head(f: Findings) -> Iterator[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    yield "# Performance"
    yield ""
    yield "<!-- Written by script/bench, which measures all of this anew. -->"
    yield ""
    yield (
        f"Debian's package indexes as two tables, each file with a number, a time and an MD5 beside its path: "
        f"{f.rows:,} rows, a dump of {f.sizes['raw'] / MB:.0f} MB. Postgres "
        f"{MAJOR}, an S3 server and killick on one machine: {len(os.sched_getaffinity(0))} processors, "
        f"{memory:.0f} GB, {_processor()}, Linux {platform.release()}. Whole processes; the median of {f.rounds} rounds"
        f" in alternation. {f.day}; the machine's load over the last quarter of an hour was {f.load:.1f}."
    )
    yield ""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _targets(f: Findings) -> Iterator[str]:
    marks = {True: "✓", False: "✗", None: ""}
    yield from ("## What was wanted, and what it is", "", "| | wanted | measured | |", "|---|---|---|---|")
    for t in targets(f):
        yield f"| {t.what} | {t.wanted} | {t.got} | {marks[t.met]} |"
    yield ""


def _cases(f: Findings) -> Iterator[str]:
    yield from ("## Seconds", "", "| | seconds | processor s |", "|---|---|---|")
    for name, told in NAMES.items():
        yield _row(told, f.usage[name])
    yield _row("the older scripts: `pg_dump`, `docker cp` (here `cp`), `lrzip` as it comes", f.older)
    yield _row("the older scripts' restore: `lrzip -d`, `createdb`, `psql`", f.restores.older)
    yield ""
    yield "Processor seconds are those of the programs named, not the database server's."
    yield ""


def _row(told: str, usage: Usage) -> str:
    return f"| {told} | {usage.seconds:.2f} | {usage.cpu:.2f} |"


def _variants(f: Findings) -> Iterator[str]:
    yield from ("## Which lrzip", "", "One run each. Peak memory holds pages of mapped files too, which are given back")
    yield from ("when memory is short.", "")
    yield "| | seconds (processor) | MB | peak MB | decoding s (processor) | paths alone: seconds | MB |"
    yield "|---|---|---|---|---|---|---|"
    whole, paths = f.variants.values()
    for name, of in whole.items():
        there, back = (f"{took.seconds:.1f} ({took.cpu:.1f})" for took in (of.encoding, of.decoding))
        other = paths[name]
        yield (
            f"| `{name}` | {there} | {of.bytes / MB:.2f} | {of.encoding.peak('lrzip'):.0f} | {back} | "
            f"{other.encoding.seconds:.1f} | {other.bytes / MB:.2f} |"
        )
    yield f"| `pg_dump \\| zstd -3 -T0` | {f.seconds('pipe'):.1f} | {f.sizes['pipe'] / MB:.2f} | | | | |"
    yield ""


def _growth(f: Findings, drawing: str) -> Iterator[str]:
    yield from ("## Ten times, a hundred times the rows", "", f"![Seconds and memory over rows]({drawing})", "")
    yield from ("| rows | seconds | of them dump, compress, store | Python MB | lrzip MB |", "|---|---|---|---|---|")
    for rows, took, phases in f.growth:
        each = ", ".join(f"{phases.get(name, 0):.1f}" for name in ("dump", "compress", "store"))
        peaks = [took.peak(name) for name in ("python", "lrzip")]
        yield f"| {rows:,} | {took.seconds:.1f} | {each} | {peaks[0]:.0f} | {peaks[1]:.0f} |"


def drawing(f: Findings) -> str:
    """Seconds and the memory of killick's own processes over rows, both axes logarithmic."""
    width, height, left, right, top, bottom = 640, 320, 60, 150, 20, 44
    series = {
        "seconds": [(rows, took.seconds) for rows, took, _ in f.growth],
        "Python, MB": [(rows, took.peak("python")) for rows, took, _ in f.growth],
        "lrzip, MB": [(rows, took.peak("lrzip")) for rows, took, _ in f.growth],
    }
    low, high = math.log10(f.growth[0][0]), math.log10(f.growth[-1][0])

    def x(rows: float) -> float:
        return left + (width - left - right) * (math.log10(rows) - low) / (high - low)

    def y(value: float) -> float:
        return height - bottom - (height - top - bottom) * math.log10(max(value, 1)) / 3

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" ']
    lines[0] += 'font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
    for power in range(4):
        at = y(10**power)
        lines.append(f'<path d="M{left} {at:.1f}H{width - right}" stroke="#ddd"/>')
        lines.append(f'<text x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{10**power:,}</text>')
    for rows, _, _ in f.growth:
        lines.append(f'<text x="{x(rows):.1f}" y="{height - bottom + 20}" text-anchor="middle">{rows:,}</text>')
    lines.append(f'<text x="{(left + width - right) / 2:.1f}" y="{height - 6}" text-anchor="middle">rows</text>')
    for (name, points), colour in zip(series.items(), ("#1f6f8b", "#c8553d", "#8a8a8a"), strict=True):
        path = "L".join(f"{x(rows):.1f} {y(value):.1f}" for rows, value in points)
        lines.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        lines += [f'<circle cx="{x(r):.1f}" cy="{y(v):.1f}" r="3" fill="{colour}"/>' for r, v in points]
        end = y(points[-1][1]) + 4
        lines.append(f'<text x="{width - right + 10}" y="{end:.1f}" fill="{colour}">{name}: {points[-1][1]:.0f}</text>')
    return "\n".join([*lines, "</svg>", ""])
