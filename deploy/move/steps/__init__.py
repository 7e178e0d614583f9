"""The steps of a move, in order. Each is a module of this package with a STEP in it (deploy/move/step.py)."""

from __future__ import annotations

from importlib import import_module

from deploy.move.step import Step

FREEZE, PREPARE, REHEARSE, PRE_SYNC, DECIDE = "freeze", "prepare", "rehearse", "pre_sync", "decide"
READ_ONLY, FENCE, FINAL, LAND, START, CUT = "read_only", "fence", "final", "land", "start", "cut"
SWITCH, NAMES, RETIRE, PURGE, JOBS, SOAK = "switch", "names", "retire", "purge", "jobs", "soak"

ORDER = (
    FREEZE, PREPARE, PRE_SYNC, DECIDE, READ_ONLY, FENCE, FINAL, LAND, START, CUT, SWITCH, NAMES, RETIRE, PURGE, JOBS,
    SOAK,
)  # fmt: skip
REHEARSAL = (PREPARE, PRE_SYNC, REHEARSE)
CLOCK = (READ_ONLY, SWITCH)
"""Writes are refused from the first of these until the second is done."""
STANDING = {
    FREEZE: SOAK, READ_ONLY: SWITCH, FENCE: RETIRE, FINAL: SWITCH, START: SWITCH, CUT: SWITCH, SWITCH: SOAK,
    NAMES: SOAK, RETIRE: SOAK,
}  # fmt: skip
"""What these reached has to hold until that other step is begun: a resumed move probes it again, and mends it. Of the
other steps that is not asked: the next ones build on them and change what they left."""
NO_RETURN = SWITCH
"""Once its writes were opened, the new server holds data that the old one lacks: from here on forward only."""


def step(name: str) -> Step:
    found: Step = import_module(f"deploy.move.steps.{name}").STEP
    return found


def called(name: str) -> str:
    """As the journal and people call it: pre-sync is the step of the module pre_sync."""
    return name.replace("_", "-")
