"""Each level with its result and its seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from verify.html.took import lasting
from verify.report import LEVELS, PASSED, UNVERIFIABLE, Report

_PHASES = {
    0: ("download", "check"),
    1: ("decrypt", "decode", "inspect"),
    2: ("start", "restore"),
    3: ("compare",),
    5: ("amcheck", "validate", "history", "checks"),
    6: ("command",),
}
_TOGETHER = {4: 3}  # one comparison tells both
HELD, FAILED, UNTRIED, UNASKED = "held", "failed", "not reached", "not asked for"


@dataclass(frozen=True)
class Step:
    """One level. `seconds` is "" where none were spent on it."""

    level: int
    proves: str
    state: str
    seconds: str


def steps(report: Report) -> list[Step]:
    return [Step(n, report.proves(n), _state(report, n), _seconds(report.seconds, n)) for n in range(len(LEVELS))]


def _state(report: Report, level: int) -> str:
    if level == report.failed_level or any(mismatch.level == level for mismatch in report.mismatches):
        return FAILED
    if level > report.wanted:
        return UNASKED
    if report.result == PASSED or level < report.level:
        return HELD
    reached = report.level if report.failed_level is None else report.failed_level - 1
    if report.result == UNVERIFIABLE and reached == 0 and not report.seconds.keys() & set(_PHASES[1]):
        return UNTRIED  # level 0 also stands for none at all
    return HELD if level <= reached else UNTRIED


def _seconds(seconds: Mapping[str, float], level: int) -> str:
    if level in _TOGETHER and _seconds(seconds, _TOGETHER[level]):
        return f"with level {_TOGETHER[level]}"
    took = [seconds[phase] for phase in _PHASES.get(level, ()) if phase in seconds]
    return lasting(sum(took)) if took else ""
