"""What `script/bench` measures of throwaways: how soon they are up, and what a container costs."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from script.lib.bench_restore import Copies
from script.lib.usage import Failed

MEMORY = "8g"  # a container holds its data in it
TIMES = 3  # what was just written to the disk delays a start by a second and more


@dataclass(frozen=True)
class Throwaways:
    """Seconds until each kind is up, and of a whole verification in a container; None where there is no Docker."""

    process: float
    container: float | None = None
    contained: float | None = None


def measure(copies: Copies) -> Throwaways:
    """Of the newest backup, to level 4; medians."""

    def took(where: str) -> list[dict[str, float]]:
        argv = ("verify", "--level", "4", "--in", where)
        return [copies.told(*argv, VERIFY_MEMORY=MEMORY)["seconds"] for _ in range(TIMES)]

    process = median(each["start"] for each in took("process"))
    try:
        contained = took("container")
    except Failed:
        return Throwaways(process)
    return Throwaways(
        process, median(each["start"] for each in contained), median(sum(each.values()) for each in contained)
    )
