"""A restore: which part of a dump goes into which database, and with which runs of mongorestore."""

from __future__ import annotations

import tempfile
from collections.abc import Collection as Some
from collections.abc import Iterable, Mapping
from pathlib import Path

from killick.contents import Contents
from killick.engines import Notes
from killick.engines.mongodb import documents, oplog, tools
from killick.engines.mongodb import folder as left
from killick.engines.mongodb.dumping import told
from killick.engines.mongodb.server import Server
from killick.engines.mongodb.structure import skipped
from killick.errors import NotFound, Refused, RestoreError
from killick.watch import Watch


def load(
    server: Server,
    folder: Path,
    jobs: int,
    contents: Contents,
    watch: Watch,
    only: Some[str] | None,
    stands_for: str = "",
    *,
    rows: bool = True,
) -> Notes:
    """Raises Refused when the target holds a collection, NotFound for one that the dump has not, Corrupt, RestoreError.

    `stands_for` names the database that the target is to become; it says which of a dump's goes in.
    """
    becomes = stands_for or server.address.database
    root = folder / left.FOLDER
    with left.from_an_archive():
        dumped = list(left.read(root))
    if contents.tables:
        left.refuse_none(dumped)
    source = _source({d.collection.database for d in dumped}, becomes)
    wanted = [
        d.collection
        for d in dumped
        if source in ("", d.collection.database) and (only is None or d.collection.key in only)
    ]
    if only is not None and (missing := set(only) - {c.key for c in wanted}):
        raise NotFound(
            f"this backup holds no collection {', '.join(sorted(missing))}", "killick list shows what it holds"
        )
    if server.collections():
        where = f"database {server.address.database}" if server.address.database else "server"
        raise Refused(f"the {where} at {server.address.host} is not empty", "restore into an empty one, or beside it")
    renamed = source != server.address.database
    log = root / oplog.FILE
    if not rows:
        left.emptied(dumped)
    if contents.snapshot and only is None and not log.is_file():
        raise RestoreError(f"{oplog.FILE} is not in the archive", "restore the backup before it")
    logged = rows and log.is_file()
    replay = logged and len(wanted) == len(dumped) and not renamed and _ours(log, server.address.database)
    total = sum(d.data.stat().st_size for d in dumped if d.data)

    def restore(path: Path, *scope: str) -> None:
        tools.restore(server.address, path, jobs, *scope, done=server.written, total=total, watch=watch)

    for collection in wanted:
        if skipped(collection.name):
            restore(
                root, *tools.included([collection.key]), *_renaming(source, server.address.database, collection.name)
            )
    plain = [c for c in wanted if not skipped(c.name)]
    if replay and contents.loose:
        # Indexes come after the replay: two documents of different moments may bear the same value of a unique one. A
        # time series has no unique ones, and mongorestore touches none that is there.
        series = [c.key for c in plain if c.kind == "timeseries"]
        if series:
            restore(root, *tools.included(series))
        restore(root, "--noIndexRestore", *tools.excluded(series))
        _compare(server, dumped, log, contents.loose)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            left.without_documents(dumped, root, Path(place))
            restore(Path(place), "--oplogReplay", f"--oplogFile={log}")
    elif replay:
        restore(root, "--oplogReplay")
    elif plain:
        part = tools.included(c.key for c in plain) if only is not None else tools.everything(source)
        restore(root, *part, *_renaming(source, server.address.database))
    watch(total, total)
    notes = [f"{source} of the backup was restored as {becomes}"] if source != becomes else []
    if logged and not replay:
        touched = oplog.read(log)
        notes.append(
            f"each collection is as of its own moment, from {touched.began} to {touched.moment}: the oplog is replayed "
            "only where the whole dump goes in, and under its own name"
        )
    return tuple(notes)


def _source(there: set[str], target: str) -> str:
    """The database of the dump that goes into `target`; "" for all of them."""
    if not target or target in there:
        return target
    if len(there) == 1:
        return next(iter(there))
    raise RestoreError(
        f"the backup holds {', '.join(sorted(there)) or 'no database'}, and none of them is {target}",
        "name one of them in the URL, or none, and all are restored",
    )


def _ours(log: Path, database: str) -> bool:
    """Whether the oplog touches nothing but the database that is restored."""
    return not database or oplog.read(log).databases <= {database}


def _renaming(source: str, target: str, name: str = "") -> tuple[str, ...]:
    if source == target:
        return ()
    which = tools.exactly(name) if name else "*"
    return f"--nsFrom={source}.{which}", f"--nsTo={target}.{which}"


def _compare(server: Server, dumped: Iterable[left.Dumped], log: Path, loose: Mapping[str, Mapping[str, str]]) -> None:
    """The documents of some collections against what was dumped, before the oplog changes them; and the oplog.

    "" is told of one that has none in the dump: it was made later, or it is a view there.
    """
    live = {c.key: c for c in server.collections()}
    expected = loose.get("documents", {})
    for one in dumped:
        key = one.collection.key
        if expected.get(key) and (key not in live or told(server.table(live[key])) != expected[key]):
            raise RestoreError(f"{key} does not hold what was dumped", "restore the backup before it")
    wanted = loose.get("oplog", {}).get(oplog.FILE)
    if wanted is not None and told(documents.summed(documents.read(log))) != wanted:
        raise RestoreError(f"{oplog.FILE} does not hold what was dumped", "restore the backup before it")
