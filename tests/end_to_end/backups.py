"""A project with a few real backups in a folder store, and ways to damage them as the world does."""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from killick import archive, catalog, layout, manifest, stores
from killick.archive import MANIFEST, Recipe
from killick.catalog import Backup
from killick.codecs import Choice, decode, encode
from killick.engines import Source, connect
from killick.manifest import Manifest
from killick.stores import Store
from killick.stream import measure
from killick.tar import attributes_of, pack, unpack
from killick.watch import Phases

PROJECT = "shop"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Backups:
    """`folder` is the store's. Damages are done to what lies there, as somebody who knows the format could."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"

    @property
    def store(self) -> Store:
        return stores.connect(self.url)

    def copied(self, to: Path) -> "Backups":
        return Backups(Path(shutil.copytree(self.folder, to)))

    def make(self, source: Source, hours: int = 0, codec: str = "zstd", recipients: tuple[str, ...] = ()) -> str:
        """A backup of that moment; its id."""
        when = NOON + timedelta(hours=hours)
        engine = connect(source)
        draft = Manifest(
            layout.backup_id(when, source.name), PROJECT, source.name, "", layout.rfc3339(when), "", "", "", "", "", "",
            None,
        )  # fmt: skip
        recipe = Recipe(Choice.of(codec), recipients, read_back=False)
        with tempfile.TemporaryDirectory() as folder:
            archive.save(engine, engine.facts(), draft, self.store, recipe, Path(folder), Phases())
        return draft.id

    def find(self, id: str) -> Backup:
        return next(b for b in catalog.read(self.store, PROJECT).backups if b.id == id)

    def manifest(self, id: str) -> Manifest:
        return manifest.loads(self.beside(id).read_text(), id)

    def beside(self, id: str) -> Path:
        return self.folder / layout.manifest(PROJECT, id)

    def archive(self, id: str) -> Path:
        held = self.manifest(id).archive
        assert held is not None
        return self.folder / held.key

    def evidence(self, id: str) -> list[str]:
        """The names of the records beside it."""
        return sorted(path.name for path in (self.folder / PROJECT / f"{id}.evidence").glob("*"))

    def rewrite(self, id: str, **fields: Any) -> None:
        """The manifest beside, with these fields."""
        self.beside(id).write_text(replace(self.manifest(id), **fields).dumps())

    def remake(
        self,
        id: str,
        edit: Callable[[Path], object] = lambda _dump: None,
        changed: Callable[[Manifest], Manifest] = lambda inner: inner,
    ) -> None:
        """The same backup after `edit` of its dump and `changed` of its manifest, every hash put right again."""
        with tempfile.TemporaryDirectory() as place:
            folder, new = Path(place, "dump"), Path(place, "new")
            folder.mkdir()
            self.unpacked(id, folder)
            inner = changed(manifest.loads((folder / MANIFEST).read_text(), id))
            (folder / MANIFEST).unlink()
            edit(folder)
            assert inner.contents is not None
            members: Iterable[bytes] = pack(folder, (MANIFEST, inner.dumps().encode()), attributes_of(inner.contents))
            encoded = encode(Choice.of("zstd"), members, new)
            held = self.manifest(id).archive
            assert held is not None
            whole = measure(new)
            shutil.copyfile(new, self.folder / held.key)
            self.beside(id).write_text(
                inner.outer(
                    replace(
                        held, bytes=whole.size, sha256=whole.sha256, raw_bytes=encoded.raw.size,
                        raw_sha256=encoded.raw.sha256,
                    )
                ).dumps()
            )  # fmt: skip

    def unpacked(self, id: str, folder: Path) -> None:
        with decode(Choice.of("zstd").codec, self.archive(id), folder) as data:
            unpack(data, folder)

    def take_dump(self, id: str, other: str) -> None:
        """Backup `id` gets the dump of `other`, and keeps what its manifest promises."""
        with tempfile.TemporaryDirectory() as place:
            theirs = Path(place)
            self.unpacked(other, theirs)
            (theirs / MANIFEST).unlink()

            def swap(dump: Path) -> None:
                shutil.rmtree(dump)
                shutil.copytree(theirs, dump)

            self.remake(id, swap)
