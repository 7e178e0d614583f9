"""A backup on its way back: fetch, check, decode, load. The steps that restore, verify and move share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from killick.archive import MANIFEST
from killick.codecs import AGE, by_name, decode, decrypt, of_this_machine
from killick.contents import Contents
from killick.errors import CommandFailed, Corrupt, NoSpace, NotFound
from killick.figures import size
from killick.manifest import Archive, Manifest, loads
from killick.stores import Store
from killick.stream import Measure, Scratch, measure
from killick.tar import unpack
from killick.watch import Phases, Watch

__all__ = ["MANIFEST", "Opened", "agreed", "archive_of", "check", "decoded", "download", "fetch", "open_archive"]

_BEFORE = "restore the backup before it: killick list"


@dataclass(frozen=True)
class Opened:
    """A backup that was fetched, checked and decoded. `folder` is what the engine filled; `manifest` the whole one."""

    folder: Path
    manifest: Manifest

    @property
    def contents(self) -> Contents:
        return self.manifest.contents or Contents()


def check_room(manifest: Manifest, scratch: Scratch) -> None:
    """Raises NoSpace where what is in an archive would not fit into scratch: unpacked, and what is being decoded."""
    archive = archive_of(manifest)
    codec = by_name(archive.codec, manifest.id)
    needed = archive.raw_bytes + min(archive.raw_bytes, codec.window)
    if scratch.free() < needed:
        raise NoSpace(
            f"scratch {scratch.root} has {size(scratch.free())} free, and opening {manifest.id} takes {size(needed)}",
            "give SCRATCH_DIR a larger volume",
        )


def fetch(store: Store, manifest: Manifest, folder: Path, phases: Phases) -> Path:
    """Downloads the archive into `folder` and compares size and SHA-256, before anything is decoded.

    Raises Corrupt when they differ or the object is gone: lrzip would decode all the wrong bytes first.
    """
    path = folder / archive_of(manifest).key.rpartition("/")[2]
    download(store, manifest, path, phases)
    check(path, manifest, phases)
    return path


def download(store: Store, manifest: Manifest, path: Path, phases: Phases) -> None:
    """The first half of `fetch`: goes on with what an earlier one left there. Raises Corrupt when it is gone."""
    archive = archive_of(manifest)
    with phases.phase("download") as watch:
        try:
            store.get(archive.key, path, watch=watch)
        except NotFound:
            raise Corrupt(f"{manifest.id}: its archive {archive.key} is not in the store", _BEFORE) from None


def check(path: Path, manifest: Manifest, phases: Phases) -> None:
    """The second half of `fetch`. Raises Corrupt when it is not the archive that the manifest describes."""
    archive = archive_of(manifest)
    with phases.phase("check") as watch:
        seen = measure(path, watch)
        if seen.size != archive.bytes:
            raise Corrupt(f"{manifest.id} has {seen.size} bytes, its manifest says {archive.bytes}", _BEFORE)
        if seen.sha256 != archive.sha256:
            raise Corrupt(f"{manifest.id} does not match its SHA-256", _BEFORE)


def open_archive(
    path: Path, outer: Manifest, folder: Path, phases: Phases, identity: str = "", *, keep: bool = False
) -> Opened:
    """Decrypts, decodes and unpacks a checked archive into `folder`, and compares what it says of itself.

    The archive is deleted on the way, unless it is to `keep`. Raises Corrupt when it does not decode to what was
    encoded, or when the manifest inside is not that of the one beside: an archive of another source, or an older one
    under this name.
    """
    inside = folder / "dump"
    inside.mkdir()
    with decoded(path, outer, folder, phases, identity, keep=keep) as tar:
        unpack(tar, inside)
    inner = agreed(inside / MANIFEST, outer)
    (inside / MANIFEST).unlink()
    return Opened(inside, inner)


@contextmanager
def decoded(
    path: Path, outer: Manifest, folder: Path, phases: Phases, identity: str = "", *, keep: bool = False
) -> Iterator[Iterator[bytes]]:
    """The tar in a checked archive, decrypted and decoded; `folder` is scratch.

    The archive is deleted, unless it is to `keep`. Raises Corrupt, from the iteration's end at the latest, when it is
    not what was encoded.
    """
    archive = archive_of(outer)
    codec = by_name(archive.codec, outer.id)
    if path.name.endswith(AGE):
        with phases.phase("decrypt"):
            plain = folder / path.name.removesuffix(AGE)
            decrypt(path, plain, identity)
            if not keep:
                path.unlink()
            path, keep = plain, False
    with phases.phase("decode") as watch:
        try:
            with decode(codec, path, folder) as data:
                yield _measured(data, archive, outer.id, watch)
        except CommandFailed as error:
            if of_this_machine(error):
                raise
            raise Corrupt(f"{outer.id} does not decode: {error.message}", _BEFORE) from None
        finally:
            if not keep:
                path.unlink(missing_ok=True)


def _measured(data: Iterable[bytes], archive: Archive, id: str, watch: Watch) -> Iterator[bytes]:
    raw = Measure()
    for chunk in data:
        raw.update(chunk)
        watch(raw.size, archive.raw_bytes)
        yield chunk
    if (raw.size, raw.sha256) != (archive.raw_bytes, archive.raw_sha256):
        raise Corrupt(f"{id} does not decode to what was encoded", _BEFORE)


def agreed(path: Path, outer: Manifest) -> Manifest:
    """The manifest that was inside the archive. Raises Corrupt when it is none, or not that of the same backup."""
    try:
        inner = loads(path.read_bytes(), f"the manifest inside {outer.id}")
    except FileNotFoundError:
        raise Corrupt(f"{outer.id} holds no manifest", _BEFORE) from None
    differs = outer.differs_from(inner)
    if differs:
        raise Corrupt(
            f"{outer.id} is not what its manifest says: {differs} is {_of(inner, differs)} inside the archive and "
            f"{_of(outer, differs)} beside it",
            "the object or the manifest was swapped or edited; " + _BEFORE,
        )
    return inner


def _of(manifest: Manifest, name: str) -> str:
    value = getattr(manifest, name)
    return repr(value) if isinstance(value, str) else "something else"


def archive_of(manifest: Manifest) -> Archive:
    """Raises Corrupt when it names none."""
    if manifest.archive is None:
        raise Corrupt(f"the manifest of {manifest.id} names no archive", _BEFORE)
    return manifest.archive
