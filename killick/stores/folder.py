"""A folder as a store: file:///backups. For a disk, a volume, an NFS share."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from killick.errors import KillickError, NoSpace, NotFound, SettingsError, StoreDenied, StoreError, Taken
from killick.stores import Access, Stored
from killick.stores._partial import Partial
from killick.stream import Measure, chunks, sync_folder
from killick.watch import Watch, unwatched

SCHEMES = ("file",)
TRIAL = "file://{folder}"

_PART = ".part"
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_TRIES = 5  # a folder may be removed, being empty, between making it and writing into it


def connect(url: str, access: Access) -> Folder:
    """Raises SettingsError for a URL that names another host or no absolute path."""
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute():
        raise SettingsError(f"STORE: {url!r} has to be file:// and an absolute path, as in file:///backups")
    return Folder(path)


@dataclass(frozen=True)
class Folder:
    """A put writes `.<name>.<random>.part` beside, and renames it; such names are never listed."""

    root: Path

    def put(
        self, key: str, path: Path, *, if_absent: bool = False, sha256: str = "", watch: Watch = unwatched
    ) -> Stored:
        target = self._target(key)
        with self._explained(key):
            part = self._copy(target, path, key, sha256, watch)
            try:
                stat = part.stat()
                if if_absent:
                    _link(part, target, key)
                else:
                    part.replace(target)
            finally:
                part.unlink(missing_ok=True)
            sync_folder(target.parent)
            found = target.stat()
            if found.st_ino == stat.st_ino and found.st_size != stat.st_size:
                raise StoreError(f"{key} has {found.st_size} bytes, and {stat.st_size} were written")
        return _stored(key, stat, sha256)

    def take(self, key: str, path: Path) -> Stored | None:
        target = self._target(key)
        part = target.with_name(f".{target.name}.{secrets.token_hex(8)}{_PART}")
        with self._explained(key):
            _make_folders(part.parent)
            try:
                path.rename(part)
            except OSError:  # another disk
                return None
            try:
                part.chmod(0o600)
                with part.open("rb") as file:
                    os.fsync(file.fileno())
                _link(part, target, key)
            finally:
                part.unlink(missing_ok=True)
            sync_folder(target.parent)
            return _stored(key, target.stat())

    def get(self, key: str, path: Path, *, watch: Watch = unwatched) -> None:
        source = self._target(key)
        with self._explained(key), source.open("rb") as file, Partial(path) as partial:
            stored = _stored(key, os.fstat(file.fileno()))
            partial.begin(stored.etag, stored.bytes)
            file.seek(partial.have)
            for chunk in chunks(file):
                partial.write(file.tell() - len(chunk), chunk)
                watch(file.tell(), stored.bytes)
                partial.keep()
            partial.finish(key)

    def list(self, prefix: str) -> Iterator[Stored]:
        folder, _, _ = prefix.rpartition("/")
        if folder:
            self._target(f"{folder}/x")
        with self._explained(prefix):
            yield from self._walk(self.root / folder, f"{folder}/" if folder else "", prefix)

    def delete(self, key: str) -> None:
        target = self._target(key)
        with self._explained(key):
            target.unlink(missing_ok=True)
            with suppress(OSError):  # one that is not empty stays, and so do those above it
                for folder in target.parents:
                    if folder == self.root:
                        break
                    folder.rmdir()

    def sweep(self, key: str) -> int:
        """The parts that killed puts of `key` left."""
        target = self._target(key)
        with self._explained(key):
            parts = [p for p in target.parent.glob(f".*{_PART}") if _part_of(p.name) == target.name]
            for part in parts:
                part.unlink(missing_ok=True)
        return len(parts)

    def _target(self, key: str) -> Path:
        """Where `key` lies. Raises StoreError for one that would lie elsewhere, also by a symbolic link."""
        pieces = key.split("/")
        target = self.root / key
        if {"", ".", ".."} & set(pieces) or "\0" in key or _part_of(pieces[-1]):
            raise StoreError(f"{key!r} cannot be a key of a folder")
        if not target.parent.resolve().is_relative_to(self.root.resolve()):
            raise StoreError(f"{key!r} leads out of {self.root}", "a symbolic link there points elsewhere")
        return target

    def _copy(self, target: Path, path: Path, key: str, sha256: str, watch: Watch) -> Path:
        """The content beside its final name, on the disk."""
        part = target.with_name(f".{target.name}.{secrets.token_hex(8)}{_PART}")
        seen = Measure()
        with path.open("rb") as source:
            total = os.fstat(source.fileno()).st_size
            descriptor = self._create(part)
            try:
                with os.fdopen(descriptor, "wb") as out:
                    for chunk in chunks(source):
                        seen.update(chunk)
                        out.write(chunk)
                        watch(seen.size, total)
                    out.flush()
                    os.fsync(out.fileno())
                _same(key, part.stat().st_size, seen, total, sha256)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        return part

    def _create(self, part: Path) -> int:
        for _ in range(_TRIES):
            _make_folders(part.parent)
            with suppress(FileNotFoundError):
                return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        raise StoreError(f"{part.parent} goes away again and again", "is somebody else clearing up there?")

    def _walk(self, folder: Path, above: str, prefix: str) -> Iterator[Stored]:
        try:
            entries = sorted(
                os.scandir(folder),
                key=lambda e: os.fsencode(f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name),
            )
        except (FileNotFoundError, NotADirectoryError):
            return  # never made, or removed as we came
        for entry in entries:
            key = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/"):
                    yield from self._walk(Path(entry.path), f"{key}/", prefix)
            elif key.startswith(prefix) and not _part_of(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    yield _stored(key, entry.stat(follow_symlinks=False))

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turns what the system says into an error with its cure."""
        try:
            yield
        except KillickError:
            raise
        except FileNotFoundError as error:
            if error.filename is None or Path(error.filename) != self.root / key:
                raise StoreError(f"{error.filename} is not there") from None
            raise NotFound(f"there is no {key} in {self.root}", "killick list shows what there is") from None
        except OSError as error:
            where = error.filename or self.root / key
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise StoreDenied(
                    f"{where}: {error.strerror} for uid {os.getuid()}",
                    f"make it its own: chown -R {os.getuid()} {self.root}, on the machine whose folder it is"
                    if error.errno != errno.EROFS
                    else "mount it writable",
                ) from None
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoSpace(f"no space left for {where}", "free some, or keep fewer backups (KEEP_…)") from None
            raise StoreError(f"{where}: {error.strerror or type(error).__name__}") from None


