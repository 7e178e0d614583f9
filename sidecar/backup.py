"""One run of backups: every source in turn, each under its lock, each told of, none stopping the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from killick import layout, records
from killick.archive import check_room, save
from killick.catalog import Catalog
from killick.engines import Facts, Source, connect
from killick.errors import Busy, ClockAhead, KillickError, Refused, Stopped, as_error
from killick.events import BackupFailed, BackupFinished, BackupStarted, Swept, Warned
from killick.lock import hold
from killick.manifest import Manifest
from killick.session import Session
from killick.watch import Phases

_AHEAD = 300  # seconds that our clock may be ahead of the store's: a stamp from the future hides later backups


@dataclass(frozen=True)
class Outcome:
    """`error` is a sentence and `code` its exit status; None and 0 when the backup was made. JSON: the contract's."""

    source: str
    id: str | None
    error: str | None
    seconds: float
    bytes: int
    code: int = 0

    def to_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in ("source", "id", "error", "seconds", "bytes")}


def back_up(session: Session, sources: Sequence[Source], *, adopt: bool = False) -> list[Outcome]:
    """Backs up databases first, then files, all under one stamp. Raises only Stopped.

    `adopt` accepts that a source's identity is not that of its newest backup (after a move, an upgrade).
    """
    for name in session.scratch.sweep():
        session.tell(Swept(session.project, "", f"the scratch folder {name}"))
    ordered = sorted(sources, key=lambda source: source.url.startswith("file:"))
    stamp = _free_stamp(session, [source.name for source in ordered])
    return [_one(session, source, stamp, adopt) for source in ordered]


def exit_code(outcomes: Sequence[Outcome]) -> int:
    """0 when all were made; 5 (refused) or 7 (busy) where that is all that went wrong, else 1."""
    codes = {outcome.code for outcome in outcomes if outcome.code}
    return 0 if not codes else codes.pop() if len(codes) == 1 else 1


def _free_stamp(session: Session, sources: Sequence[str]) -> datetime:
    """Now, or the first second after it that no backup or attempt of these sources bears."""
    now = datetime.now(UTC).replace(microsecond=0)
    try:
        found = session.catalog()
    except KillickError:  # each source's own attempt tells it
        return now
    taken = {backup.id for backup in (*found.backups, *found.partial, *found.remains)}
    taken |= {failure.id for failure in found.failures}
    while any(layout.backup_id(now, source) in taken for source in sources):
        now += timedelta(seconds=1)
    return now


def _one(session: Session, source: Source, stamp: datetime, adopt: bool) -> Outcome:
    id = layout.backup_id(stamp, source.name)
    start = time.monotonic()
    session.tell(BackupStarted(session.project, source.name, id))
    attempt = _Attempt(session, source, id, stamp)
    try:
        with session.phases(source.name) as attempt.phases:
            manifest = attempt.make(adopt)
    except (Exception, Stopped) as raised:
        error = as_error(raised)
        seconds = round(time.monotonic() - start, 3)
        attempt.failed(error, seconds)
        if isinstance(raised, Stopped):
            raise
        code = error.exit_code if isinstance(error, (Refused, Busy)) else 1
        return Outcome(source.name, None, str(error), seconds, 0, code)
    seconds = round(time.monotonic() - start, 3)
    attempt.finished(manifest, seconds)
    return Outcome(source.name, id, None, seconds, manifest.archive.bytes if manifest.archive else 0)


