"""What is done to a local database or folder without a backup: undo, snapshot, reset."""

from __future__ import annotations

from killick.engines import Replaceable, Rewindable
from killick.errors import Refused, SettingsError, StoreError
from killick.session import Session
from restore.guards import Standing, known, standing
from restore.restore import undo_command
from restore.result import Result
from restore.target import Target


def undo(session: Session, source: str, into: str) -> Result:
    """Exchanges what is in use with what the last restore or reset replaced. Raises NotFound, SettingsError."""
    source = _source(session, source, into)
    target = Target.of(session.settings, source, into)
    if not isinstance(target.engine, Replaceable):
        raise SettingsError(f"{target.url}: there is no way back in {target.kind}", "restore an older backup")
    with session.phases(source or "restore") as phases:
        with phases.phase("undo"):
            notes = target.engine.undo()
        return _result(session, target, source, into, phases.seconds, notes)


def snapshot(session: Session, source: str, into: str) -> Result:
    """Raises Refused for production, NotFound where there is nothing to keep."""
    source = _source(session, source, into)
    target, engine = _rewindable(session, source, into)
    with session.phases(source or "snapshot") as phases:
        with phases.phase("snapshot"):
            notes = engine.snapshot()
        return Result(None, target.url, dict(phases.seconds), notes=notes)


def reset(session: Session, source: str, into: str) -> Result:
    """Raises Refused for production, NotFound where no snapshot is kept."""
    source = _source(session, source, into)
    target, engine = _rewindable(session, source, into)
    with session.phases(source or "reset") as phases:
        with phases.phase("reset"):
            notes = engine.reset()
        return _result(session, target, source, into, phases.seconds, notes)


def _result(
    session: Session, target: Target, source: str, into: str, seconds: dict[str, float], notes: tuple[str, ...]
) -> Result:
    return Result(
        None, target.url, dict(seconds), undo=undo_command(session, source, target.url if into else ""), notes=notes
    )


def _source(session: Session, source: str, into: str) -> str:
    """Raises SettingsError where several could be meant."""
    names = [each.name for each in session.settings.sources]
    if source or into or len(names) < 2:
        return source or (names[0] if names and not into else "")
    raise SettingsError(f"there are several sources: {', '.join(names)}", "name one with --source")


def _rewindable(session: Session, source: str, into: str) -> tuple[Target, Rewindable]:
    target = Target.of(session.settings, source, into)
    if not isinstance(target.engine, Rewindable):
        raise SettingsError(f"{target.url}: {target.kind} keeps no snapshots", "killick restore brings back a backup")
    _refuse_production(session, target)
    return target, target.engine


def _refuse_production(session: Session, target: Target) -> None:
    """It would lose its sessions. Where the store cannot be asked, only what bears our mark is surely no production."""
    try:
        production = known(session.store, session.catalog())
    except StoreError as error:
        if target.facts is not None and target.facts.copy:
            return
        raise Refused(
            f"whether {target.url} is production cannot be told: {error.message}", "killick restore marks its copies"
        ) from None
    if standing(target.facts, production) is Standing.PRODUCTION:
        raise Refused(
            f"{target.url} is the very database that this project's backups are made of",
            "snapshots are for copies: they end its sessions",
        )
