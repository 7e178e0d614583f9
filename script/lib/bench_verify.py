"""What `script/bench` measures of throwaways: how soon they are up, and what a container costs."""

from __future__ import annotations

from dataclasses import dataclass

from script.lib.bench_restore import Copies
from script.lib.usage import Failed

MEMORY = "8g"  # a container holds its data in it


@dataclass(frozen=True)
class Throwaways:
    """Seconds until each kind is up, and of a whole verification in a container; None where there is no Docker."""

    process: float
    container: float | None = None
    contained: float | None = None


def measure(copies: Copies) -> Throwaways:
    """Of the newest backup, to level 4."""

    def took(where: str) -> dict[str, float]:
        seconds: dict[str, float] = copies.told("verify", "--level", "4", "--in", where, VERIFY_MEMORY=MEMORY)[
            "seconds"
        ]
        return seconds

    process = took("process")["start"]
    try:
        contained = took("container")
    except Failed:
        return Throwaways(process)
    return Throwaways(process, contained["start"], sum(contained.values()))
