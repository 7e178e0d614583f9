"""All projects of a bucket, from the store alone: it also sees those whose server is dead.

What the settings of a project would say is told by its backups: how often they come (killick.nights.interval). Objects
never change once they are written, so a source is read again only when its part of the listing did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from killick import catalog as catalogs
from killick import state
from killick.catalog import Catalog
from killick.errors import SettingsError, StoreError
from killick.nights import DAY, interval
from killick.observers.log import Log
from killick.settings import Settings, values
from killick.state import SourceState, State
from killick.stores import Store
from sidecar.site import Board

REFRESH = 300  # seconds between two looks at the store
_BEAT = 10  # between two signs of life

_NOTHING = {"proven": 0, "unverified": 0, "failed": 0, "partial": 0}


class Fleet:
    """`expected` are the slugs of projects that have to be there."""

    def __init__(self, store: Store, settings: Settings, expected: Collection[str] = ()) -> None:
        self._store, self._settings, self._expected = store, settings, expected
        self._zone = settings.zone
        self._known: dict[tuple[str, str], tuple[int, SourceState]] = {}

    def read(self, now: datetime, beat: Callable[[], None] = lambda: None) -> tuple[State, ...]:
        """Every project by its name; one that is expected and has nothing has a source without a name.

        `beat` is called after each project. Raises StoreError and its kinds.
        """
        found = {}
        for catalog in catalogs.fleet(self._store, self._zone):
            found[catalog.project] = self._state(catalog.project, tuple(self._sources(catalog, now)), now)
            beat()
        for project in self._expected:
            if project not in found:
                found[project] = self._state(project, (SourceState("", interval=DAY, backups=_NOTHING),), now)
        return tuple(found[project] for project in sorted(found))

    def _sources(self, catalog: Catalog, now: datetime) -> Iterator[SourceState]:
        for source, part in catalog.parts().items():
            if not (part.backups or part.failures):
                continue
            key = (catalog.project, source)
            mark = hash((now.astimezone(self._zone).date(), part.backups, part.partial, part.remains, part.failures))
            known = self._known.get(key)
            if known is None or known[0] != mark:
                given = SourceState(source, interval=interval((*part.backups, *part.remains)))
                made = state.of_source(self._store, part, given, self._zone, now)
                known = (mark, made)
                if made.engine or not any(b.manifest for b in part.backups):  # else its manifest could not be read
                    self._known[key] = known
            yield known[1]

    def _state(self, project: str, sources: tuple[SourceState, ...], now: datetime) -> State:
        return State(
            project,
            now.timestamp(),
            sources,
            today=now.astimezone(self._zone).date().isoformat(),
            max_age=self._settings.verify.max_age,
            rto=self._settings.verify.rto,
        )


def watch(fleet: Fleet, board: Board, log: Log) -> NoReturn:
    """Reads the store every few minutes. Ends by an exception only: Stopped, when a signal says so."""
    while True:
        refresh(fleet, board, log)
        for _ in range(REFRESH // _BEAT):
            board.beat()
            time.sleep(_BEAT)


def refresh(fleet: Fleet, board: Board, log: Log) -> None:
    now = datetime.now(UTC)
    try:
        board.show(*fleet.read(now, board.beat))
    except StoreError as error:
        log.line("warning", "state-unknown", {"message": str(error)})
        board.unreadable(str(error), now.timestamp())


def expected(path: Path) -> list[str]:
    """One slug a line; what follows a # is a comment. Raises SettingsError with every line that is none."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"--expect: {path} cannot be read: {error}", "a file with one slug a line") from None
    slugs, problems = [], []
    for number, line in enumerate(lines, 1):
        if word := line.partition("#")[0].strip():
            try:
                slugs.append(values.project(word))
            except ValueError as error:
                problems.append(f"--expect: {path}, line {number}: {error}")
    if problems:
        raise SettingsError(problems, "one slug a line; what follows a # is a comment")
    return slugs
