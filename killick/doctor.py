"""What is checked before anything goes wrong: each line says what was looked at, and the cure where it is not well."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

from killick import checks, dropins, throwaway
from killick.archive import Recipe
from killick.codecs import missing_programs
from killick.engines import Check, Source, connect
from killick.errors import KillickError, NotFound, SettingsError, Taken, Unverifiable
from killick.figures import age, size
from killick.limits import limits
from killick.proof import Standing, standing
from killick.session import Session
from killick.signing import public_half
from killick.stores import Store
from killick.stream import Scratch

_SKEW = 300  # seconds; S3 refuses requests whose clock is 15 minutes off, and locks expire after 5
_LEAST_MEMORY = 200 << 20  # lrzip with its smallest window, and ourselves


def check_store(store: Store, project: str, folder: Path) -> Iterator[Check]:
    """Writes, lists, reads and deletes one small object; asks for conditional puts; compares the clocks."""
    key = f"{project}/doctor-{uuid4().hex}.tmp"
    probe, back = folder / "probe", folder / "back"
    probe.write_bytes(b"killick doctor\n")
    before = datetime.now(UTC)
    try:
        store.put(key, probe)
    except KillickError as error:
        yield Check("store: can be written", False, str(error))
        return
    yield Check("store: can be written", True)
    try:
        listed = [stored for stored in store.list(key) if stored.key == key]
        yield Check(
            "store: can be listed", bool(listed), "the object just written is not listed: is this bucket cached?"
        )
        store.get(key, back)
        same = back.read_bytes() == probe.read_bytes()
        yield Check("store: gives back what was written", same, "the object read differs from the one written")
        yield _clock(listed[0].modified if listed else before, before)
        yield _conditional(store, key, probe)
    except KillickError as error:
        yield Check("store: can be read", False, str(error))
    yield _deletable(store, key)


def _clock(theirs: datetime, ours: datetime) -> Check:
    skew = (ours - theirs).total_seconds()
    return Check(
        f"clock: {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the store's",
        abs(skew) < _SKEW,
        "set this host's clock (timedatectl set-ntp true): a clock that is off makes wrong names and lost locks",
    )


def _conditional(store: Store, key: str, probe: Path) -> Check:
    what = "store: refuses to overwrite where asked to (conditional puts)"
    try:
        store.put(key, probe, if_absent=True)
    except Taken:
        return Check(what, True)
    return Check(
        what, False, "this store overwrites: locks across hosts are then best effort; run one sidecar per project"
    )


def _deletable(store: Store, key: str) -> Check:
    what = "store: objects can be deleted"
    try:
        store.delete(key)
        left = any(stored.key == key for stored in store.list(key))
    except NotFound:
        left = False
    except KillickError as error:
        return Check(what, False, f"{error}; or set PRUNE=off and let the bucket's lifecycle rules prune")
    return Check(what, not left, "the object is still there: does the bucket keep it under object lock? set PRUNE=off")


def check_source(source: Source, scratch: Scratch) -> Iterator[Check]:
    """The engine's own checks, and the room that its size needs."""
    try:
        engine = connect(source)
        yield from (Check(f"{source.name}: {check.what}", check.ok, check.cure) for check in engine.checks())
        facts = engine.facts()
    except KillickError as error:
        yield Check(f"{source.name}: can be reached", False, str(error))
        return
    free, needed = scratch.free(), facts.bytes + facts.largest + facts.bytes // 2
    yield Check(
        f"{source.name}: scratch has {size(free)} free for {size(needed)}",
        free >= needed,
        f"give SCRATCH_DIR ({scratch.root}) a larger volume",
    )


