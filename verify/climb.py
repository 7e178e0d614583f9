"""Level by level: what each proves, in the order in which it can be known."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from killick import compare, records
from killick.bring import Opened, fetch, open_archive
from killick.catalog import Backup
from killick.contents import Contents
from killick.engines import Engine, connect, inspect
from killick.errors import CommandFailed, Corrupt, DatabaseMissing, NotFound, RestoreError, Unverifiable
from killick.manifest import Manifest, comparable
from killick.stores import Store
from killick.stream import Scratch
from killick.throwaway import throwaway
from killick.watch import Phases
from verify.agreement import refuse_discord
from verify.deadline import Deadline
from verify.found import Found
from verify.levels import highest
from verify.options import Options
from verify.sense import sense
from verify.works import left_out, works

BEFORE = "restore the backup before it: killick list"
_LOCALE = ("collate", "ctype", "provider", "locale")
_OF_A_PLACE = ("lc_messages", "lc_monetary", "lc_numeric", "lc_time", "timezone")


def climb(
    store: Store, backup: Backup, options: Options, level: int, found: Found, phases: Phases, deadline: Deadline
) -> None:
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
        found.manifest = replace(opened.manifest, archive=manifest.archive)
        refuse_discord(opened.manifest, opened.contents)
        if level == 1:
            with phases.phase("inspect"):
                inspect(opened.manifest.engine, opened.folder)
        found.reached = 1
        if level > 1:
            _in_throwaway(store, backup, opened, options, level, found, phases, deadline)


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
    store: Store,
    backup: Backup,
    opened: Opened,
    options: Options,
    level: int,
    found: Found,
    phases: Phases,
    deadline: Deadline,
) -> None:
    with ExitStack() as stack:
        with phases.phase("start"):
            copy = stack.enter_context(throwaway(opened.manifest, options.scratch, options.where, options.terms))
            found.copy = copy
            found.warnings += copy.notes
            stack.enter_context(deadline.ends(copy.kill))
            engine = connect(copy.source)
            found.warnings += left_out(copy, opened.manifest.source, options)
            level = found.wanted = min(level, highest(engine, command=opened.manifest.source in options.commands))
            found.empty = proven_empty(engine)
        with phases.phase("restore") as watch, _told_apart(opened, found):
            found.notes += engine.load(opened.folder, options.jobs, opened.contents, watch)
        found.reached = 2
        if level > 2:
            with phases.phase("compare"):
                _compare(opened.contents, engine.contents(like=opened.contents), level, found)
        if level > 4 and found.reached == 4:
            sense(store, backup, opened, engine, options, found, phases)
        if level > 5 and found.reached == 5:
            with phases.phase("command"):
                works(copy, engine, opened.manifest, options, found, deadline)


def proven_empty(engine: Engine) -> str:
    """How it was proven. Raises Unverifiable when something is there: a restore over data proves nothing."""
    try:
        facts = engine.facts()
    except DatabaseMissing:
        return "the server has no such database"
    if not facts.empty:
        raise Unverifiable("the throwaway is not empty", "this is a fault of killick: please report it")
    return "it holds nothing of a user's"


@contextmanager
def _told_apart(opened: Opened, found: Found) -> Iterator[None]:
    """A load that failed: because of a dump that is broken in itself (level 1), or for another reason?"""
    try:
        yield
    except FileNotFoundError as error:
        if error.filename and Path(os.fsdecode(error.filename)).is_relative_to(opened.folder):
            found.reached = 0
            raise Corrupt("a part of the dump is not in the archive", BEFORE) from None
        raise
    except (RestoreError, CommandFailed, Corrupt):
        found.reached = 0
        inspect(opened.manifest.engine, opened.folder)
        found.reached = 1
        raise


def _compare(expected: Contents, got: Contents, level: int, found: Found) -> None:
    found.tables, found.rows = len(expected.tables), expected.rows
    found.warnings += compare.warnings(expected, got)
    for mismatch in compare.compare(expected, got):
        if _lacking(mismatch):
            found.warnings.append(f"the throwaway lacks the source's locale or time zone: {mismatch}")
        elif mismatch.level <= level:
            found.mismatches.append(mismatch)
    found.reached = min([level, 4, *(mismatch.level - 1 for mismatch in found.mismatches)])


def _lacking(mismatch: compare.Mismatch) -> bool:
    """Whether this machine lacks it, and not the backup: a server refuses a setting whose locale it has not."""
    if mismatch.what == "database":
        return mismatch.table in _LOCALE
    setting = mismatch.table.rpartition(" ")[2].lower()
    return mismatch.what in ("settings", "role settings") and mismatch.got == "absent" and setting in _OF_A_PLACE
