"""The last seven nights in one message: how many were verified, how old the proven data is, how long a restore takes.

It is read from the store, so a restart loses nothing of it. That the planned one went out is a key in the store, put
before it is sent: of several sidecars one sends it, and none sends it twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from killick import layout, state
from killick.catalog import Backup, Catalog
from killick.errors import KillickError, SettingsError, StoreError, Taken
from killick.figures import lasting
from killick.observers import notify
from killick.schedule import next_run, previous_run
from killick.session import Session
from killick.settings import Settings
from killick.stores import Store, put_json

NIGHTS = 7
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Line:
    """A source. `faults`: each night that was to be, and why it does not count as verified: "" where it does.

    `proven` is the age of the newest data that is proven restorable, None where none is; `restore` what the newest
    verification's restore took, 0 where none was done. Both in seconds.
    """

    source: str
    faults: dict[date, str]
    proven: float | None
    restore: float

    @property
    def well(self) -> bool:
        return self.proven is not None and not any(self.faults.values())

    def __str__(self) -> str:
        nights = _counted(sum(not fault for fault in self.faults.values()), len(self.faults))
        faults = (f"{day:%a %-d %b}: {fault}" for day, fault in self.faults.items() if fault)
        return f"{self.source}: " + "; ".join((*_told(nights, self.proven, self.restore, "newest"), *faults))


@dataclass(frozen=True)
class Digest:
    project: str
    lines: tuple[Line, ...]

    @property
    def well(self) -> bool:
        return all(line.well for line in self.lines)

    @property
    def title(self) -> str:
        """A night counts as verified when it is of every source; a restore is one of all sources, in turn."""
        nights = {day for line in self.lines for day in line.faults}
        good = sum(not any(line.faults.get(day) for line in self.lines) for day in nights)
        ages = [line.proven for line in self.lines]
        proven = None if None in ages else max((age for age in ages if age is not None), default=None)
        restore = sum(line.restore for line in self.lines)
        return f"{self.project}: " + "; ".join(_told(_counted(good, len(nights)), proven, restore, "oldest"))

    @property
    def text(self) -> str:
        return "\n".join(map(str, self.lines))


def digest(catalog: Catalog, known: state.State, settings: Settings, until: datetime, now: datetime) -> Digest:
    """The nights before `until`; ages as of `now`. A source that nothing was heard of by `until` is left out."""
    watched = [source.name for source in settings.sources] or catalog.sources
    lines = []
    for source in known.sources:
        faults = _faults(catalog, source.source, settings, until) if source.source in watched else {}
        if faults:
            v = source.verification
            proven = None if v.verified_snapshot is None else now.timestamp() - v.verified_snapshot
            lines.append(Line(source.source, faults, proven, v.restore_seconds))
    return Digest(settings.project, tuple(lines))


def read(session: Session, until: datetime, now: datetime) -> Digest:
    """Raises StoreError."""
    known = state.read(session.store, session.settings, now)
    return digest(session.catalog(), known, session.settings, until, now)


def send(session: Session, found: Digest) -> None:
    """Raises KillickError where one of NOTIFY_URLS could not be told."""
    urls = session.settings.telling.notify_urls
    if not urls:
        raise SettingsError(
            "NOTIFY_URLS is not set: nobody to send it to", "docs/monitoring.md shows how they are written"
        )
    try:
        notify.send(urls, "info" if found.well else "warning", found.title, found.text)
    except OSError as error:
        raise KillickError(
            f"the digest: {error}", "can each of NOTIFY_URLS be reached, and is it written so?"
        ) from None


def send_due(session: Session, now: datetime) -> bool:
    """Sends the newest that DIGEST planned, unless it went out or there was nothing to tell then; whether it did.

    Raises KillickError where it could not be sent: then it counts as not sent.
    """
    planned = previous_run(session.settings.telling.digest, now, session.settings.zone)
    if planned is None:
        return False
    found = read(session, planned, now)
    key = layout.digest(session.project, planned)
    if not found.lines or not _claimed(session.store, key, found):
        return False
    try:
        send(session, found)
    except BaseException:
        with suppress(StoreError):
            session.store.delete(key)
        raise
    _forget(session.store, session.project, key)
    return True


def _claimed(store: Store, key: str, found: Digest) -> bool:
    try:
        put_json(store, key, {"title": found.title}, if_absent=True)
    except Taken:
        return False
    return True


def _forget(store: Store, project: str, newest: str) -> None:
    """The keys of earlier ones: where they may not be deleted, a few bytes a week stay."""
    with suppress(StoreError):
        for stored in store.list(layout.DIGEST.format(project)):
            if stored.key < newest:
                store.delete(stored.key)


def _faults(catalog: Catalog, source: str, settings: Settings, until: datetime) -> dict[date, str]:
    """Each night by its day in TZ, oldest first. None is expected before the source was first heard of."""
    backups: dict[date, list[Backup]] = {}
    failures: dict[date, str] = {}
    for backup in (*catalog.backups, *catalog.remains):
        if backup.source == source and backup.time <= until:
            backups.setdefault(_night(backup.time, settings), []).append(backup)
    for failure in catalog.failures:
        if failure.source == source and failure.time <= until:
            failures[_night(failure.time, settings)] = failure.kind
    heard = backups.keys() | failures.keys()
    if not heard:
        return {}
    days = [day for day in _days(settings, until) if day >= min(heard)]
    expected = days if not settings.schedule.off else [day for day in days if day in heard]
    return {day: _fault(backups.get(day, []), failures.get(day, "")) for day in expected}


def _fault(backups: list[Backup], failure: str) -> str:
    if any(backup.proven for backup in backups):
        return ""
    if any(backup.failed for backup in backups):
        return "its verification failed"
    if backups:
        return "not verified"
    return f"the backup failed ({failure})" if failure else "no backup"


def _night(moment: datetime, settings: Settings) -> date:
    """The day for which a backup of that moment was planned: one that is caught up in the morning is the night's."""
    planned = previous_run(settings.schedule, moment, settings.zone)
    return (planned or moment).astimezone(settings.zone).date()


def _days(settings: Settings, until: datetime) -> Iterator[date]:
    """The last seven days whose first run was due by `until`, without those that have none; oldest first."""
    today = until.astimezone(settings.zone).date()
    if not settings.schedule.off and not _planned(today, settings, until):
        today -= timedelta(days=1)
    for back in reversed(range(NIGHTS)):
        day = today - timedelta(days=back)
        if settings.schedule.off or _planned(day, settings, until):
            yield day


def _planned(day: date, settings: Settings, until: datetime) -> bool:
    midnight = datetime.combine(day, time(), settings.zone).astimezone(UTC)
    run = next_run(settings.schedule, midnight - _SECOND, settings.zone)
    return run is not None and run <= until and run.astimezone(settings.zone).date() == day


def _counted(good: int, all: int) -> str:
    return f"{good} of {all} nights verified"


def _told(nights: str, proven: float | None, restore: float, which: str) -> Iterator[str]:
    yield nights
    yield "nothing is proven restorable" if proven is None else f"{which} proven data {lasting(proven)}"
    if restore:
        yield f"restore takes {lasting(restore)}"
