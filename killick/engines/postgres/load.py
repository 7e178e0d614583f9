"""A dump into an empty database."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from killick import process
from killick.contents import Contents
from killick.engines.postgres import commands, names, part, roles, target
from killick.engines.postgres.address import Address
from killick.engines.postgres.commands import Client
from killick.engines.postgres.failures import restore_error
from killick.engines.postgres.session import DatabaseError, Session, session
from killick.errors import AccessDenied, CommandFailed, Corrupt, RestoreError, SourceError, Unsupported
from killick.older.layers import head
from killick.watch import Watch

_TIMEOUTS = 17
_CONFIGURATION = """
    SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_class c ON c.oid = ANY (e.extconfig) JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"""
_COPIES = """
    SELECT pid, relid::bigint, tuples_processed FROM pg_catalog.pg_stat_progress_copy
    WHERE datname = pg_catalog.current_database()"""


def load(
    address: Address,
    owners: bool,
    folder: Path,
    jobs: int,
    contents: Contents,
    watch: Watch,
    only: Collection[str] | None,
) -> tuple[str, ...]:
    """`owners`: with roles, owners, grants and subscriptions. Raises Refused, RestoreError and the SourceErrors."""
    dump = folder / commands.FOLDER
    if not (dump.is_file() or (dump / "toc.dat").is_file()):
        raise Corrupt(f"{folder / commands.FOLDER} holds no dump of Postgres", "was another engine's archive meant?")
    client = _client(target.version(address), contents)
    try:
        entries = process.run(client.listing(folder)).text.splitlines()
        verbose = process.run(client.listing(folder, "--verbose")).text if only is not None else ""
    except CommandFailed as error:
        raise restore_error(error) from None
    if only is not None:
        entries = part.chosen(verbose, entries, only)
    else:
        target.require(address, contents)
    address = target.writing(address)
    notes = target.prepare(address, contents)
    with session(address) as server:
        quiet = address.saying("-c lc_messages=C") if server.superuser else address
        notes += make_roles(server, owners, folder, contents)
        absent = _absent_tablespaces(server, contents)
        flags = ["--no-owner", "--no-acl", "--no-subscriptions"] if not owners else []
        if absent:
            flags.append("--no-tablespaces")
            notes.append(f"no tablespace {', '.join(absent)} here: all lies in the default one")
        run = _Restore(client, quiet, folder, server, contents, watch)
        run(entries, *flags, "--section=pre-data")
        first, rest = _apart(entries, server)
        if first:
            run(first, *flags, "--data-only")
        run(rest, *flags, "--section=data", "--section=post-data", f"--jobs={1 if _in_tar(dump) else jobs}")
        if only is None:
            notes += _settings(server, address.database, owners, contents)
    watch(contents.rows, contents.rows, "rows")
    return (*client.warnings, *notes)


def _client(version: int, contents: Contents) -> Client:
    """Refuses a server that is too old for the dump, before anything is made.

    pg_restore must be as new as the pg_dump that wrote; from 17 on it says SET transaction_timeout to any server.
    """
    of, by = (int(contents.loose.get("versions", {}).get(what, 0)) for what in ("server", "client"))
    here = version // 10000
    if of > here:
        raise Unsupported(
            f"the dump is of Postgres {of} and the server here is {commands.version(version)}",
            f"restore into Postgres {of} or newer",
        )
    if by >= _TIMEOUTS > here:
        raise Unsupported(
            f"the dump was written by pg_dump {by}, and the server here is {commands.version(version)}",
            f"restore into Postgres {_TIMEOUTS} or newer, and back up with the clients of {of}",
        )
    return commands.client_for(version, max(by, here))


def _in_tar(dump: Path) -> bool:
    """Whether the dump is in pg_dump's tar format: only one worker can read that."""
    return dump.is_file() and not head(dump, 5).startswith(b"PGDMP")


def make_roles(server: Session, owners: bool, folder: Path, contents: Contents) -> list[str]:
    """All of globals.sql; or, without owners, just those roles that policies name. Gives notes.

    Without globals.sql, as in dumps that others made, roles are made as their names alone tell. Raises RestoreError.
    """
    there = roles.existing(server)
    file = folder / roles.FILE
    if owners and file.is_file():
        _as_cluster(server, file.read_text(encoding="utf-8"))
        return [f"made the role {role}, without a password" for role in contents.roles if role not in there]
    wanted = set(contents.roles) if owners else set(contents.groups.get("required roles", {}))
    why = "owners and grants" if owners else "policies or user mappings"
    missing = sorted(wanted - there)
    for role in missing:
        _as_cluster(server, f"CREATE ROLE {names.sql(role)} NOLOGIN")
    return [f"made the role {role}, without login: {why} name it" for role in missing]


def _as_cluster(server: Session, statement: str) -> None:
    try:
        server.execute(statement)
    except (AccessDenied, DatabaseError) as error:
        raise RestoreError(
            f"the roles of the dump could not be made: {error.message}",
            "restore as a superuser (RESTORE_URL), or without owners and grants",
            "missing-role",
        ) from None


def _absent_tablespaces(server: Session, contents: Contents) -> list[str]:
    there = {row[0] for row in server.rows("SELECT spcname::text FROM pg_catalog.pg_tablespace")}
    return sorted(set(contents.loose.get("tablespaces", {}).values()) - there)


def _apart(entries: list[str], server: Session) -> tuple[list[str], list[str]]:
    """The rows of extensions' configuration tables, and all the rest.

    They are loaded first and one after the other: foreign keys between them (PostGIS's topology) fail in parallel.
    """
    wanted = [f" TABLE DATA {schema} {name} " for schema, name in server.rows(_CONFIGURATION)]
    first = [e for e in entries if " TABLE DATA " in e and any(w in e for w in wanted)]
    taken = set(first)
    return first, [e for e in entries if e not in taken]


class _Restore:
    """Runs pg_restore over a list of entries, and tells how many rows are in."""

    def __init__(
        self, client: Client, address: Address, folder: Path, server: Session, contents: Contents, watch: Watch
    ) -> None:
        self.client, self.address, self.folder = client, address, folder
        self.server, self.total, self.watch = server, contents.rows, watch
        self.seen: dict[tuple[int, int], int] = {}

    def __call__(self, entries: Iterable[str], *flags: str) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".list", encoding="utf-8", errors="surrogateescape") as chosen:
            chosen.write("\n".join(entries) + "\n")
            chosen.flush()
            command = self.client.restore(self.address, self.folder, f"--use-list={chosen.name}", *flags)
            with process.start(command) as running:
                while True:
                    try:
                        running.wait(0.25)
                    except TimeoutError:
                        self._progress()
                    except CommandFailed as error:
                        raise restore_error(error) from None
                    else:
                        return

    def _progress(self) -> None:
        for pid, table, rows in self.server.rows(_COPIES):
            self.seen[pid, table] = max(rows, self.seen.get((pid, table), 0))
        self.watch(min(sum(self.seen.values()), self.total), self.total, "rows")


def _settings(server: Session, database: str, owners: bool, contents: Contents) -> list[str]:
    """Last, since a setting such as statement_timeout would meet the restore itself."""
    wanted = dict(contents.groups.get("settings", {}))
    if owners:
        wanted |= contents.groups.get("role settings", {})
    notes = []
    for key, value in wanted.items():
        try:
            server.execute(roles.replay(database, key, value))
        except SourceError as error:
            notes.append(f"the setting {key} could not be made: {error.message}")
    return notes
