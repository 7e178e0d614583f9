"""What every verb begins with: the settings, the store they name, and somebody to tell."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from killick import catalog, observers, settings, stores
from killick.archive import Recipe
from killick.cache import Cache
from killick.catalog import Catalog
from killick.events import Emitter, Event, PhaseFinished, Progress
from killick.observers.log import progress
from killick.owner import Owner
from killick.settings import Settings
from killick.stores import Store
from killick.stream import Scratch
from killick.watch import Phases


@dataclass(frozen=True)
class Session:
    settings: Settings

    @cached_property
    def store(self) -> Store:
        return stores.connect(self.settings.store, self.settings.access)

    @cached_property
    def emit(self) -> Emitter:
        return observers.emitter(self.settings)

    @property
    def project(self) -> str:
        return self.settings.project

    @property
    def scratch(self) -> Scratch:
        return Scratch(self.settings.scratch)

    @property
    def cache(self) -> Cache:
        return Cache(self.settings.cache, self.settings.cache_age, self.settings.cache_size)

    @property
    def owner(self) -> Owner:
        return Owner(self.settings.scratch)

    @property
    def recipe(self) -> Recipe:
        given = self.settings
        return Recipe(given.codec, given.recipients, given.read_back, given.jobs)

    def catalog(self) -> Catalog:
        """Read anew each time it is asked for."""
        return catalog.read(self.store, self.project, self.settings.zone)

    @contextmanager
    def phases(self, source: str) -> Iterator[Phases]:
        """Phases that draw a bar on a terminal, and are told of as events: elsewhere while they last, too."""

        def going(phase: str, done: int, total: int, unit: str) -> None:
            self.tell(Progress(self.project, source, phase, done, total, unit))

        with progress(sys.stderr, source, going) as drawn:

            def ended(phase: str, seconds: float) -> None:
                drawn.ended(phase, seconds)
                self.tell(PhaseFinished(self.project, source, phase, round(seconds, 3)))

            yield Phases(drawn.began, ended)

    def tell(self, event: Event) -> None:
        self.emit(event)


def begin(*needed: str) -> Session:
    """Raises SettingsError with every problem of the environment; `needed`: "project", "sources"…"""
    return Session(settings.load(os.environ, *needed))
