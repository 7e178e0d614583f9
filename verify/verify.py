"""One backup, from the store into a throwaway, level by level, and what was found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from killick import compare, records
from killick.bring import Opened, fetch, open_archive
from killick.catalog import Backup
from killick.compare import Mismatch
from killick.contents import Contents
from killick.engines import Engine, connect, inspect
from killick.errors import (
    Aborted,
    CommandFailed,
    Corrupt,
    DatabaseMissing,
    NotFound,
    RestoreError,
    StoreError,
    Unverifiable,
)
from killick.manifest import Manifest, comparable
from killick.programs import numbers
from killick.stores import Store
from killick.stream import Scratch
from killick.throwaway import Copy, Terms, throwaway
from killick.watch import Phases
from verify.deadline import Deadline
from verify.outcome import Outcome, outcome
from verify.report import FAILED, LEVELS, PASSED, Report, counted

_BEFORE = "restore the backup before it: killick list"
HIGHEST = len(LEVELS) - 1
_LOCALE = ("collate", "ctype", "provider", "locale")


@dataclass(frozen=True)
class Options:
    """How verifications are done: what the settings say, once for a run. `timeout` in seconds, 0: none."""

    scratch: Path
    level: int = HIGHEST
    where: str = "auto"
    identity: str = field(default="", repr=False)
    jobs: int = 2
    timeout: float = 0.0
    terms: Terms = field(default_factory=Terms)


@dataclass
class _Found:
    """What is known so far: the report is made of it, whatever happens. `reached`: -1 before level 0."""

    reached: int = -1
    manifest: Manifest | None = None
    copy: Copy | None = None
    empty: str = ""
    tables: int = 0
    rows: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify(store: Store, backup: Backup, options: Options, phases: Phases | None = None) -> Report:
    """Never raises because of the backup or of what is lacking here; Aborted goes through."""
    phases = phases or Phases()
    level = min(options.level, HIGHEST)
    found = _Found()
    deadline = Deadline(options.timeout)
    told: Outcome | None = None
    try:
        with deadline.running():
            _climb(store, backup, options, level, found, phases, deadline)
    except Aborted:
        raise
    except Exception as error:  # whatever it is, it becomes a result
        told = outcome(deadline.error() if deadline.passed else error, older_server=_older(found))
    return _report(backup, level, found, phases, told)


def without_manifest(backup: Backup, level: int) -> Report:
    """An archive of killick's whose manifest is lost, or whose upload never ended: it counts as failed."""
    found = _Found()
    told = Outcome(
        FAILED, "no-manifest", f"{backup.id} has no manifest: its upload did not finish, or the manifest was lost",
        "take another backup; the archive itself opens with stock tools (docs/archive.md)",
    )  # fmt: skip
    return _report(backup, min(level, HIGHEST), found, Phases(), told)


def record(store: Store, report: Report) -> Report:
    """Writes the evidence beside the backup. Where that is denied the report says so: its result stands."""
    try:
        records.record(
            store, report.project, report.id, report.when, "verify", report.result, report.level, report.to_record()
        )
    except StoreError as error:
        return report.noting(f"this result is not recorded beside the backup: {error}")
    return report


def _climb(
    store: Store, backup: Backup, options: Options, level: int, found: _Found, phases: Phases, deadline: Deadline
) -> None:
    if backup.older:
        raise Unverifiable(
            f"{backup.id} was not written by killick: there is no manifest to compare it with", reason="format"
        )
    manifest = found.manifest = records.manifest(store, backup)
    if not comparable(manifest):
        raise Unverifiable(
            f"{backup.id} was measured by another recipe ({dict(manifest.recipe)})",
            "verify it with the version of killick that made it, or a newer one", reason="recipe",
        )  # fmt: skip
    with Scratch(options.scratch).folder() as folder:
        path = _fetched(store, backup, manifest, folder, phases)
        found.reached = 0
        if level == 0:
            return
        opened = open_archive(path, manifest, folder, phases, options.identity)
        found.manifest = opened.manifest
        if level == 1:
            with phases.phase("inspect"):
                inspect(opened.manifest.engine, opened.folder)
        found.reached = 1
        if level > 1:
            _in_throwaway(opened, options, level, found, phases, deadline)