def check_host(scratch: Scratch, recipe: Recipe, zone: ZoneInfo) -> Iterator[Check]:
    """Scratch, programs, memory, time zone."""
    try:
        with scratch.folder():
            yield Check(f"scratch: {scratch.root} can be written", True)
    except KillickError as error:
        yield Check("scratch: can be written", False, str(error))
    missing = missing_programs(recipe.codec, encrypted=bool(recipe.recipients))
    yield Check(
        f"programs: {recipe.codec}{' and age' if recipe.recipients else ''}",
        not missing,
        f"install {', '.join(missing)}, or choose another CODEC",
    )
    may_use = limits()
    yield Check(
        f"memory: {size(may_use.memory)}, {may_use.cpus} processors",
        may_use.memory >= _LEAST_MEMORY,
        "lrzip needs about 200 MB: raise the container's limit, or set CODEC=zstd",
    )
    yield Check(f"time zone: {zone.key}, where it is {datetime.now(zone):%H:%M} now", True)


def check_throwaway(where: str) -> Check:
    """Whether verifications have a place, as far as that can be told before a backup's version is known."""
    try:
        return Check(f"verification: in a {throwaway.first(where)}", True)
    except Unverifiable as error:
        return Check(
            f"verification: {error.message}", False, f"{error.hint}; or VERIFY_IN=off, where a verifier does it"
        )


def check_evidence(private: str) -> Check:
    """Whether what this killick records is signed, and by which key: whoever is to check it needs the public half."""
    return Check(f"evidence: signed by {public_half(private)}" if private else "evidence: not signed", True)


def check_checks(folder: Path, sources: Collection[str]) -> Iterator[Check]:
    """The project's own checks, as far as can be told before they are asked; nothing where there are none."""
    try:
        found = {(check.name, check) for source in ("", *sources) for check in checks.read(folder, source)}
    except SettingsError as error:
        yield from _not_read("checks", error)
        return
    yield from check_strays("checks", folder, sources)
    if found:
        yield Check(f"checks: {len(found)} in {folder}", True)


def check_strays(what: str, folder: Path, sources: Collection[str]) -> Iterator[Check]:
    """Folders of scripts that no source has: whoever misspelt a name would wait for them in vain."""
    try:
        strays = dropins.strays(folder, sources)
    except SettingsError as error:
        yield from _not_read(what, error)
        return
    for name in strays:
        yield Check(
            f"{what}: {folder / name} is no source's, and is not read", False, f"the sources are {', '.join(sources)}"
        )


def _not_read(what: str, error: SettingsError) -> Iterator[Check]:
    return (Check(f"{what}: {problem}", False, error.hint) for problem in error.problems)


def check_proof(source: str, found: Standing, limit: float, now: datetime) -> Check:
    """Whether something of a source was proven as lately as VERIFY_MAX_AGE asks (`limit`, seconds)."""
    since = found.since or now
    lately = f"was proven restorable {age(now, since)} ago" if found.proven else "was not proven restorable yet"
    return Check(
        f"verification: {source} {lately}",
        (now - since).total_seconds() <= limit,
        f"VERIFY_MAX_AGE is {limit / 86400:g} days: killick verify latest --source {source} says why",
    )


def examine(session: Session) -> Iterator[Check]:
    """Everything that a run of the sidecar needs; what is well has no cure.

    Settings that are wrong never get here: they are told all at once.
    """
    for check in _examine(session):
        yield Check(check.what, check.ok, "" if check.ok else check.cure)


def _examine(session: Session) -> Iterator[Check]:
    given = session.settings
    yield Check(f"settings: project {given.project}, {len(given.sources)} sources, store {given.store}", True)
    yield from check_host(session.scratch, session.recipe, given.zone)
    try:
        with session.scratch.folder() as folder:
            yield from check_store(session.store, given.project, folder)
    except KillickError as error:
        yield Check("store: can be reached", False, str(error))
    for source in given.sources:
        yield from check_source(source, session.scratch)
    names = [source.name for source in given.sources]
    yield from check_checks(given.verify.checks, names)
    yield from check_strays("hooks", given.hooks, names)
    if not given.verifies_nothing:
        yield check_throwaway(given.verify.where)
        with suppress(KillickError):  # the store's own lines tell
            catalog, now = session.catalog(), datetime.now(UTC)
            for name in sorted({backup.source for backup in catalog.backups}):
                yield check_proof(name, standing(catalog, name, given.verify.level), given.verify.max_age, now)
    yield check_evidence(given.verify.evidence_key)
