"""One run of backups: every source in turn, each under its lock, each told of, none stopping the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from killick import catalog, layout
from killick.archive import Recipe, check_room, save
from killick.engines import Engine, Facts, Source, connect
from killick.errors import Aborted, Busy, KillickError, Refused
from killick.events import BackupFailed, BackupFinished, BackupStarted, Observer, Swept
from killick.lock import hold
from killick.manifest import Manifest
from killick.stores import Store
from killick.stream import Scratch
from killick.watch import Phases


@dataclass(frozen=True)
class Run:
    """What all sources of one run share. `phases` makes the progress of one source's backup."""

    project: str
    store: Store
    scratch: Scratch
    recipe: Recipe
    emit: Observer
    phases: Callable[[str], Phases]
    adopt: bool = False


@dataclass(frozen=True)
class Outcome:
    """`error` is a sentence and `code` its exit status; None and 0 when the backup was made."""

    source: str
    id: str | None
    error: str | None
    seconds: float
    bytes: int
    code: int = 0

    def to_json(self) -> dict[str, object]:
        return {n: getattr(self, n) for n in ("source", "id", "error", "seconds", "bytes")}


def back_up(run: Run, sources: Sequence[Source]) -> list[Outcome]:
    """Backs up databases first, then files, all under one stamp. Raises only Aborted."""
    for name in run.scratch.sweep():
        run.emit(Swept(run.project, "", f"scratch folder {name} of a run that died"))
    ordered = sorted(sources, key=lambda source: source.url.startswith("file:"))
    stamp = _free_stamp(run, [source.name for source in ordered])
    return [_one(run, source, stamp) for source in ordered]


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 when all were made; the code of the failures where they agree, else 1."""
    codes = {outcome.code for outcome in outcomes if outcome.code}
    return 0 if not codes else codes.pop() if len(codes) == 1 else 1


def _free_stamp(run: Run, sources: Sequence[str]) -> datetime:
    """Now, or the first second after it that no backup of these sources bears."""
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        taken = {key.id for key in catalog.keys(run.store, run.project, since=now - timedelta(minutes=1))}
    except KillickError:  # told by each source's own attempt
        return now
    while any(layout.backup_id(now, source) in taken for source in sources):
        now += timedelta(seconds=1)
    return now


def _one(run: Run, source: Source, stamp: datetime) -> Outcome:
    id = layout.backup_id(stamp, source.name)
    start = time.monotonic()
    phases = run.phases(source.name)
    run.emit(BackupStarted(run.project, source.name, id))
    try:
        manifest = _attempt(run, source, id, stamp, phases)
    except KillickError as error:
        seconds = round(time.monotonic() - start, 3)
        _failed(run, source, id, phases, error, seconds)
        if isinstance(error, Aborted):
            raise
        return Outcome(source.name, None, str(error), seconds, 0, error.exit_code)
    seconds = round(time.monotonic() - start, 3)
    size = manifest.archive.bytes if manifest.archive else 0
    return Outcome(source.name, id, None, seconds, size)


def _attempt(run: Run, source: Source, id: str, stamp: datetime, phases: Phases) -> Manifest:
    engine = connect(source)
    keys = (layout.archive(run.project, id, run.recipe.suffix), layout.manifest(run.project, id))
    with hold(run.store, run.project, source.name, run.scratch.root, keys=keys) as lock, run.scratch.folder() as folder:
        for what in lock.swept:
            run.emit(Swept(run.project, source.name, what))
        with phases.phase("connect"):
            before = catalog.read(run.store, run.project, source=source.name)
            facts = engine.facts()
            newest = before.newest_manifest(source.name)
            _guard(run, source, facts, newest)
            check_room(facts, run.recipe, folder, run.scratch.free())
        draft = _draft(run.project, source, id, stamp)
        manifest = save(engine, facts, draft, run.store, run.recipe, folder, phases, lock.check)
        catalog.write_evidence(run.store, run.project, id, "backup", "passed", 0, _record(manifest))
    run.emit(
        BackupFinished(
            run.project, source.name, manifest, sum(phases.seconds.values()),
            first=newest is None, recovered=before.consecutive_failures(source.name) > 0,
        )
    )  # fmt: skip
    return manifest