def _fetched(store: Store, backup: Backup, manifest: Manifest, folder: Path, phases: Phases) -> Path:
    """Raises Unverifiable when prune came first: it deletes the manifest, then the archive."""
    try:
        return fetch(store, manifest, folder, phases)
    except Corrupt:
        try:
            records.manifest(store, backup)
        except NotFound:
            raise Unverifiable(f"{backup.id} was pruned meanwhile", reason="pruned") from None
        raise


def _in_throwaway(
    opened: Opened, options: Options, level: int, found: _Found, phases: Phases, deadline: Deadline
) -> None:
    with ExitStack() as stack:
        with phases.phase("start"):
            copy = stack.enter_context(throwaway(opened.manifest, options.scratch, options.where, options.terms))
            found.copy = copy
            found.warnings += copy.notes
            stack.enter_context(deadline.ends(copy.kill))
            engine = connect(copy.source)
            found.empty = _proven_empty(engine)
        with phases.phase("restore") as watch, _told_apart(opened, found):
            found.notes += engine.load(opened.folder, options.jobs, opened.contents, watch)
        found.reached = 2
        if level > 2:
            with phases.phase("compare"):
                _compare(opened.contents, engine.contents(like=opened.contents), level, found)


def _proven_empty(engine: Engine) -> str:
    """How it was proven. Raises Unverifiable when something is there: a restore over data proves nothing."""
    try:
        facts = engine.facts()
    except DatabaseMissing:
        return "the server has no such database"
    if not facts.empty:
        raise Unverifiable("the throwaway is not empty", "this is a fault of killick: please report it")
    return "it holds nothing of a user's"


@contextmanager
def _told_apart(opened: Opened, found: _Found) -> Iterator[None]:
    """A load that failed: because of a dump that is broken in itself (level 1), or for another reason?"""
    try:
        yield
    except FileNotFoundError as error:
        if error.filename and Path(os.fsdecode(error.filename)).is_relative_to(opened.folder):
            found.reached = 0
            raise Corrupt("a part of the dump is not in the archive", _BEFORE) from None
        raise
    except (RestoreError, CommandFailed, Corrupt):
        found.reached = 0
        inspect(opened.manifest.engine, opened.folder)
        found.reached = 1
        raise


def _compare(expected: Contents, got: Contents, level: int, found: _Found) -> None:
    found.tables, found.rows = len(expected.tables), expected.rows
    found.warnings += compare.warnings(expected, got)
    for mismatch in compare.compare(expected, got):
        if mismatch.what == "database" and mismatch.table in _LOCALE:
            found.warnings.append(f"the throwaway lacks the source's locale: {mismatch}")
        elif mismatch.level <= level:
            found.mismatches.append(mismatch)
    found.reached = min([level, *(mismatch.level - 1 for mismatch in found.mismatches)])


def _report(backup: Backup, level: int, found: _Found, phases: Phases, told: Outcome | None) -> Report:
    if told is None and found.mismatches:
        many = counted(len(found.mismatches), "difference")
        told = Outcome(FAILED, "mismatch", f"{many} between the copy and what the manifest promises", _BEFORE)
    result = told.result if told else PASSED
    return Report(
        project=backup.project,
        id=backup.id,
        when=datetime.now(UTC),
        result=result,
        level=max(0, found.reached),
        wanted=level,
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
        empty=found.empty,
        manifest=found.manifest,
        copy=found.copy,
    )


def _older(found: _Found) -> bool:
    if found.copy is None or found.manifest is None:
        return False
    return numbers(found.copy.version) < numbers(found.manifest.server_version)
