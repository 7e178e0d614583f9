"""Who is told what happened. One module each, and the only place that imports these libraries.

An observer is a function of an event; the Emitter sees to it that one which fails never fails the work.
"""

from __future__ import annotations

import sys
from typing import TextIO

from killick.events import Emitter, Observer
from killick.settings import Settings


def build(settings: Settings, stream: TextIO | None = None) -> list[Observer]:
    """Those that the settings ask for; the log first. Libraries are imported only for those. Logs go to stderr."""
    from killick.observers.log import Log

    telling = settings.telling
    found: list[Observer] = [Log(telling.log_format, telling.log_level, stream or sys.stderr)]
    if telling.sentry_dsn:
        from killick.observers.sentry import Sentry

        found.append(Sentry(settings))
    if telling.notify_urls:
        from killick.observers.notify import Notify

        found.append(Notify(telling.notify_urls))
    if telling.ping_url:
        from killick.observers.ping import Ping

        found.append(Ping(telling.ping_url))
    return found


def emitter(settings: Settings, stream: TextIO | None = None) -> Emitter:
    """Tells all of them; one that fails is told of in the log."""
    from killick.observers.log import Log

    observers = build(settings, stream)
    log = observers[0]
    assert isinstance(log, Log)  # noqa: S101  # `build` puts it first
    return Emitter(observers, log.complain)
