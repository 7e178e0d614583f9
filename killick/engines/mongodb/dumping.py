"""A dump, and what is in it: proven to be all there before it is called a backup."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection as Some
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from pymongo.errors import OperationFailure

from killick.contents import Contents, Table
from killick.engines.mongodb import documents, mending, oplog, tools
from killick.engines.mongodb import folder as left
from killick.engines.mongodb.server import Server, Size, too_late
from killick.engines.mongodb.structure import Collection, groups, odd
from killick.errors import EmptyDump, SourceError
from killick.watch import Watch

_TRIES = 3
_RESTS = 15.0  # seconds


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
    began = _now()
    before = _dumped(server, out, jobs, watch, oplog=not reason)
    after, ended = server.sizes(), _now()
    beside = server.ours() - {server.address.database}
    left.clear(out, beside)
    left.repair(out)
    dumped = list(left.read(out))
    if not dumped:
        where = f"database {server.address.database}" if server.address.database else "server"
        raise EmptyDump(
            f"the {where} at {server.address.host} holds no collection",
            "name the right database in the URL; one that is meant to be empty needs no backup yet",
        )
    touched = oplog.read(out / oplog.FILE, beside) if not reason else oplog.Touched()
    lost = (before.keys() & after.keys()) - {d.collection.key for d in dumped} - touched.reshaped
    if lost:
        raise EmptyDump(f"mongodump left out {', '.join(sorted(lost)[:3])}", "run the backup again")
    gone = _without_metadata(out, dumped, after)
    if not reason:
        _mend(out, dumped, touched)
    if not reason:
        contents = _of_one_moment(server, out / oplog.FILE, dumped, touched, beside)
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
    return replace(contents, notes=(*contents.notes, *gone, *odd(d.collection for d in dumped)))


def _dumped(server: Server, out: Path, jobs: int, watch: Watch, *, oplog: bool) -> Mapping[str, Size]:
    """What was there as mongodump began. What a renaming disturbed is done again. Raises as tools.dump does, and
    SourceError where it is disturbed every time."""
    for _ in range(_TRIES):
        if oplog:
            _until_it_may_begin(server)
        before = server.sizes()
        total = sum(size.bytes for size in before.values())
        if tools.dump(server.address, out, jobs, oplog=oplog, done=lambda: left.size(out), total=total, watch=watch):
            watch(total, total)
            return before
        shutil.rmtree(out)
    raise SourceError(
        f"collections of MongoDB at {server.address.host} were renamed while it was dumped, as aggregations' $out does",
        "run the backup at a time when nothing does",
    )


def _until_it_may_begin(server: Server) -> None:
    """mongodump begins with the oplog's last entry, and takes no renaming."""
    end = time.monotonic() + _RESTS
    while server.renamed_last() and time.monotonic() < end:
        time.sleep(0.2)


def _mend(out: Path, dumped: Iterable[left.Dumped], touched: oplog.Touched) -> None:
    for one in dumped:
        if one.data and one.collection.key in touched.again:
            mending.once(one.data, touched.again[one.collection.key])
    views = {d.collection.database for d in dumped if d.collection.view}
    mending.known(out / oplog.FILE, {d.collection.key for d in dumped}, views)


def _of_one_moment(
    server: Server, log: Path, dumped: list[left.Dumped], touched: oplog.Touched, beside: Some[str]
) -> Contents:
    """The facts at the oplog's end. What it touches is read again as of then, before the server forgets that moment;
    the rest is in the folder as it was then."""
    files = {d.collection.key: d for d in dumped}
    live = {c.key: c for c in server.collections()}
    then: dict[str, Collection] = {key: d.collection for key, d in files.items() if key not in touched.reshaped}
    then |= {key: collection for key, collection in live.items() if key in touched.reshaped}
    tables: dict[str, Table] = {}
    for key, collection in then.items():
        if not collection.view and (key in touched.documents or key not in files):
            try:
                tables[key] = server.table(collection, touched.end)
            except OperationFailure as error:
                if not too_late(error):
                    raise
    # A catalog is told as it is now: what has changed since that moment was another then, and was not read rightly.
    since = oplog.gathered(server.reshaping(touched.end), beside).reshaped
    _all_there(files, live, touched, since)
    lost = touched.reshaped & (since | touched.building)
    unknown: dict[str, str] = {}
    for key in then.keys() | lost:
        if (key in then and then[key].view) or (key in tables and key not in since):
            continue
        data = files[key].data if key in files else None
        if key in touched.documents or data is None:
            unknown[key] = told(files[key].table()) if data else ""
        else:
            tables[key] = files[key].table()
    return Contents(
        tables={key: tables[key] for key in sorted(tables) if key not in unknown},
        groups=groups(collection for key, collection in then.items() if key not in lost),
        loose=_loose(unknown, lost, log),
        notes=tuple(_unknown(unknown.keys() - lost, lost)),
        snapshot=touched.moment,
    )


def _all_there(
    files: Mapping[str, left.Dumped], live: Mapping[str, Collection], touched: oplog.Touched, since: Some[str]
) -> None:
    """mongodump looks at what there is, and then begins to follow the oplog: what came in between is in neither.

    Raises EmptyDump.
    """
    changed = {*touched.reshaped, *since}
    shape = {key: groups([d.collection]) for key, d in files.items() if key not in changed}
    shaped = {key: groups([collection]) for key, collection in live.items() if key not in changed}
    passed_over = {key for key in shape.keys() | shaped.keys() if shape.get(key) != shaped.get(key)}
    unknown = (touched.documents | touched.reshaped) - files.keys() - touched.there.keys()
    passed_over |= {key for key in unknown if not key.endswith(".")}  # but for those of a whole database
    if passed_over:
        raise EmptyDump(
            f"mongodump missed what became of {', '.join(sorted(passed_over)[:3])} while it began",
            "run the backup again",
        )


def _loose(unknown: Mapping[str, str], lost: Some[str], log: Path) -> dict[str, dict[str, str]]:
    """What cannot be compared after the oplog was replayed: then what goes in is, the oplog too."""
    if not unknown and not lost:
        return {}
    return {
        "documents": dict(sorted(unknown.items())),
        "structure": dict.fromkeys(sorted(lost), ""),
        "oplog": {oplog.FILE: told(documents.summed(documents.read(log)))},
    }


def _unknown(written: Some[str], reshaped: Some[str]) -> Iterator[str]:
    if written:
        yield (
            f"{len(written)} collections were written to and could not be read as of that moment: their documents are "
            "compared before the oplog is replayed, not after (minSnapshotHistoryWindowInSeconds makes the server "
            "remember longer)"
        )
    if reshaped:
        yield (
            f"{len(reshaped)} collections or views were made, changed or dropped while it was dumped, and again right "
            f"after: what they were at that moment is not known, and not compared: {', '.join(sorted(reshaped)[:5])}"
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
