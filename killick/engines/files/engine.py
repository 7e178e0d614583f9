"""The engine: a folder is copied into a dump, and a dump into a folder."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes, urlsplit

from killick.contents import Contents
from killick.engines import Check, Facts, Notes, Source, Swapped
from killick.engines.files import beside, dumping, loading, marks, tree
from killick.engines.files.swap import unfinished
from killick.engines.files.unread import Unread
from killick.errors import KillickError, SettingsError, SourceError, Unreachable
from killick.names import escaped
from killick.watch import Watch


class Files:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.root = _path(source)
        self.run = ""
        """Which run made the place that lies beside."""

    def facts(self) -> Facts:
        """A folder that is not there is empty: it can be restored into. Allocated bytes, hard links once."""
        there = os.path.lexists(self.root)
        seen: set[tuple[int, int]] = set()
        total = largest = 0
        for entry in tree.walk(self.root, self.source.exclude, lambda _path, _error: None) if there else ():
            if entry.file and (entry.at.st_nlink == 1 or (entry.at.st_dev, entry.at.st_ino) not in seen):
                if entry.at.st_nlink > 1:
                    seen.add((entry.at.st_dev, entry.at.st_ino))
                size = min(entry.at.st_size, entry.at.st_blocks * 512)
                total, largest = total + size, max(largest, size)
        return Facts(
            engine="files",
            server_version="",
            client_version="",
            database=escaped(self.root),
            identity="",
            bytes=total,
            largest=largest,
            empty=tree.empty(self.root),
            copy=marks.read(self.root).copy is not None,
            warnings=() if there else (f"{self.root} is not there",),
        )

    def dump(self, folder: Path, jobs: int, watch: Watch) -> Contents:
        """Raises AccessDenied when a file cannot be read, after looking at all; EmptyDump when there is nothing."""
        self._there()
        if unfinished(self.root):
            raise SourceError(
                f"source {self.source.name}: a restore exchanges what is in {self.root}, or was interrupted "
                "while it did",
                "wait until it is over; one that was interrupted is mended by the next restore, or killick restore "
                "--undo",
            )
        return dumping.dump(self.source.name, self.root, self.source.exclude, folder, watch)

    def load(
        self, folder: Path, jobs: int, contents: Contents, watch: Watch, only: Collection[str] | None = None
    ) -> Notes:
        """`only` names files and folders as the manifest does. Refused when something is in the target."""
        return loading.load(self.root, folder, contents, watch, only)

    def contents(self, like: Contents | None = None) -> Contents:
        """Where we may not give files away, those that are our own count as their owners': `like` tells them."""
        self._there()
        return loading.contents(self.source.name, self.root, self.source.exclude, like)

    def beside(self, origin: str, needed: int) -> Files:
        """The folder <root>__new, or one in <root>/.killick where the root cannot be renamed."""
        with beside.allowed(self.root):
            path, self.run = beside.place(self.root, origin, needed)
        return Files(replace(self.source, url=f"file://{quote(os.fsencode(path))}"))

    def swap(self, origin: str, *, copy: bool = True) -> Swapped:
        """In one step, where the root can be renamed and the file system knows how to exchange two names."""
        with beside.allowed(self.root):
            return beside.replaced(self.root, origin, self.run, copy)

    def undo(self) -> Notes:
        with beside.allowed(self.root):
            return beside.undone(self.root)

    def sweep(self) -> Notes:
        """Finishes a swap that was interrupted; one that left the root missing is taken back."""
        with beside.allowed(self.root):
            return beside.sweep(self.root)

    def clear(self, origin: str, *, copy: bool = True) -> None:
        with beside.allowed(self.root):
            beside.clear(self.root, origin, copy)

    def snapshot(self) -> Notes:
        """Files share their blocks with it until they are changed, where the file system can do that."""
        self._there()
        with beside.allowed(self.root):
            return beside.snapshot(self.source.name, self.root)

    def reset(self) -> Notes:
        with beside.allowed(self.root):
            return beside.reset(self.source.name, self.root)

    def checks(self) -> list[Check]:
        return list(self._checked())

    def _checked(self) -> Iterator[Check]:
        try:
            self._there()
            unread = Unread(self.source.name, self.root)
            files = 0
            for entry in tree.walk(self.root, self.source.exclude, unread.told):
                files += entry.file
                if entry.file:
                    unread.tries(entry.path)
            yield Check(f"{self.root} is there, with {files} files", True)
            unread.check()
            yield Check("all of them can be read", True)
        except KillickError as error:
            yield Check(error.message, False, error.hint)

    def _there(self) -> None:
        if not os.path.isdir(self.root):  # noqa: PTH112  # names of any bytes
            raise Unreachable(
                f"source {self.source.name}: {self.root} is not a folder, or not there",
                "mount the volume into killick's container at this path",
            )


def _path(source: Source) -> str:
    """Raises SettingsError for a URL of another shape: file://data would name a host."""
    parts = urlsplit(source.url)
    path = os.fsdecode(unquote_to_bytes(parts.path))
    if parts.netloc not in {"", "localhost"} or not path.startswith("/") or "\0" in path:
        raise SettingsError(
            f"source {source.name}: {source.url} does not name a folder of this machine: file:///absolute/path"
        )
    return os.path.normpath(path)
