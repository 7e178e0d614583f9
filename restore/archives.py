"""Killick's own archives and those of older scripts, brought alike: out of the cache where they are there already."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from killick import cache, layout, records
from killick.bring import Opened, open_archive
from killick.catalog import Backup
from killick.errors import Corrupt, NotFound
from killick.manifest import Archive, Manifest
from killick.older.opening import open_older
from killick.session import Session
from killick.stores import Store, Stored
from killick.watch import Phases


@dataclass(frozen=True)
class Brought:
    """An archive that was fetched and checked. `path` lies in the cache, under `name`, and is held there."""

    session: Session
    backup: Backup
    manifest: Manifest
    path: Path
    name: str

    def open(self, folder: Path, phases: Phases, wanted: str = "") -> Opened:
        """Decodes into `folder`, which is scratch; the archive stays. `wanted`: the target's name, where an older
        archive holds several databases. Raises Corrupt, Refused, SettingsError."""
        if self.backup.older:
            return open_older(_another(self.path, folder), self.backup, folder, phases, wanted)
        return open_archive(self.path, self.manifest, folder, phases, self.session.settings.identity, keep=True)

    def forget(self) -> None:
        """A copy was masked: what was not must not stay in the cache."""
        self.session.cache.forget(self.name)


@contextmanager
def bring(session: Session, backup: Backup, manifest: Manifest, phases: Phases) -> Iterator[Brought]:
    """Fetches and checks, or finds it in the cache. Raises Corrupt, NotFound, NoSpace, StoreError."""
    if backup.older:
        stored = _listed(session.store, backup)
        with session.cache.object(session.store, stored, phases) as path:
            yield Brought(session, backup, manifest, path, cache.name(stored))
    else:
        with session.cache.archive(session.store, manifest, phases) as path:
            yield Brought(session, backup, manifest, path, manifest.archive.sha256 if manifest.archive else "")


def outline(store: Store, backup: Backup, kind: str = "") -> Manifest:
    """What is known of a backup before it is fetched. Of an older one that is its key: that it is of `kind` is told
    only once it is opened.

    Raises Corrupt without a manifest, Refused for a newer format.
    """
    if backup.older:
        moment = layout.rfc3339(backup.time)
        return Manifest(
            backup.id, backup.project, backup.source, kind, moment, moment, moment, "", "", "", "", None,
            Archive(backup.archive, backup.bytes, "", 0, "", ""),
        )  # fmt: skip
    if not backup.manifest:
        raise Corrupt(f"{backup.id} has no manifest", "killick list shows those that have one")
    return records.manifest(store, backup)


def _another(path: Path, folder: Path) -> Path:
    """A name for it in scratch, that may go while the archive stays; a copy where the cache is on another device."""
    name = folder / "archive"
    try:
        name.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, name)
    return name


def _listed(store: Store, backup: Backup) -> Stored:
    for stored in store.list(backup.archive):
        if stored.key == backup.archive:
            return stored
    raise NotFound(f"{backup.id} is not in the store any more", "killick list shows what there is")