class _Attempt:
    """What is known of one source's backup while it is made, and told whichever way it ends."""

    def __init__(self, session: Session, source: Source, id: str, stamp: datetime) -> None:
        self.session, self.source, self.id, self.stamp = session, source, id, stamp
        self.phases = Phases()
        self.before: Catalog | None = None

    def make(self, adopt: bool) -> Manifest:
        """Raises what any step raises; then nothing of this backup is in the store."""
        session, source = self.session, self.source
        warn = self._warn
        with (
            hold(session.store, session.project, source.name, session.owner, warn=warn, swept=self._swept) as lock,
            session.scratch.folder() as folder,
        ):
            self.before = session.catalog()
            if lock.skew < -_AHEAD:
                raise ClockAhead(
                    f"this host's clock is {-lock.skew:.0f} s ahead of the store's", "set it: timedatectl set-ntp true"
                )
            with self.phases.phase("connect"):
                engine = connect(source)
                facts = engine.facts()
            for sentence in facts.warnings:
                warn(sentence)
            self._guard(facts, adopt)
            check_room(facts, session.recipe, session.scratch.root, session.scratch.free())
            lock.will_write(layout.archive(session.project, self.id, session.recipe.suffix))
            return save(engine, facts, self._draft(), session.store, session.recipe, folder, self.phases, lock.check)

    def _guard(self, facts: Facts, adopt: bool) -> None:
        """A copy never poisons production's backups, and two projects never share a slug by accident."""
        name = self.source.name
        if facts.copy:
            raise Refused(
                f"{name}: this database is a copy that killick restored, and is not backed up over the original's",
                "set SCHEDULE=off here, or give this project another PROJECT",
            )
        newest = self._newest()
        if newest is None or adopt:
            return
        was, now = (newest.identity, newest.database), (facts.identity, facts.database)
        if was != now and newest.engine == facts.engine:
            raise Refused(
                f"{name}: this is the database {facts.database!r} of cluster {facts.identity or 'unknown'}, and its "
                f"newest backup is of {newest.database!r} of cluster {newest.identity or 'unknown'}",
                "after a move or an upgrade: killick backup --adopt; two projects need two PROJECT names",
            )

    def _newest(self) -> Manifest | None:
        own = [b for b in self.before.of(self.source.name) if b.manifest] if self.before else []
        return records.manifest(self.session.store, own[0]) if own else None

    def _draft(self) -> Manifest:
        return Manifest(
            id=self.id,
            project=self.session.project,
            source=self.source.name,
            engine="",
            started=layout.rfc3339(self.stamp),
            finished="",
            snapshot="",
            server_version="",
            client_version="",
            identity="",
            database="",
            contents=None,
        )

    def finished(self, manifest: Manifest, seconds: float) -> None:
        """Leaves a record that outlives the backup, for the strip of nights; the backup stands without it."""
        session, source = self.session, self.source
        facts: dict[str, object] = {"id": self.id, "seconds": dict(manifest.seconds)}
        if manifest.archive:
            facts |= {"bytes": manifest.archive.bytes, "sha256": manifest.archive.sha256}
        sign_with = session.settings.verify.evidence_key
        try:
            records.record(session.store, session.project, self.id, self.stamp, "backup", "passed", 0, facts, sign_with)
        except KillickError as error:
            self._warn(f"no record of this backup could be kept: {error.message}")
        first, failures = self._history()
        session.tell(
            BackupFinished(session.project, source.name, manifest, seconds, first=first, recovered=failures > 0)
        )

    def failed(self, error: KillickError, seconds: float) -> None:
        """Records and tells of a failure. A second run that found the lock held is no failure of the backup."""
        session, source = self.session, self.source
        if isinstance(error, Busy):
            self._warn(error.message)
            return
        record = {
            "id": self.id,
            "time": layout.rfc3339(datetime.now(UTC)),
            "kind": error.kind,
            "phase": self.phases.current,
            "error": error.message,
            "hint": error.hint,
            "seconds": seconds,
        }
        _, failures = self._history()
        with suppress(KillickError):  # a store that cannot be written is often the very error
            records.attempt_failed(session.store, session.project, self.id, error.kind, record)
        session.tell(
            BackupFailed(
                session.project, source.name, self.id, error.kind, self.phases.current, error.message, error.hint,
                seconds, first=failures == 0,
            )
        )  # fmt: skip

    def _history(self) -> tuple[bool, int]:
        """Whether the source had no backup before this one, and how many attempts had failed since its last."""
        if self.before is None:
            with suppress(KillickError):
                self.before = self.session.catalog()
        if self.before is None:
            return False, 0
        own = [b for b in self.before.of(self.source.name) if b.manifest]
        since = [f for f in self.before.failures if f.source == self.source.name and (not own or f.time > own[0].time)]
        return not own, len(since)

    def _warn(self, message: str) -> None:
        self.session.tell(Warned(self.session.project, self.source.name, message))

    def _swept(self, what: str) -> None:
        self.session.tell(Swept(self.session.project, self.source.name, what))
