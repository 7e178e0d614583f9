"""A dump, and beside it the facts of the very same snapshot."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from killick import process
from killick.contents import Contents, Table
from killick.engines.postgres import catalog, commands, inventory, roles, rows, schema, set_back
from killick.engines.postgres.address import Address
from killick.engines.postgres.catalog import Numbers, Relation
from killick.engines.postgres.session import DatabaseError, Session, pinned
from killick.errors import AccessDenied, CommandFailed, EmptyDump, KillickError, SourceError
from killick.process import Process
from killick.watch import Watch

_TRIES = 5
_UNDEFINED_TABLE = "42P01"
_WAITING = """
    SELECT DISTINCT coalesce(n.nspname || '.' || c.relname, 'a table') FROM pg_catalog.pg_locks l
    LEFT JOIN pg_catalog.pg_class c ON c.oid = l.relation
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT l.granted AND pg_catalog.pg_backend_pid() = ANY (pg_catalog.pg_blocking_pids(l.pid))"""


@dataclass(frozen=True)
class Frozen:
    """An open snapshot, its tables locked against whatever would take their rows away under it."""

    session: Session
    snapshot: str
    moment: str
    tables: list[Relation]
    numbers: list[Numbers]
    notes: list[str] = field(default_factory=list)


class _Disturbed(SourceError):
    """Another session changed or wanted a table that was about to be dumped: once it is done, a new dump works."""

    @property
    def kind(self) -> str:
        return "source-error"


def dump(address: Address, evidence: str, folder: Path, jobs: int, watch: Watch) -> Contents:
    """Fills folder/postgres and folder/globals.sql. Raises SourceError and its kinds, CommandFailed, EmptyDump.

    What a migration disturbed is done again, in a snapshot of its own and with one worker: pg_dump's others need a
    second lock of each table, and give up where somebody waits for an exclusive one.
    """
    for workers in (jobs, 1):
        try:
            return _dump(address, evidence, folder, workers, watch)
        except _Disturbed:
            shutil.rmtree(folder / commands.FOLDER, ignore_errors=True)
    return _dump(address, evidence, folder, 1, watch)


def _dump(address: Address, evidence: str, folder: Path, jobs: int, watch: Watch) -> Contents:
    place = folder / commands.FOLDER
    with pinned(address) as session:
        client = commands.client_for(session.version)
        hexadecimal = session.value("SELECT reset_val FROM pg_catalog.pg_settings WHERE name = 'bytea_output'") == "hex"
        frozen = freeze(session)
        inventory.refuse_unreadable(session, frozen.tables, frozen.numbers)
        files = set_back.files(session, frozen.numbers)
        before = catalog.sequence_values(session, frozen.numbers)  # before pg_dump reads them: its are not lower
        dumped = address if hexadecimal else address.saying("-c bytea_output=hex")
        flags = ("--no-unlogged-table-data",) if session.value("SELECT pg_catalog.pg_is_in_recovery()") else ()
        command = client.dump(dumped, folder, jobs, frozen.snapshot, session.encoding, flags)
        with process.start(command) as running, rows.ahead(place, frozen.tables, jobs) as stop:
            told = _progress(folder, frozen, running, watch)
            measured = inventory.measure(session, frozen.tables, frozen.numbers, evidence == "server", told)
            groups, loose, notes = inventory.taken(session)
            oids = roles.named(session)
            named = roles.role_names(session, oids)
            (folder / roles.FILE).write_text(roles.globals_sql(session, oids), encoding="utf-8")
            notes += _end(running, told)
            followed = stop()
        with pinned(address) as fresh:  # ours would find sequences where they lay when it opened them
            values = set_back.uncertain(fresh, frozen.numbers, before, files)
        notes += set_back.notes(before, values)
        sequences = inventory.covering(values, frozen.numbers, frozen.tables, measured)
        loose["versions"] = inventory.versions(session, client)
    if not _has_toc(folder):
        raise EmptyDump("pg_dump ended well and wrote nothing", "run the backup again, and look at the scratch folder")
    listing = process.run(client.listing(folder)).text
    lines = rows.of_dump(place, listing, frozen.tables, jobs, followed)
    tables = {}
    for table in frozen.tables:
        found, (count, checksum) = measured[table.key], lines[table.key]
        if found.rows != count:
            raise EmptyDump(
                f"the dump of {table.key} has {count} rows, and the server counted {found.rows} in the same snapshot",
                "the table or an index of it may be damaged: run pg_amcheck, then the backup again",
            )
        tables[table.key] = Table(
            *(count, checksum, table.columns, table.condition, found.server, found.generated),
            ancestors=table.ancestors,
        )
    if not tables:
        notes.append("the database has no table")
    return Contents(
        tables=tables,
        sequences=sequences,
        groups={**schema.fingerprint(client.archive_schema(folder)), **groups},
        loose=loose,
        roles=named,
        notes=tuple(dict.fromkeys([*client.warnings, *frozen.notes, *notes])),
        snapshot=frozen.moment,
    )


def freeze(session: Session) -> Frozen:
    """Tables are locked before the snapshot is taken: none can be truncated or rewritten between the two."""
    for attempt in range(_TRIES):
        tables = _dumped(session)
        session.begin()
        try:
            _lock(session, [t for t in tables if t.readable])
            break
        except DatabaseError as error:
            session.execute("ROLLBACK")
            if error.code != _UNDEFINED_TABLE or attempt == _TRIES - 1:  # dropped since we listed it: list again
                raise
    snapshot = str(session.value("SELECT pg_catalog.pg_export_snapshot()"))
    known = {table.oid for table in tables}
    tables = _dumped(session)
    try:
        _lock(session, [table for table in tables if table.readable and table.oid not in known])
    except DatabaseError as error:
        if error.code != _UNDEFINED_TABLE:
            raise
        raise _Disturbed(f"{error.message}: another session drops tables", "run the backup when it is done") from None
    moment = str(
        session.value(
            "SELECT to_char(pg_catalog.statement_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        )
    )
    return Frozen(session, snapshot, moment, tables, catalog.sequences(session))


def _dumped(session: Session) -> list[Relation]:
    """On a replica unlogged tables cannot be read."""
    replica = session.value("SELECT pg_catalog.pg_is_in_recovery()")
    return [table for table in catalog.relations(session) if not (replica and table.unlogged)]


def _lock(session: Session, tables: list[Relation]) -> None:
    for start in range(0, len(tables), 200):
        listed = ", ".join(f"ONLY {table.sql}" for table in tables[start : start + 200])
        session.execute(f"LOCK TABLE {listed} IN ACCESS SHARE MODE")


def _progress(folder: Path, frozen: Frozen, running: Process, watch: Watch) -> Callable[[int], None]:
    """Shows the bytes that pg_dump has written; looks whether it still lives, and who waits for a lock of ours."""
    total = sum(table.bytes for table in frozen.tables)
    last = {"shown": 0.0, "asked": time.monotonic()}

    def told(_done: int) -> None:
        now = time.monotonic()
        if now - last["shown"] > 0.5:
            last["shown"] = now
            watch(min(_size(folder), total), total, "bytes")
            if not running.running() and running.popen.returncode:
                raise _failed(running)
        if now - last["asked"] > 2:
            last["asked"] = now
            frozen.notes.extend(
                f"another session waited for a lock on {name} until this dump was done: run migrations at another time"
                for (name,) in frozen.session.rows(_WAITING)
            )

    return told


def _end(running: Process, told: Callable[[int], None]) -> list[str]:
    """Waits for pg_dump; its warnings are notes."""
    while True:
        try:
            said = running.wait(0.2)
        except TimeoutError:
            told(0)
        except CommandFailed:
            raise _failed(running) from None
        else:
            return [
                line.removeprefix("pg_dump: ").removeprefix("warning: ")
                for line in said.splitlines()
                if "warning:" in line
            ]


def _failed(running: Process) -> KillickError:
    """Why pg_dump failed, as far as it can be told from what it said."""
    try:
        running.wait()
    except CommandFailed as error:
        said = error.stderr
        lock = re.search(r"could not obtain lock on relation \"(.*)\"|LOCK TABLE (.*) IN ACCESS SHARE MODE", said)
        if lock:
            table = lock[1] or lock[2]
            return _Disturbed(
                f"pg_dump could not lock {table}: another session wants it, a migration perhaps",
                "run the backup when no migration runs",
            )
        if re.search(r"could not open relation with OID|cache lookup failed for|to get data (of|for) sequence", said):
            return _Disturbed(
                f"pg_dump: {_sentence(said)}: another session dropped it or set it back meanwhile, a migration perhaps",
                "run the backup when no migration runs",
            )
        if "permission denied" in said:
            return AccessDenied(f"pg_dump: {_sentence(said)}", "killick doctor lists what the role may not read")
        if "out of shared memory" in said:
            return SourceError(
                "pg_dump: the server has room for too few locks for so many tables",
                "raise max_locks_per_transaction on the server (a restart), to 256 or more",
            )
        return error
    return CommandFailed(running.command.program, 0, "")


def _sentence(said: str) -> str:
    match = re.search(r"ERROR:\s*(.*)", said)
    return match.group(1) if match else said.splitlines()[-1]


def _has_toc(folder: Path) -> bool:
    toc = folder / commands.FOLDER / "toc.dat"
    return toc.is_file() and toc.stat().st_size > 0


def _size(folder: Path) -> int:
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(place) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total
