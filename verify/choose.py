"""Which backups are to be verified. Pure."""

from __future__ import annotations

import hashlib

from killick.catalog import Backup, Catalog
from killick.find import find

ALL, LATEST, RANDOM = "all", "latest", "random"


def choose(catalog: Catalog, which: str = LATEST, source: str = "") -> list[Backup]:
    """`all`: the newest of every source. `random`: the one whose turn it is.

    Raises NotFound, SettingsError (several sources, and none named); Corrupt for an id without a manifest.
    """
    if which == ALL:
        names = [name for name in catalog.sources if source in ("", name) and catalog.of(name)]
        if not names:
            return [find(catalog, LATEST, source)]
        return [find(catalog, LATEST, name) for name in names]
    if which == RANDOM:
        newest = find(catalog, LATEST, source)
        return [min(catalog.choices(newest.source), key=_turn)]
    return [find(catalog, which, source)]


def unfinished(catalog: Catalog, which: str) -> Backup | None:
    """An archive of that id which has no manifest: it is named to be verified, and fails."""
    wanted = which.removeprefix(f"{catalog.project}/")
    return next((backup for backup in catalog.partial if backup.id == wanted), None)


def _turn(backup: Backup) -> tuple[float, str]:
    """Those that nobody ever tried come first, shuffled; then whichever was tried longest ago.

    So none comes twice before all that are there were tried since, whatever was made or pruned meanwhile, and nothing
    has to be remembered but the records. A shuffle of every round would let what is made each night pass before what
    waits. One that could not be verified goes to the back like the others: otherwise it would be tried for ever.
    """
    tried = [e.when.timestamp() for e in backup.evidence if e.kind == "verify"]
    return (max(tried, default=0.0), _shuffled(backup))


def _shuffled(backup: Backup) -> str:
    """The same order on every machine: seeded by project and source."""
    return hashlib.sha256(f"{backup.project}/{backup.source}/{backup.id}".encode()).hexdigest()
