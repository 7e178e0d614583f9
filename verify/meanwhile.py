"""No verification while its source is worked on: it may run on the host of the database that is being dumped.

Only a glance is taken: a verifier's keys need not be able to write locks, and a backup that begins during a
verification is not kept from it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from killick.catalog import Backup
from killick.errors import Unverifiable
from killick.lock import TERMS, Terms, holder
from killick.stores import Store
from killick.watch import Phases

Say = Callable[[str], None]

_PAUSE = 3.0  # seconds between two looks at the lock


def undisturbing(store: Store, backup: Backup, patience: float, phases: Phases, say: Say, terms: Terms = TERMS) -> None:
    """Returns once nobody holds the source's lock. `patience` in seconds, 0: without end.

    Raises Unverifiable (busy) when it is held for longer, StoreError. `say` is told once who holds it.
    """
    found = holder(store, backup.project, backup.source)
    if found is None or _expired(found[0].modified, terms):
        return
    say(f"the verification waits: {found[1].message}")
    start = seen = time.monotonic()
    with phases.phase("wait") as watch:
        while True:
            time.sleep(_PAUSE)
            before, found = found[0].etag, holder(store, backup.project, backup.source)
            now = time.monotonic()
            if found is None:
                return
            if found[0].etag != before:
                seen = now
            elif now - seen > terms.expiry:  # whatever the clocks say: nobody renewed it
                return
            if patience and now - start > patience:
                raise Unverifiable(
                    f"{found[1].message}, and the verification waited for {now - start:.0f} s",
                    "verify at another time (VERIFY_SCHEDULE), or raise VERIFY_TIMEOUT",
                    reason="busy",
                )
            watch(round(now - start), round(patience), "seconds")


def _expired(modified: datetime, terms: Terms) -> bool:
    """By our own clock: the store's would have to be asked for by a write."""
    return (datetime.now(UTC) - modified).total_seconds() > terms.expiry
