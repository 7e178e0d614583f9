"""How far a verification can go."""

from __future__ import annotations

from killick.engines import Askable, Engine, Examinable


def highest(engine: Engine, *, command: bool) -> int:
    """Level 5 is for what can be asked or looked through: of folders there is nothing above 4. Level 6: a command."""
    if not isinstance(engine, Askable | Examinable):
        return 4
    return 6 if command else 5
