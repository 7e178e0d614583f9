"""A dump into an empty database."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from killick import process
from killick.contents import Contents
from killick.engines.postgres import commands, demands, listing, names, neutral, part, roles, target
from killick.engines.postgres.address import Address
from killick.engines.postgres.commands import Client
from killick.engines.postgres.failures import restore_error
from killick.engines.postgres.listing import Listing
from killick.engines.postgres.masking.rows import mask_rows
from killick.engines.postgres.session import DatabaseError, Session, session
from killick.errors import AccessDenied, CommandFailed, Corrupt, Refused, RestoreError, SourceError
from killick.masking import Mask
from killick.masking.tables import resolve
from killick.older.layers import head
from killick.watch import Watch

_PACKED = (".gz", ".lz4", ".zst")
_CONFIGURATION = """
    SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_class c ON c.oid = ANY (e.extconfig) JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"""
_COPIES = """
    SELECT pid, relid::bigint, tuples_processed FROM pg_catalog.pg_stat_progress_copy
    WHERE datname = pg_catalog.current_database()"""


def load(
    address: Address,
    owners: bool,
    rows: bool,
    folder: Path,
    jobs: int,
    contents: Contents,
    watch: Watch,
    only: Collection[str] | None,
    mask: Mask | None,
) -> tuple[str, ...]:
    """`owners`: with roles, owners, grants and subscriptions, all as it was; without it is a copy, and made harmless.

    Without `rows` the schema alone: no large objects, sequences at their start, materialized views empty.
    `mask` hides values in the folder, before the rows are sent.
    Raises Refused, RestoreError and the SourceErrors; NotFound for a table of `only` that the dump has not;
    SettingsError for a rule of `mask` that cannot work.
    """
    dump = folder / commands.FOLDER
    if not (dump.is_file() or (dump / "toc.dat").is_file()):
        raise Corrupt(f"{folder / commands.FOLDER} holds no dump of Postgres", "was another engine's archive meant?")
    if mask is not None and rows and not _rewritable(dump):
        raise Refused(
            "a dump in one file, or one that is packed, cannot be masked",
            "restore it without MASK, where nobody else looks",
        )
    mask = resolve(mask, contents) if mask is not None and rows else None
    client = demands.client(target.version(address), contents)
    available = target.extensions(address)
    wanted, notes = _wanted(client, folder, contents, only)
    if not rows:
        wanted = wanted.schema()
    if not owners:
        wanted, without = neutral.suited(wanted, available)
        notes += without
    demands.refuse_missing(demands.extensions(wanted).values(), available, contents)
    address = target.writing(address)
    notes += target.prepare(address, contents)
    with session(address) as server:
        quiet = address.saying("-c lc_messages=C") if server.superuser else address
        notes += make_roles(server, owners, folder, contents, named=any(wanted.of("POLICY", "USER MAPPING")))
        absent = _absent_tablespaces(server, contents)
        flags = ["--no-owner", "--no-acl", "--no-subscriptions"] if not owners else []
        if absent:
            flags.append("--no-tablespaces")
            notes.append(f"no tablespace {', '.join(absent)} here: all lies in the default one")
        if not rows:
            flags.append("--schema-only")
        total = sum(t.rows for key, t in contents.tables.items() if rows and (only is None or key in only))
        run = _Restore(client, quiet, folder, server, total, watch, masked=mask is not None)
        wanted, labels = wanted.apart("SECURITY LABEL")
        wanted, triggers = wanted.apart("EVENT TRIGGER")
        run(wanted, *flags, "--section=pre-data")
        if mask is not None:
            notes += mask_rows(address, client, folder, wanted, mask, contents, jobs, watch)
        first, rest = _apart(wanted, server)
        if first and rows:
            run(first, *flags, "--data-only")
        if not owners:
            notes += neutral.calm(server)
        run(rest, *flags, "--section=data", "--section=post-data", f"--jobs={1 if _in_tar(dump) else jobs}")
        if labels:
            notes += _labelled(run, labels, owners, flags)
        if triggers:
            run(triggers, *flags)  # filling a materialized view would have fired them
        if only is None:
            notes += _settings(server, address.database, owners, contents)
    watch(total, total, "rows")
    return (*client.warnings, *notes)


def _wanted(
    client: Client, folder: Path, contents: Contents, only: Collection[str] | None
) -> tuple[Listing, list[str]]:
    """The entries of the dump, or of that part of it; and notes."""
    try:
        whole = listing.read(process.run(client.listing(folder, "--verbose")).stdout)
        if only is None:
            return whole, []
        found = part.of(whole, client, folder, only)
    except CommandFailed as error:
        raise restore_error(error) from None
    objects = contents.groups.get("large objects", {}).get("all", "0").partition(" ")[0]
    notes = [f"the {objects} large objects of the backup belong to no table: they were left out"]
    return found.listing, found.notes + (notes if objects != "0" else [])


def _rewritable(dump: Path) -> bool:
    """Whether the rows of each table lie in a file of their own, as they are."""
    return dump.is_dir() and not any(path.suffix in _PACKED for path in dump.iterdir())


def _in_tar(dump: Path) -> bool:
    """Whether the dump is in pg_dump's tar format: only one worker can read that."""
    return dump.is_file() and not head(dump, 5).startswith(b"PGDMP")


