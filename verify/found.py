"""What is known so far of one backup."""

from __future__ import annotations

from dataclasses import dataclass, field

from killick.compare import Mismatch
from killick.manifest import Manifest
from killick.throwaway import Copy, Ended
from verify.outcome import Outcome


@dataclass
class Found:
    """The report is made of it, whatever happens. `reached`: the highest level that holds, -1 before level 0.

    `wanted` is the highest that is tried: what was asked for, or what there is of it. `examined` are sentences about
    what was found sound beside the comparison; `told` is what is said of `mismatches` where they are more than that.
    """

    reached: int = -1
    wanted: int = 0
    manifest: Manifest | None = None
    copy: Copy | None = None
    command: Ended | None = None
    empty: str = ""
    tables: int = 0
    rows: int = 0
    examined: list[str] = field(default_factory=list)
    told: Outcome | None = None
    mismatches: list[Mismatch] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
