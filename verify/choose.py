"""Which backups are to be verified. Pure."""

from __future__ import annotations

from killick.catalog import Backup, Catalog
from killick.errors import NotFound
from killick.find import find

ALL, LATEST, RANDOM = "all", "latest", "random"


def choose(catalog: Catalog, which: str = LATEST, source: str = "") -> list[Backup]:
    """`all`: the newest of every source. `random`: the one whose last verification is longest ago, or never was.

    Raises NotFound, SettingsError (several sources, and none named); Corrupt for an id without a manifest.
    """
    if which == ALL:
        names = [name for name in catalog.sources if source in ("", name) and catalog.of(name)]
        if not names:
            return [find(catalog, LATEST, source)]
        return [find(catalog, LATEST, name) for name in names]
    if which == RANDOM:
        newest = find(catalog, LATEST, source)
        return [min(_candidates(catalog, newest), key=_last_looked_at)]
    return [find(catalog, which, source)]


def unfinished(catalog: Catalog, which: str) -> Backup | None:
    """An archive of that id which has no manifest: it is named to be verified, and fails."""
    wanted = which.removeprefix(f"{catalog.project}/")
    return next((backup for backup in catalog.partial if backup.id == wanted), None)


def _candidates(catalog: Catalog, newest: Backup) -> list[Backup]:
    found = [b for b in catalog.of(newest.source) if b.manifest]
    if not found:
        raise NotFound(f"{newest.source} has no backup of killick's own yet", "killick backup makes one")
    return found


def _last_looked_at(backup: Backup) -> tuple[float, float]:
    """Never counts as longest ago; of those the oldest first, since it is the next to be pruned."""
    looked = [e.when.timestamp() for e in backup.evidence if e.kind == "verify" and e.result != "unverifiable"]
    return (max(looked, default=0.0), backup.time.timestamp())
