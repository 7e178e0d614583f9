"""One at a time, across processes, containers and hosts: a source's lock is a small object in the store.

Generations: `<source>.lock.<n>` is put if absent, and overwritten each minute to be renewed, so that its `modified`
is the store's own clock. One that was not renewed for five minutes has expired: whoever puts n+1 first takes over,
and sweeps what the dead holder's body names. A holder that finds n+1, or its own key gone, or that could not renew
in time (asleep, cut off), has lost: `check` raises Aborted, and is asked before the manifest is written.

Whoever dies on this very machine need not be waited for: the same owner (a UUID kept in the scratch volume), whose
`flock` is free, takes over at once.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from killick import layout, stores
from killick.errors import Aborted, Busy, KillickError, NotFound, StoreDenied, Taken
from killick.owner import Owner
from killick.stores import Store, Stored
from killick.watch import Watch

Say = Callable[[str], None]


@dataclass(frozen=True)
class Terms:
    """Seconds: how often a holder renews, how soon it tries again, and after what silence it counts as dead."""

    renew: float = 60
    again: float = 10
    expiry: float = 300


TERMS = Terms()
_FAR_ENOUGH = 3


@dataclass
class Lock:
    """A lock that is held. `skew`: by how many seconds the store's clock is ahead of ours."""

    store: Store
    project: str
    source: str
    owner: str
    terms: Terms = TERMS
    generation: int = 0
    skew: float = 0.0
    keys: tuple[str, ...] = ()
    lost: str = ""
    _started: str = field(default_factory=lambda: layout.rfc3339(datetime.now(UTC)))
    _token: str = field(default_factory=lambda: secrets.token_hex(8))
    _renewed: float = 0.0
    _etag: str = ""
    _guard: threading.RLock = field(default_factory=threading.RLock)
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def key(self) -> str:
        return layout.lock(self.project, self.source, self.generation)

    def will_write(self, *keys: str) -> None:
        """Names keys before they are written: should we die, the next holder sweeps those without a manifest."""
        with self._guard:
            self.keys = (*self.keys, *keys)
            self._renew()
        self._raise()

    def check(self) -> None:
        """Asks the store whether the lock is still ours. Raises Aborted."""
        with self._guard:
            self._look()
        self._raise()

    def watching(self, watch: Watch) -> Watch:
        """The same watch, which raises Aborted as soon as the lock is known to be lost: asks nobody."""

        def told(done: int, total: int = 0, unit: str = "bytes") -> None:
            self._raise()
            watch(done, total, unit)

        return told

    def take(self, generation: int) -> None:
        """Raises Taken."""
        self.generation = generation
        self._put(if_absent=True)

    def keep(self) -> None:
        """The thread's work: renews until `release`."""
        pause = self.terms.renew
        while not self._ended.wait(pause):
            try:
                with self._guard:
                    self._renew()
                pause = self.terms.renew
            except KillickError:
                pause = self.terms.again
            if self.lost:
                return

    def withdraw(self) -> None:
        """Takes a lock back that turned out not to hold."""
        with suppress(KillickError):
            own = generations(self.store, self.project, self.source).get(self.generation)
            if own is not None and own.etag == self._etag:
                self.store.delete(self.key)

    def release(self) -> None:
        """Never raises, and does not wait for a renewal that hangs: a lock that stays expires."""
        self._ended.set()
        if not self._guard.acquire(timeout=3):
            return
        try:
            with suppress(KillickError):
                self._look()
                if not self.lost:
                    self._give_back()
        finally:
            self._guard.release()

    def _give_back(self) -> None:
        try:
            self.store.delete(self.key)
        except StoreDenied:
            self._put(released=True)  # credentials that may not delete say it in the body

    def _renew(self) -> None:
        self._look()
        if not self.lost:
            self._put()

    def _look(self) -> None:
        """Sets `lost` where somebody took over, or could have while we were not looking."""
        if not self.lost and _now() - self._renewed > self.terms.expiry:
            self.lost = f"it could not be renewed for {_now() - self._renewed:.0f} s"
        if self.lost:
            return
        found = generations(self.store, self.project, self.source)
        own = found.get(self.generation)
        if max(found, default=0) > self.generation:
            self.lost = "another run took over"
        elif own is None or own.etag != self._etag:
            self.lost = "its key in the store was removed or replaced"

    def _put(self, *, if_absent: bool = False, released: bool = False) -> None:
        before = _now()
        stored = stores.put_json(self.store, self.key, self._body(released), if_absent=if_absent)
        self._etag, self.skew = stored.etag, (stored.modified - datetime.now(UTC)).total_seconds()
        if self._renewed and before - self._renewed > self.terms.expiry:
            self.lost = "it could not be renewed in time"
        self._renewed = before

    def _body(self, released: bool) -> dict[str, Any]:
        return {
            "owner": self.owner,
            "token": self._token,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": self._started,
            "renewed": datetime.now(UTC).isoformat(),
            "released": released,
            "keys": list(self.keys),
        }

    def _raise(self) -> None:
        if self.lost:
            raise Aborted(f"the lock on {self.source} was lost: {self.lost}", "the run that holds it now goes on")


