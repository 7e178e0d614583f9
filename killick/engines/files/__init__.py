"""A folder: uploads, media, whatever a project keeps in files. The URL is file:///absolute/path.

    tree.py        what lies in a folder, and which of it is left out
    copying.py     one file, with its holes and its hash; cloning.py: a folder as it is
    marks.py       killick's own folder, .killick, which is no part of what a folder holds
    places.py      where others are that are to take a folder's place; renaming.py: how they can
    swap.py        what is in a place comes into use; beside.py: who asks for that, and when
    engine.py      the engine

Kept: names of any bytes, modes with their special bits, owners, times of change to the nanosecond, links (never
followed), hard links, holes, empty folders. Not kept: times of access; with a note, extended attributes and ACLs.
Sockets, devices and pipes are left out with a note.
"""

from __future__ import annotations

from killick.contents import Contents
from killick.engines import Engine, Source

SCHEMES = ("file",)


def connect(source: Source) -> Engine:
    from killick.engines.files.engine import Files  # not needed to know what engines there are

    return Files(source)


def parts(contents: Contents) -> dict[str, tuple[str, ...]]:
    """Files, links and folders; a folder means all that is in it."""
    return {path: (f"{path}/",) for path in (*contents.tables, *contents.groups.get("attributes", {}))}
