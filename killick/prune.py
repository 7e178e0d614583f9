"""Removing what retention gave up: the only place that deletes backups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from killick import records
from killick.catalog import Backup, Catalog
from killick.errors import NotFound, StoreDenied
from killick.retention import Decision, expired_records
from killick.stores import Store


def prune(
    store: Store,
    decisions: Iterable[Decision],
    now: datetime,
    will_remove: Callable[[str], None] = lambda _key: None,
    sign_with: str = "",
) -> Iterator[Backup]:
    """Deletes, oldest first, the backups that are not to be kept; gives each when it is gone.

    `will_remove` is told an archive's key before anything of it goes (a lock's `will_write`): should we die halfway,
    the next run sweeps it. The evidence stays, with a record that the backup was pruned, since the 400 days count
    from it; `sign_with` is the private key for it. Raises StoreDenied, with what there is whole as it was.
    """
    for decision in sorted(decisions, key=lambda d: d.backup.time):
        backup = decision.backup
        if decision.keep:
            continue
        with _allowed(backup.id):
            try:
                records.delete(store, backup, will_remove)
            except NotFound:
                continue  # another run's prune was quicker
            reason = {"reason": decision.reason}
            records.record(store, backup.project, backup.id, now, "prune", "passed", 0, reason, sign_with)
        yield backup


def prune_records(store: Store, catalog: Catalog, now: datetime) -> int:
    """Deletes evidence 400 days after its backup was pruned, and records of failures after 90; gives how many."""
    keys = expired_records(catalog, now)
    with _allowed("old records"):
        for key in keys:
            store.delete(key)
    return len(keys)


@contextmanager
def _allowed(what: str) -> Iterator[None]:
    try:
        yield
    except StoreDenied as error:
        raise StoreDenied(
            f"{what} cannot be pruned: {error.message}", "allow s3:DeleteObject, or set PRUNE=off"
        ) from None
