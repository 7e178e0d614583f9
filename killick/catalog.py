"""What is in the store, from its listing alone: no object is read, a thousand keys are one request."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from typing import TypeVar

from killick import layout, older
from killick.stores import Store, Stored

PROVEN, PROVEN_OLDER = 4, 2
"""The level from which a passed verification proves a backup; older archives have no contents to compare."""

_SOUND = 5  # from here on all that there is to know of a backup by itself holds
_NO_VERIFICATION = ("backup", "prune", "overdue")  # kinds of records that say nothing about the content


@dataclass(frozen=True, slots=True)
class Evidence:
    """One record, as its key tells it. `kind`: backup, verify, refresh, prune, overdue."""

    when: datetime
    kind: str
    result: str
    level: int


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup of one source. `suffix` is the archive's after `.tar`; `bytes` its size, 0 where it is missing.

    `manifest`: killick finished it. `older`: a script's archive, whose id is its key below the project's folder.
    `evidence` is oldest first.
    """

    project: str
    id: str
    source: str
    time: datetime
    bytes: int = 0
    suffix: str | None = None
    manifest: bool = False
    older: bool = False
    evidence: tuple[Evidence, ...] = ()

    @property
    def archive(self) -> str:
        """The archive's key, "" where there is none."""
        if self.older:
            return f"{self.project}/{self.id}"
        return "" if self.suffix is None else layout.archive(self.project, self.id, self.suffix)

    @property
    def verdict(self) -> Evidence | None:
        """The verification that counts: the newest conclusive one.

        An unverifiable one hides nothing; a passed one of a lower level than it takes to prove neither hides a
        better one nor heals a failure that came later than it looked.
        """
        enough = PROVEN_OLDER if self.older else PROVEN
        current: Evidence | None = None
        for record in self.evidence:
            if record.kind not in _NO_VERIFICATION and (current is None or _outweighs(record, current, enough)):
                current = record
        return current

    @property
    def proven(self) -> bool:
        verdict = self.verdict
        enough = PROVEN_OLDER if self.older else PROVEN
        return verdict is not None and verdict.result == "passed" and verdict.level >= enough

    @property
    def failed(self) -> bool:
        """Its last conclusive verification failed."""
        verdict = self.verdict
        return verdict is not None and verdict.result == "failed"

    @property
    def broken(self) -> bool:
        """It failed, and not at the project's own command (level 6) alone.

        That is of today: a backup from before a migration may fail it, and is no worse for that.
        """
        verdict = self.verdict
        return verdict is not None and verdict.result == "failed" and verdict.level < _SOUND


def _outweighs(new: Evidence, current: Evidence, enough: int) -> bool:
    match (new.result, current.result):
        case ("failed", _):
            return True
        case ("passed", "passed"):
            return new.level >= min(current.level, enough)
        case ("passed", "failed"):
            return new.level >= enough or new.level > current.level
        case ("passed", _):
            return True
        case _:
            return current.result == new.result


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt that failed; `kind` is the error's slug."""

    id: str
    source: str
    time: datetime
    kind: str


_Sourced = TypeVar("_Sourced", Backup, Failed)


@dataclass(frozen=True, slots=True)
class Held:
    """A lock's key. `modified` is by the store's clock."""

    source: str
    generation: int
    modified: datetime


@dataclass(frozen=True)
class Catalog:
    """A project's state; everything newest first.

    `partial` are archives of killick's own without a manifest: shown, never restored, never touched.
    `remains` are pruned backups of which the evidence is left.
    """

    project: str
    backups: tuple[Backup, ...] = ()
    partial: tuple[Backup, ...] = ()
    remains: tuple[Backup, ...] = ()
    failures: tuple[Failed, ...] = ()
    locks: tuple[Held, ...] = ()

    def of(self, source: str) -> list[Backup]:
        """The source's backups, killick's own and older ones."""
        return [b for b in self.backups if b.source == source]

    def choices(self, source: str) -> list[Backup]:
        """What a verification may be of: killick's own, and the older ones of a source that has none."""
        found = self.of(source)
        return [b for b in found if not b.older] or found

    @property
    def sources(self) -> list[str]:
        return sorted({b.source for b in self.backups} | {f.source for f in self.failures})

    def parts(self) -> dict[str, Catalog]:
        """Each source's own, without the locks."""
        backups, partial, remains = (_grouped(kind) for kind in (self.backups, self.partial, self.remains))
        failures = _grouped(self.failures)
        return {
            source: Catalog(
                self.project,
                tuple(backups.get(source, ())),
                tuple(partial.get(source, ())),
                tuple(remains.get(source, ())),
                tuple(failures.get(source, ())),
            )
            for source in sorted({*backups, *partial, *remains, *failures})
        }


