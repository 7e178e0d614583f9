"""What is known so far of one backup."""

from __future__ import annotations

from dataclasses import dataclass, field

from killick.compare import Mismatch
from killick.manifest import Manifest
from killick.throwaway import Copy


@dataclass
class Found:
    """The report is made of it, whatever happens. `reached`: the highest level that holds, -1 before level 0."""

    reached: int = -1
    manifest: Manifest | None = None
    copy: Copy | None = None
    empty: str = ""
    tables: int = 0
    rows: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
