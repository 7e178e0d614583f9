"""Making the archive of one backup, storing it, and the manifest last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from killick import __version__, layout
from killick.codecs import AGE, Choice, decode, encode, encrypt
from killick.contents import Contents
from killick.engines import Engine, Facts
from killick.errors import Corrupt, EmptyDump, KillickError, NoSpace
from killick.figures import size
from killick.manifest import Archive, Manifest
from killick.stores import Store, Takes
from killick.stream import Measure, measure, write_whole
from killick.tar import attributes_of, pack
from killick.watch import Phases, Watch

MANIFEST = "manifest.json"
"""The first member of every archive."""


@dataclass(frozen=True)
class Recipe:
    """How archives are made: what the settings say, once for a run. `jobs` is for the dump."""

    codec: Choice
    recipients: tuple[str, ...] = ()
    read_back: bool = True
    jobs: int = 2

    @property
    def suffix(self) -> str:
        return self.codec.codec.suffix + (AGE if self.recipients else "")


def check_room(facts: Facts, recipe: Recipe, folder: Path, free: int) -> None:
    """Raises NoSpace when the dump, its largest table and the archive would not fit into scratch.

    A dump's text may be larger than the tables' files; what is checked is the size that the server tells.
    """
    archive = facts.bytes if recipe.codec.codec.name == "none" else facts.bytes // 2
    needed = facts.bytes + facts.largest + archive
    if free < needed:
        raise NoSpace(
            f"scratch {folder} has {size(free)} free, and this backup may need {size(needed)} "
            f"({size(facts.bytes)} of data, its largest table once more, the archive)",
            "give SCRATCH_DIR a larger volume",
        )


def save(
    engine: Engine,
    facts: Facts,
    draft: Manifest,
    store: Store,
    recipe: Recipe,
    folder: Path,
    phases: Phases,
    still_ours: Callable[[], None] = lambda: None,
) -> Manifest:
    """Dumps, packs, encodes, reads back while it uploads, and writes the manifest last.

    `draft` names the backup (id, project, source, started); `folder` is scratch. `still_ours` is asked before the
    manifest is written, and raises when the lock was lost. On any error nothing of this backup stays in the store.
    """
    dump = folder / "dump"
    dump.mkdir()
    with phases.phase("dump") as watch:
        contents = engine.dump(dump, recipe.jobs, watch)
        _not_empty(dump, draft)
    inner = _inner(draft, facts, contents, recipe, phases)
    path = folder / f"archive{recipe.codec.codec.suffix}"
    with phases.phase("compress") as watch:
        members = pack(dump, (MANIFEST, inner.dumps().encode()), attributes_of(contents))
        encoded = encode(recipe.codec, members, path, watch)
    stored_path = path
    if recipe.recipients:
        with phases.phase("encrypt"):
            stored_path = folder / f"archive{recipe.suffix}"
            encrypt(path, stored_path, recipe.recipients)
    whole = measure(stored_path)
    key = layout.archive(draft.project, draft.id, recipe.suffix)
    archive = Archive(
        key, whole.size, whole.sha256, encoded.raw.size, encoded.raw.sha256, str(recipe.codec), encoded.seconds
    )
    with phases.phase("store") as watch:
        _upload(store, key, stored_path, whole, path, archive, recipe, watch)
        with _withdrawn_on_error(store, key):
            still_ours()
            outer = replace(inner.outer(archive), finished=_now(), seconds=phases.so_far())
            beside = folder / MANIFEST
            write_whole(beside, outer.dumps().encode())
            place = layout.manifest(draft.project, draft.id)
            store.put(place, beside, if_absent=True, sha256=measure(beside).sha256)
    return outer


@contextmanager
def _withdrawn_on_error(store: Store, key: str) -> Iterator[None]:
    """Nothing that was stored stays when what follows it fails; the first error is the one that is told."""
    try:
        yield
    except BaseException:
        with suppress(KillickError):
            store.delete(key)
        raise


def _inner(draft: Manifest, facts: Facts, contents: Contents, recipe: Recipe, phases: Phases) -> Manifest:
    return replace(
        draft,
        engine=facts.engine,
        finished=_now(),
        snapshot=contents.snapshot or draft.started,
        server_version=facts.server_version,
        client_version=facts.client_version,
        identity=facts.identity,
        database=facts.database,
        contents=contents,
        details=facts.details,
        roles=contents.roles,
        recipients=recipe.recipients,
        seconds=dict(phases.seconds),
        warnings=(*facts.warnings, *contents.notes),
        read_back=recipe.read_back,
        killick=__version__,
    )


def _not_empty(dump: Path, draft: Manifest) -> None:
    if not any(path.is_file() or path.is_symlink() or path.is_dir() for path in dump.iterdir()):
        raise EmptyDump(f"{draft.source}: the dump left nothing behind", "run it by hand: killick doctor")


def _upload(
    store: Store, key: str, path: Path, whole: Measure, encoded: Path, archive: Archive, recipe: Recipe, watch: Watch
) -> None:
    """Uploads; beside it the codec's output is decoded once and compared with what went in. `path` may be gone then."""
    if not recipe.read_back and isinstance(store, Takes) and store.take(key, path):
        return
    reader = _ReadBack(encoded, archive, recipe) if recipe.read_back else None
    if reader:
        reader.start()
    store.put(key, path, if_absent=True, sha256=whole.sha256, watch=watch)
    if reader:
        with _withdrawn_on_error(store, key):
            reader.finish()


class _ReadBack(threading.Thread):
    """Decodes what the codec wrote. A daemon: if the upload fails nobody waits, and its program dies with us."""

    def __init__(self, path: Path, archive: Archive, recipe: Recipe) -> None:
        super().__init__(name="read-back", daemon=True)
        self._path, self._archive, self._recipe = path, archive, recipe
        self._error: BaseException | None = None
        self._same = False

    def run(self) -> None:
        try:
            seen = Measure()
            with decode(self._recipe.codec.codec, self._path, self._path.parent) as data:
                for chunk in data:
                    seen.update(chunk)
            self._same = (seen.size, seen.sha256) == (self._archive.raw_bytes, self._archive.raw_sha256)
        except BaseException as error:  # told by `finish`, in the thread that waits
            self._error = error

    def finish(self) -> None:
        self.join()
        if isinstance(self._error, KillickError):
            raise self._error
        if self._error is not None:
            raise Corrupt(f"{self._archive.key} could not be read back: {self._error}", "try another CODEC")
        if not self._same:
            raise Corrupt(f"{self._archive.key} does not decode to what was encoded", "try another CODEC")


def _now() -> str:
    return layout.rfc3339(datetime.now(UTC))
