"""A fresh checkout gets its data before the app starts; what has data is never touched."""

from __future__ import annotations

from collections.abc import Callable

from killick.find import run_of
from killick.session import Session
from restore.conditions import Options
from restore.guards import Consent, allow
from restore.restore import execute, planned
from restore.result import Result
from restore.target import Target


def seed(session: Session, say: Callable[[str], None]) -> list[Result]:
    """What became of each source that was empty. Raises NotFound where SEED names nothing for one of them."""
    wanted = session.settings.seed
    if not wanted:
        say("SEED is off: nothing to do")
        return []
    empty = []
    for source in session.settings.sources:
        target = Target.of(session.settings, source.name)
        if target.facts is None or target.facts.empty:
            empty.append(source.name)
        else:
            say(f"{source.name}: {target.url} has data and is left as it is")
    if not empty:
        return []
    catalog = session.catalog()
    refreshes = planned(session, catalog, run_of(catalog, wanted, empty), Options())
    for refresh in refreshes:
        allow(refresh.target, refresh.standing, Consent())
        say(refresh.text())
    results = execute(session, refreshes)
    for result in results:
        say(result.text(f"{result.id} is in {result.into}"))
    return results
