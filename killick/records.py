"""The small objects beside an archive: reading, writing and deleting them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from killick import layout, signing
from killick import manifest as manifests
from killick.catalog import Backup
from killick.errors import Corrupt, KillickError, NotFound, StoreError, Taken
from killick.manifest import Manifest
from killick.stores import Store, get_bytes, put_bytes, put_json


def manifest(store: Store, backup: Backup) -> Manifest:
    """Raises Corrupt when it is none, another backup's or names another's archive; Refused for a later format, NotFound
    when it is gone."""
    key = layout.manifest(backup.project, backup.id)
    found = manifests.loads(get_bytes(store, key), key)
    if (found.id, found.project) != (backup.id, backup.project):
        raise Corrupt(f"{key} is the manifest of {found.project}/{found.id}", "restore the backup before it")
    if found.archive and not _its_own(found.archive.key, backup):
        raise Corrupt(f"{key} names an archive that is not this backup's", "restore the backup before it")
    return found


def put_manifest(store: Store, manifest: Manifest) -> None:
    """The last step of a backup: from here on it exists. Raises Taken when there is one already."""
    put_bytes(store, layout.manifest(manifest.project, manifest.id), manifest.dumps().encode(), if_absent=True)


@dataclass(frozen=True)
class Record:
    """A piece of evidence as it stands in the store, its signature included."""

    key: str
    data: Mapping[str, Any]


def record(
    store: Store,
    project: str,
    id: str,
    when: datetime,
    kind: str,
    result: str,
    level: int,
    data: Mapping[str, Any],
    sign_with: str = "",
) -> Record:
    """Adds a piece of evidence, signed where a private key is given; none is ever overwritten."""
    while True:
        key = layout.evidence(project, id, when, kind, result, level)
        written = signing.signed(data, key, sign_with) if sign_with else data
        try:
            put_json(store, key, written, if_absent=True)
        except Taken:
            when += timedelta(seconds=1)
        else:
            return Record(key, written)


def evidence(store: Store, backup: Backup, trusted: Collection[str] = ()) -> list[dict[str, Any]]:
    """Every record of a backup, oldest first. What the key says holds; a record that cannot be read says so.

    `signed` is what its signature is worth (see `signing.judge`), given the public keys that are `trusted`.
    """
    records: list[dict[str, Any]] = []
    for one in backup.evidence:
        key = layout.evidence(backup.project, backup.id, one.when, one.kind, one.result, one.level)
        try:
            data = json.loads(get_bytes(store, key))
        except (ValueError, NotFound):
            data = None
        if not isinstance(data, dict):
            data = {"error": f"{key} cannot be read"}
        known = {"time": layout.rfc3339(one.when), "kind": one.kind, "result": one.result, "level": one.level}
        records.append({**data, **known, "signed": signing.judge(data, key, trusted)})
    return records


def attempt_failed(store: Store, project: str, id: str, kind: str, data: Mapping[str, Any]) -> None:
    """Records an attempt that failed; `kind` is the error's slug."""
    with suppress(Taken):  # of the same second and kind: told already
        put_json(store, layout.failed(project, id, kind), data, if_absent=True)


def delete(store: Store, backup: Backup, will_remove: Callable[[str], None] = lambda _key: None) -> None:
    """The manifest first, so that an archive which is being deleted is none already; the evidence stays.

    `will_remove` is told the archive's key before anything goes. Whole or nothing: when the archive cannot be
    deleted, the manifest is put back.
    """
    key = layout.manifest(backup.project, backup.id)
    try:
        text = get_bytes(store, key)
    except NotFound:
        raise NotFound(f"{backup.id} is not there any more", "somebody else pruned it") from None
    archive = _archive(text, backup) or backup.archive
    if archive:
        will_remove(archive)
    store.delete(key)
    try:
        if archive:
            store.delete(archive)
    except StoreError:
        put_bytes(store, key, text, if_absent=True)
        raise


def _archive(text: bytes, backup: Backup) -> str:
    """The archive of its own that the manifest names, or "": one that only looks like it may be a stranger's copy."""
    with suppress(KillickError):
        archive = manifests.loads(text, backup.id).archive
        if archive and _its_own(archive.key, backup):
            return archive.key
    return ""


def _its_own(key: str, backup: Backup) -> bool:
    """Whether it is the key of an archive of this very backup."""
    named = layout.parse(backup.project, key)
    return named is not None and (named.id, named.part) == (backup.id, "archive")
