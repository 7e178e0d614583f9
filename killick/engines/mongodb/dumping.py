"""A dump, and what is in it: proven to be all there before it is called a backup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pymongo.errors import OperationFailure

from killick.contents import Contents, Table
from killick.engines.mongodb import folder as left
from killick.engines.mongodb import oplog, tools
from killick.engines.mongodb.server import Server, Size, too_late
from killick.engines.mongodb.structure import Collection, groups, odd
from killick.errors import EmptyDump, SourceError
from killick.watch import Watch


def why_not_one_moment(server: Server) -> str:
    """ "" where mongodump --oplog can be used: it takes all databases, and needs a replica set's oplog."""
    if not server.replica_set:
        return "a standalone server keeps no oplog: start it with --replSet, as a set of one"
    if not server.reads_oplog():
        return "the user may not read the oplog and all databases: give it the role backup on admin"
    if not server.alone():
        return "other databases lie beside this one: name none in the URL, and all are backed up as of one moment"
    return ""


def dump(server: Server, folder: Path, jobs: int, watch: Watch) -> Contents:
    """Raises EmptyDump when nothing is there, when something did not come along, and when a file is cut off."""
    if server.swapping():
        raise SourceError(
            f"a restore exchanges what is in the database {server.address.database} at {server.address.host}, or was "
            "interrupted while it did",
            "wait until it is over; one that was interrupted is mended by the next restore, or killick restore --undo",
        )
    out = folder / left.FOLDER
    reason = why_not_one_moment(server)
    before, began = server.sizes(), _now()
    total = sum(size.bytes for size in before.values())
    tools.dump(server.address, out, jobs, oplog=not reason, done=lambda: left.size(out), total=total, watch=watch)
    after, ended = server.sizes(), _now()
    left.clear(out, server.ours() - {server.address.database})
    left.repair(out)
    dumped = list(left.read(out))
    if not dumped:
        where = f"database {server.address.database}" if server.address.database else "server"
        raise EmptyDump(
            f"the {where} at {server.address.host} holds no collection",
            "name the right database in the URL; one that is meant to be empty needs no backup yet",
        )
    lost = (before.keys() & after.keys()) - {d.collection.key for d in dumped}
    if lost:
        raise EmptyDump(f"mongodump left out {', '.join(sorted(lost)[:3])}", "run the backup again")
    gone = _without_metadata(out, dumped, after)
    if not reason:
        contents = _of_one_moment(server, out, dumped)
    else:
        tables = {d.collection.key: d.table() for d in dumped if d.data}
        contents = Contents(
            tables=tables,
            groups=groups(d.collection for d in dumped),
            notes=(
                f"not of one moment, {reason}; each collection is as of its own, from {began} to {ended}",
                *_outside(tables, before, after),
            ),
        )
    watch(total, total)
    return replace(contents, notes=(*contents.notes, *gone, *odd(d.collection for d in dumped)))


def _of_one_moment(server: Server, out: Path, dumped: list[left.Dumped]) -> Contents:
    """The facts at the oplog's end. What it touches is read again as of then, before the server forgets that moment;
    the rest is in the folder as it was then."""
    touched = oplog.read(out / oplog.FILE)
    notes: list[str] = []
    if touched.reshaped:
        structure: list[Collection] = server.collections()
        notes.append("collections or indexes came, changed or went while it was dumped: they are told as of just after")
    else:
        structure = [d.collection for d in dumped]
    files = {d.collection.key: d for d in dumped}
    tables: dict[str, Table] = {}
    unknown: dict[str, str] = {}
    for collection in structure:
        key = collection.key
        if not collection.view and (key in touched.documents or key not in files):
            try:
                tables[key] = server.table(collection, touched.end)
            except OperationFailure as error:
                if not too_late(error):
                    raise
                unknown[key] = ""
    for collection in structure:
        key = collection.key
        if not collection.view and key in files and (key not in tables or key in unknown):
            table = files[key].table()
            if key in unknown:
                unknown[key] = told(table)
            else:
                tables[key] = table
    if unknown:
        notes.append(
            f"{len(unknown)} collections were written to and could not be read as of that moment: their documents are "
            "compared before the oplog is replayed, not after (minSnapshotHistoryWindowInSeconds makes the server "
            "remember longer)"
        )
    return Contents(
        tables=dict(sorted(tables.items())),
        groups=groups(structure),
        loose={"documents": unknown} if unknown else {},
        notes=tuple(notes),
        snapshot=touched.moment,
    )


def told(table: Table) -> str:
    """How the documents of a collection that was not read as of the moment stand among what is loose."""
    return f"{table.rows} {table.checksum}"


def _without_metadata(out: Path, dumped: Iterable[left.Dumped], after: Mapping[str, Size]) -> list[str]:
    """Collections that were dropped under mongodump's hands leave documents without metadata: they are taken out."""
    orphans = left.orphans(out, {d.data for d in dumped if d.data})
    for path in orphans:
        path.unlink()
    return [f"{path.parent.name}/{path.name}: dropped while it was dumped, and left out" for path in orphans]


def _outside(tables: Mapping[str, Table], before: Mapping[str, Size], after: Mapping[str, Size]) -> list[str]:
    """Counts that lie outside of what the server counted before and after. Raises EmptyDump for an emptied one."""
    notes = []
    for key in sorted(before.keys() & after.keys()):
        low, high = sorted((before[key].documents, after[key].documents))
        rows = tables[key].rows
        if not rows and low:
            raise EmptyDump(
                f"mongodump left no document of {key}, and the server counts {low:,}", "run the backup again"
            )
        if not low <= rows <= high:
            notes.append(
                f"{key}: {rows:,} documents were dumped; the server counted {before[key].documents:,} before "
                f"and {after[key].documents:,} after"
            )
    return notes


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