def _now() -> float:
    """Seconds that go on while a laptop sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def generations(store: Store, project: str, source: str) -> dict[int, Stored]:
    found = {}
    for stored in store.list(f"{project}/{source}.lock."):
        if parsed := layout.parse_lock(project, stored.key):
            found[parsed[1]] = stored
    return found


def holder(store: Store, project: str, source: str) -> tuple[Stored, Busy] | None:
    """The source's newest lock, and what is to be said of it; None where nobody holds it. Only reads.

    Whether its holder lives is for the caller to see: one that does renews it each minute.
    """
    seen = generations(store, project, source)
    if not seen:
        return None
    newest = seen[max(seen)]
    body = _read(store, newest.key)
    return None if not body or body.get("released") else (newest, _busy(source, newest, body))


@contextmanager
def hold(
    store: Store,
    project: str,
    source: str,
    owner: Owner,
    *,
    terms: Terms = TERMS,
    warn: Say = lambda _: None,
    swept: Say = lambda _: None,
) -> Iterator[Lock]:
    """Holds the source's lock. Raises Busy, with who holds it and since when, and what the store raises.

    `swept` is told of what a dead holder had left, `warn` of a store that cannot put if absent.
    """
    with owner.alone(project, source):
        lock = Lock(store, project, source, owner.id, terms)
        before = _acquire(lock, warn)
        keeper = threading.Thread(target=lock.keep, name=f"lock-{source}", daemon=True)
        keeper.start()
        try:
            _clean(lock, before, swept)
            yield lock
        finally:
            lock.release()
            keeper.join(timeout=1)


def _acquire(lock: Lock, warn: Say) -> dict[int, Stored]:
    """Gives the generations before ours, all of them dead."""
    store, project, source = lock.store, lock.project, lock.source
    seen = generations(store, project, source)
    newest = max(seen, default=0)
    if newest:
        body = _read(store, seen[newest].key)
        mine = body.get("owner") == lock.owner or body.get("released")
        if not mine and _age(lock, seen[newest]) <= timedelta(seconds=lock.terms.expiry):
            raise _busy(source, seen[newest], body)
    try:
        lock.take(newest + 1)
    except Taken:
        raise _busy(source, None, _read(store, layout.lock(project, source, newest + 1))) from None
    _see_that_it_holds(lock, warn)
    # Between our two looks others may have come and gone: what is not what we judged dead, lives.
    for generation, stored in generations(store, project, source).items():
        if generation == lock.generation and stored.etag == lock._etag:
            continue
        if generation not in seen or seen[generation].etag != stored.etag:
            lock.withdraw()
            raise _busy(source, stored, _read(store, stored.key))
    return seen


def _see_that_it_holds(lock: Lock, warn: Say) -> None:
    """A second conditional put has to be refused; a store that takes it overwrites silently."""
    try:
        lock.take(lock.generation)
    except Taken:
        return
    warn("the store cannot put an object only if it is absent: two runs that start at the same moment may both go on")


def _age(lock: Lock, stored: Stored) -> timedelta:
    """How long ago, by the store's clock."""
    probe = f"{layout.lock(lock.project, lock.source, 0)}.{secrets.token_hex(8)}"
    return stores.clock(lock.store, probe) - stored.modified


def _read(store: Store, key: str) -> dict[str, Any]:
    try:
        body = json.loads(stores.get_bytes(store, key))
    except (ValueError, NotFound):  # released meanwhile, or not ours
        return {}
    return body if isinstance(body, dict) else {}


def _busy(source: str, stored: Stored | None, body: dict[str, Any]) -> Busy:
    who = f"{body['host']} (process {body['pid']})" if "host" in body else "another run"
    since = body.get("started") or (layout.rfc3339(stored.modified) if stored else "a moment ago")
    return Busy(f"{source} is being worked on by {who} since {since}", "wait for it; a dead one expires in 5 minutes")


def _clean(lock: Lock, before: dict[int, Stored], swept: Say) -> None:
    """Sweeps what the dead named and did not finish, then removes their locks.

    Credentials that may not delete leave both: three generations back is far enough to look then.
    """
    for generation in sorted(before, reverse=True)[:_FAR_ENOUGH]:
        stored = before[generation]
        with suppress(StoreDenied):
            for key in _read(lock.store, stored.key).get("keys", ()):
                if isinstance(key, str) and _unfinished(lock, key) and _sweep(lock.store, key):
                    swept(f"{key}, which a run that died had not finished")
            lock.store.delete(stored.key)


def _sweep(store: Store, key: str) -> bool:
    count = stores.sweep(store, key)
    there = any(stored.key == key for stored in store.list(key))
    if there:
        store.delete(key)
    return there or count > 0


def _unfinished(lock: Lock, key: str) -> bool:
    """Whether it is an archive of this source that no manifest makes a backup: a lock's body is only a claim."""
    parsed = layout.parse(lock.project, key)
    if parsed is None or parsed.part != "archive" or parsed.source != lock.source:
        return False
    manifest = layout.manifest(lock.project, parsed.id)
    return not any(s.key == manifest for s in lock.store.list(manifest))
