"""Killick's own archives and those of older scripts, brought alike: out of the cache where they are there already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from killick import older, records
from killick.bring import Opened, open_archive
from killick.catalog import Backup
from killick.errors import Corrupt
from killick.manifest import Manifest
from killick.session import Session
from killick.stores import Store
from killick.watch import Phases


@dataclass(frozen=True)
class Brought:
    """An archive that was fetched and checked; `path` lies in the cache and is held there."""

    session: Session
    backup: Backup
    manifest: Manifest
    path: Path

    def open(self, folder: Path, phases: Phases) -> Opened:
        """Decodes into `folder`, which is scratch; the archive stays. Raises Corrupt, SettingsError."""
        if self.backup.older:
            return older.open_archive(self.path, self.backup, folder, phases)
        return open_archive(self.path, self.manifest, folder, phases, self.session.settings.identity, keep=True)

    def forget(self) -> None:
        """A copy was masked: what was not must not stay in the cache."""
        self.session.cache.forget(self.path)


@contextmanager
def bring(session: Session, backup: Backup, manifest: Manifest, phases: Phases) -> Iterator[Brought]:
    """Fetches and checks, or finds it in the cache. Raises Corrupt, NoSpace, StoreError."""
    if backup.older:
        with session.cache.of(backup, lambda path: older.fetch(session.store, backup, path, phases)) as path:
            yield Brought(session, backup, manifest, path)
    else:
        with session.cache.archive(session.store, manifest, phases) as path:
            yield Brought(session, backup, manifest, path)


def outline(store: Store, backup: Backup, kind: str) -> Manifest:
    """What is known of a backup before it is fetched. Of an older one that is its key: that it is of `kind` is told
    only once it is opened.

    Raises Corrupt without a manifest, Refused for a newer format.
    """
    if backup.older:
        return older.outline(backup, kind)
    if not backup.manifest:
        raise Corrupt(f"{backup.id} has no manifest", "killick list shows those that have one")
    return records.manifest(store, backup)
