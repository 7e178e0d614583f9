"""How verifications are done: what the settings say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from killick.throwaway import Terms
from verify.report import LEVELS

HIGHEST = len(LEVELS) - 1


@dataclass(frozen=True)
class Options:
    """The same for every backup of a run. `timeout` in seconds, 0: none."""

    scratch: Path
    level: int = HIGHEST
    where: str = "auto"
    identity: str = field(default="", repr=False)
    jobs: int = 2
    timeout: float = 0.0
    terms: Terms = field(default_factory=Terms)
