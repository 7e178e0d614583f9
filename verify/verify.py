"""One backup, from the store into a throwaway, and what was found."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from killick import records
from killick.catalog import Backup
from killick.errors import KillickError
from killick.programs import numbers
from killick.stores import Store
from killick.watch import Phases
from verify import foreign
from verify.climb import BEFORE, climb
from verify.deadline import Deadline
from verify.found import Found
from verify.meanwhile import Say, undisturbing
from verify.options import HIGHEST, Options
from verify.outcome import Outcome, outcome
from verify.report import FAILED, PASSED, Report, counted


def verify(
    store: Store, backup: Backup, options: Options, phases: Phases | None = None, say: Say = lambda _: None
) -> Report:
    """Never raises because of the backup or of what is lacking here; Stopped goes through.

    Waits while the source is worked on, and `say`s for whom.
    """
    phases = phases or Phases()
    level = min(options.level, foreign.HIGHEST if backup.older else HIGHEST)
    found = Found(wanted=level)
    told: Outcome | None = None
    deadline = Deadline(0)
    try:
        undisturbing(store, backup, options.timeout, phases, say)
        deadline = Deadline(options.timeout)
        with deadline.running():
            way = foreign.climb if backup.older else climb
            way(store, backup, options, level, found, phases, deadline)
    except Exception as error:  # whatever it is, it becomes a result
        told = outcome(deadline.error() if deadline.passed else error, older_server=_older(found))
    return _report(backup, found, phases, told, options.rto)


def without_manifest(backup: Backup, level: int) -> Report:
    """An archive of killick's whose manifest is lost, or whose upload never ended: it counts as failed."""
    found = Found(wanted=min(level, HIGHEST))
    told = Outcome(
        FAILED, "no-manifest", f"{backup.id} has no manifest: its upload did not finish, or the manifest was lost",
        "take another backup; the archive itself opens with stock tools (docs/archive.md)",
    )  # fmt: skip
    return _report(backup, found, Phases(), told)


def record(store: Store, report: Report, sign_with: str = "") -> Report:
    """Writes the evidence beside the backup. Whatever keeps it from that, the report says so: its result stands."""
    try:
        written = records.record(
            store, report.project, report.id, report.when, "verify", report.result, report.level, report.to_record(),
            sign_with,
        )  # fmt: skip
    except (KillickError, OSError) as error:  # OSError: of the file that it is put from
        return report.noting(f"this result is not recorded beside the backup: {error}")
    return replace(report, record=written)


def _report(backup: Backup, found: Found, phases: Phases, told: Outcome | None, rto: float = 0.0) -> Report:
    if told is None and found.mismatches:
        many = counted(len(found.mismatches), "difference")
        promised = "the dump holds" if backup.older else "the manifest promises"
        told = found.told or Outcome(FAILED, "mismatch", f"{many} between the copy and what {promised}", BEFORE)
    result = told.result if told else PASSED
    return Report(
        project=backup.project,
        id=backup.id,
        when=datetime.now(UTC),
        result=result,
        level=max(0, found.reached),
        wanted=found.wanted,
        failed_level=found.reached + 1 if result == FAILED else None,
        error=told.error if told else "",
        hint=told.hint if told else "",
        reason=told.reason if told else "",
        seconds=dict(phases.seconds),
        tables=found.tables,
        rows=found.rows,
        mismatches=tuple(found.mismatches),
        warnings=tuple(dict.fromkeys(found.warnings)),
        notes=tuple(found.notes),
        examined=tuple(found.examined),
        empty=found.empty,
        phase=phases.current if told else "",
        manifest=found.manifest,
        copy=found.copy,
        command=found.command,
        target=rto,
    )


def _older(found: Found) -> bool:
    if found.copy is None or found.manifest is None:
        return False
    return numbers(found.copy.version) < numbers(found.manifest.server_version)
