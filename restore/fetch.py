"""A backup as a file that stock tools read."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from killick import bring, records
from killick.catalog import Backup
from killick.errors import Corrupt, NoSpace, Refused
from killick.older.names import unpacked
from killick.older.opening import check_older, decode_older, fetch_older
from killick.older.trees import is_tar
from killick.session import Session
from killick.stream import chunks
from killick.tar import unpack


def fetch(session: Session, backup: Backup, output: Path, *, into_folder: bool) -> Path:
    """Gives the path that was written. Whole or absent.

    Raises Refused where something is in the way or the manifest is of a later format, Corrupt, NoSpace.
    """
    if not backup.manifest and not backup.older:
        raise Corrupt(f"{backup.id} has no manifest", "killick list shows those that have one")
    try:
        _refuse_taken(output, into_folder)
    except OSError as error:
        raise _unwritable(output, error) from None
    if backup.older:
        return _fetch_older(session, backup, output, into_folder)
    manifest = records.manifest(session.store, backup)
    part = output.with_name(f"{output.name}.part")
    with session.scratch.folder() as folder, session.phases(backup.source) as phases:
        archive = bring.fetch(session.store, manifest, folder, phases)
        try:
            with bring.decoded(archive, manifest, folder, phases, session.settings.identity) as tar:
                if into_folder:
                    part.mkdir(parents=True)
                    unpack(tar, part)
                    bring.agreed(part / bring.MANIFEST, manifest)
                else:
                    part.touch(mode=0o600)
                    with part.open("wb") as file:
                        file.writelines(tar)
                    bring.agreed(_manifest_in(part, folder), manifest)
            part.replace(output)
        except OSError as error:
            raise _unwritable(output, error) from None
        finally:
            _forget(part)
    return output


def _fetch_older(session: Session, backup: Backup, output: Path, into_folder: bool) -> Path:
    """What a script packed, as it was: SQL text, a dump, a tar (into a folder: what is in the tar)."""
    part = output.with_name(f"{output.name}.part")
    with session.scratch.folder() as folder, session.phases(backup.source) as phases:
        archive = fetch_older(session.store, backup, folder, phases)
        inner, _ = decode_older(archive, backup, folder, phases)
        try:
            if into_folder:
                part.mkdir(parents=True)
            with inner.open("rb") as data:
                if into_folder and is_tar(inner):
                    unpack(chunks(data), part)
                else:
                    place = part / unpacked(backup.id) if into_folder else part
                    place.touch(mode=0o600)
                    with place.open("wb") as file:
                        file.writelines(chunks(data))
            check_older(inner, backup, folder, phases)
            part.replace(output)
        except OSError as error:
            raise _unwritable(output, error) from None
        finally:
            _forget(part)
    return output


def _refuse_taken(output: Path, into_folder: bool) -> None:
    if not into_folder and output.exists():
        raise Refused(f"{output} exists already", "name another file with -o")
    if into_folder and output.is_dir() and any(output.iterdir()):
        raise Refused(f"the folder {output} is not empty", "name another one with -o")


def _unwritable(output: Path, error: OSError) -> NoSpace:
    return NoSpace(f"{output} cannot be written: {error.strerror}", "name another place with -o")


def _manifest_in(tar: Path, folder: Path) -> Path:
    """The tar's first member, written into `folder`; a file that is not there when the tar has another."""
    path = folder / bring.MANIFEST
    with tarfile.open(tar) as members:
        first = members.next()
        data = members.extractfile(first) if first is not None and first.name == bring.MANIFEST else None
        if data is not None:
            path.write_bytes(data.read())
    return path


def _forget(part: Path) -> None:
    """What an error left of a download; nothing after a success."""
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)