def make_roles(server: Session, owners: bool, folder: Path, contents: Contents, *, named: bool = True) -> list[str]:
    """All of globals.sql; or, without owners, just those roles that policies and user mappings name. Gives notes.

    `named`: something that names roles comes along. Raises RestoreError.
    """
    there = roles.existing(server)
    if not owners:
        missing = sorted(set(contents.groups.get("required roles", {})) - there) if named else []
        for role in missing:
            _as_cluster(server, f"CREATE ROLE {names.sql(role)} NOLOGIN")
        return [f"made the role {role}, without login: policies or user mappings name it" for role in missing]
    file = folder / roles.FILE
    refused = _as_cluster(server, file.read_text(encoding="utf-8")) if file.is_file() else []
    return [f"made the role {role}, without a password" for role in contents.roles if role not in there] + refused


def _as_cluster(server: Session, statement: str) -> list[str]:
    """Gives notes of the roles' settings that the server refuses."""
    server.connection.notices.clear()
    try:
        server.execute(statement)
    except (AccessDenied, DatabaseError) as error:
        raise RestoreError(
            f"the roles of the dump could not be made: {error.message}",
            "restore as a superuser (RESTORE_URL), or without owners and grants",
            "missing-role",
        ) from None
    return [said for notice in server.connection.notices if (said := roles.refused(notice))]


def _absent_tablespaces(server: Session, contents: Contents) -> list[str]:
    there = {row[0] for row in server.rows("SELECT spcname::text FROM pg_catalog.pg_tablespace")}
    return sorted(set(contents.loose.get("tablespaces", {}).values()) - there)


def _apart(wanted: Listing, server: Session) -> tuple[Listing, Listing]:
    """The rows of extensions' configuration tables, and all the rest.

    They are loaded first and one after the other: foreign keys between them (PostGIS's topology) fail in parallel.
    """
    tables = tuple(listing.line(schema, name) for schema, name in server.rows(_CONFIGURATION))
    first = {number for number, entry in wanted.of("TABLE DATA") if entry.title.startswith(tables)}
    return wanted.only(first), wanted.without(first)


def _labelled(run: _Restore, labels: Listing, owners: bool, flags: Iterable[str]) -> list[str]:
    """A copy does without security labels where nothing reads them: a provider is a library that its server loads."""
    try:
        run(labels, *flags)
    except RestoreError as error:
        if owners or error.reason != "missing-extension":
            raise
        return [f"{len(labels)} security labels were left out: {error.message}"]
    return []


class _Restore:
    """Runs pg_restore over a list of entries, and tells how many rows are in."""

    def __init__(
        self,
        client: Client,
        address: Address,
        folder: Path,
        server: Session,
        total: int,
        watch: Watch,
        *,
        masked: bool,
    ) -> None:
        self.client, self.address, self.folder = client, address, folder
        self.server, self.total, self.watch, self.masked = server, total, watch, masked
        self.seen: dict[tuple[int, int], int] = {}

    def __call__(self, entries: Listing, *flags: str) -> None:
        with entries.file() as chosen:
            command = self.client.restore(self.address, self.folder, f"--use-list={chosen}", *flags)
            with process.start(command) as running:
                while True:
                    try:
                        running.wait(0.25)
                    except TimeoutError:
                        self._progress()
                    except CommandFailed as error:
                        raise restore_error(error, masked=self.masked) from None
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
