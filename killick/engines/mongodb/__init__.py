"""MongoDB, through mongodump and mongorestore; what they lose is found by hashes over the documents.

address.py     the parts of a connection string; passwords in a file, never in argv
documents.py   an order-free sum over raw BSON: the same from a file and from a cursor
normal.py      options and indexes, written so that equal things look equal
folder.py      what mongodump left; oplog.py: what its oplog touches
server.py      what a live server tells
tools.py       the two programs
dumping.py     a dump; mending.py: what mongorestore would trip over in it; loading.py: a restore
names.py       what lies beside a database is called; marks.py: how it is known
beside.py      what lies there; copying.py: one collection; swap.py: what is there comes into use
scripts.py     the scripts of a restore
adopting.py    dumps that others made; stream.py: those that are one file, of mongodump --archive
engine.py      the engine
"""

from __future__ import annotations

from pathlib import Path

from killick.contents import Contents
from killick.engines import Adopted, Engine, Source
from killick.watch import Watch

SCHEMES = ("mongodb", "mongodb+srv")


def connect(source: Source) -> Engine:
    from killick.engines.mongodb.engine import Mongo  # the driver is loaded for who needs it

    return Mongo(source)


def inspect(folder: Path) -> None:
    """Reads every document's length, and every collection's metadata. Raises Corrupt."""
    from killick.engines.mongodb.folder import inspect as whole

    whole(folder)


def parts(contents: Contents) -> dict[str, tuple[str, ...]]:
    """Collections, with their database's name and without."""
    return {key: (key.partition(".")[2],) for key in contents.tables}


def adopt(found: Path, folder: Path, wanted: str, watch: Watch) -> Adopted | None:
    from killick.engines.mongodb.adopting import adopt as taken

    return taken(found, folder, wanted, watch)