def _stored(key: str, stat: os.stat_result, sha256: str = "") -> Stored:
    etag = f"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}"
    return Stored(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC), etag, sha256)


def _part_of(name: str) -> str:
    """The final name of a part, "" of anything else."""
    inner, dot, token = name.removesuffix(_PART).rpartition(".")
    whole = name.startswith(".") and name.endswith(_PART) and dot and len(token) == 16
    return inner[1:] if whole and not token.strip("0123456789abcdef") else ""


def _same(key: str, written: int, seen: Measure, total: int, sha256: str) -> None:
    if not written == seen.size == total:
        raise StoreError(f"{key}: {total} bytes were to be written, and {written} were")
    if sha256 and seen.sha256 != sha256:
        raise StoreError(f"{key}: what was written does not have the SHA-256 that it should have")


def _make_folders(folder: Path) -> None:
    """Each new one is told to the disk."""
    if not folder.is_dir():
        _make_folders(folder.parent)
        with suppress(FileExistsError, FileNotFoundError):
            folder.mkdir(mode=0o700)
            sync_folder(folder.parent)


def _link(part: Path, target: Path, key: str) -> None:
    """Gives `part` its name unless that is in use: one of many processes wins, on NFS too. Raises Taken."""
    try:
        os.link(part, target)
    except FileExistsError:
        # NFS may lose the answer and ask twice: with two names, the first time was ours.
        if part.stat().st_nlink != 2:
            raise Taken(f"{key} is in use") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Without hard links (CIFS, exFAT) the name is claimed first: a crash just here leaves it empty.
        try:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise Taken(f"{key} is in use") from None
        part.replace(target)