def _grouped(kind: Iterable[_Sourced]) -> dict[str, list[_Sourced]]:
    groups: dict[str, list[_Sourced]] = {}
    for one in kind:
        groups.setdefault(one.source, []).append(one)
    return groups


def read(store: Store, project: str, zone: tzinfo = UTC) -> Catalog:
    """One pass over the project's keys. `zone` is of older archives' stamps."""
    return scan(project, store.list(f"{project}/"), zone)


def fleet(store: Store, zone: tzinfo = UTC) -> Iterator[Catalog]:
    """Every project in the store, one pass; each is given as soon as it is read."""
    for project, stored in groupby(store.list(""), lambda s: s.key.partition("/")[0]):
        catalog = scan(project, stored, zone)
        if catalog != Catalog(project):
            yield catalog


@dataclass(slots=True)
class _Draft:
    source: str
    time: datetime
    bytes: int = 0
    suffix: str | None = None
    manifest: bool = False
    older: bool = False
    evidence: list[Evidence] = field(default_factory=list)


def scan(project: str, stored: Iterable[Stored], zone: tzinfo = UTC) -> Catalog:
    """What these keys tell; those that nobody of ours wrote are passed over."""
    drafts: dict[str, _Draft] = {}
    failures: list[Failed] = []
    locks: list[Held] = []
    project = sys.intern(project)
    for one in stored:
        if key := layout.parse(project, one.key):
            if key.part == "failed":
                failures.append(Failed(key.id, sys.intern(key.source), key.time, sys.intern(key.failed)))
                continue
            draft = drafts.setdefault(key.id, _Draft(sys.intern(key.source), key.time))
            if key.part == "archive":
                tail = one.key.removeprefix(layout.archive(project, key.id, ""))
                draft.suffix, draft.bytes = sys.intern(tail), one.bytes
            elif key.part == "manifest":
                draft.manifest = True
            else:
                draft.evidence.append(_evidence(key))
        elif lock := layout.parse_lock(project, one.key):
            locks.append(Held(*lock, one.modified))
        elif found := older.parse(project, one.key, zone):
            draft = drafts.setdefault(found.id, _Draft(older.SOURCE, found.time or one.modified, older=True))
            if found.evidence:
                draft.evidence.append(_evidence(found.evidence))
            else:
                draft.time = found.time or one.modified
                draft.bytes, draft.suffix = one.bytes, ""
    built = [_built(project, id, draft) for id, draft in drafts.items()]
    built.sort(key=lambda b: (b.time, b.id), reverse=True)
    return Catalog(
        project=project,
        backups=tuple(b for b in built if b.manifest or (b.older and b.suffix is not None)),
        partial=tuple(b for b in built if not b.manifest and not b.older and b.suffix is not None),
        remains=tuple(b for b in built if not b.manifest and b.suffix is None),
        failures=tuple(sorted(failures, key=lambda f: (f.time, f.id), reverse=True)),
        locks=tuple(locks),
    )


def _built(project: str, id: str, draft: _Draft) -> Backup:
    evidence = tuple(sorted(draft.evidence, key=lambda e: e.when))
    return Backup(
        project, id, draft.source, draft.time, draft.bytes, draft.suffix, draft.manifest, draft.older, evidence
    )


def _evidence(key: layout.Key) -> Evidence:
    return Evidence(key.when or key.time, sys.intern(key.kind), sys.intern(key.result), key.level)
