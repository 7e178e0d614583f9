"""How far a verification can go."""

from __future__ import annotations

from killick.engines import Askable, Engine, Examinable


def highest(engine: Engine) -> int:
    """Level 5 is for what can be asked or looked through: of folders there is nothing above 4."""
    return 5 if isinstance(engine, Askable | Examinable) else 4
