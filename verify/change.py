"""Whether a verification's result is news: people are told once, whatever the nights after it are like. Pure."""

from __future__ import annotations

from killick.catalog import Backup, Catalog
from killick.proof import before, enough, standing
from verify.report import PASSED, Report


def change(catalog: Catalog, backup: Backup, report: Report, level: int) -> tuple[bool, bool]:
    """(first, recovered) of events.VerifyFinished. `catalog` is as it was before; `level` is VERIFY_LEVEL."""
    last = before(catalog, backup, level)
    proves = report.result == PASSED and report.level >= enough(backup, level)
    troubled = (last is not None and last.result != PASSED) or standing(catalog, backup.source, level).alarmed
    return last is None or last.result != report.result, proves and troubled
