"""How long each phase took, and its stretch of the bar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verify.report import RESTORING

_MEANING = {
    "wait": "while the source was backed up",
    "download": "from the store",
    "check": "size and SHA-256",
    "decrypt": "age",
    "decode": "decompressed, unpacked",
    "inspect": "read through",
    "start": "the throwaway, empty",
    "restore": "into the throwaway",
    "compare": "with the manifest",
    "amcheck": "tables and indexes, for damage",
    "validate": "collections, for damage",
    "history": "with the verified backup before",
    "checks": "the project's own",
}
_LEAST = 0.4  # per cent: what took next to nothing is still seen


@dataclass(frozen=True)
class Stretch:
    """`start` and `width` in per cent of the whole. `counts`: it is part of what a restore takes."""

    phase: str
    meaning: str
    seconds: str
    start: float
    width: float
    counts: bool


def stretches(seconds: Mapping[str, float]) -> list[Stretch]:
    """One after the other, as they were."""
    whole = sum(seconds.values()) or 1.0
    found, before = [], 0.0
    for phase, took in seconds.items():
        width = max(_LEAST, 100 * took / whole)
        start = min(100 * before / whole, 100 - width)
        counts = phase in RESTORING
        found.append(Stretch(phase, _MEANING.get(phase, ""), lasting(took), round(start, 2), round(width, 2), counts))
        before += took
    return found


def lasting(seconds: float) -> str:
    """12.3 s, 5 min 3 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
