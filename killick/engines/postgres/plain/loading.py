"""SQL text into an empty database, statement by statement, in one transaction: whole, or not at all."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from killick.contents import Contents
from killick.engines import Source
from killick.engines.postgres import demands, names, neutral, target
from killick.engines.postgres.address import Address
from killick.engines.postgres.failures import statement_error
from killick.engines.postgres.load import make_roles
from killick.engines.postgres.plain import reading, statements, text
from killick.engines.postgres.plain.choice import Choice
from killick.engines.postgres.plain.events import Command, Comment, End, Event, Rows, RowsEnd, Statement
from killick.engines.postgres.plain.lexer import NAME, Lexer
from killick.engines.postgres.plain.statements import Kind
from killick.engines.postgres.session import DatabaseError, Session, session
from killick.errors import Corrupt, Refused, RestoreError, SourceError, Unreachable
from killick.stream import CHUNK
from killick.watch import Watch

_BEGIN = """
    SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET client_min_messages = warning; SET xmloption = content; SET client_encoding = 'UTF8'; BEGIN"""
_ENTRY = re.compile(rb"-- (?:Data for )?Name: (?P<name>.*?); Type: (?P<type>[^;]*)")
_REFRESH = re.compile(rb"REFRESH\s+MATERIALIZED\s+VIEW\s+(?:CONCURRENTLY\s+)?(?P<view>%b(?:\.%b)?)" % (NAME, NAME))
# Whether a view reads a foreign table, through other views too.
_FAR = b"""
    WITH RECURSIVE read(oid) AS (
        SELECT '%b'::pg_catalog.regclass::pg_catalog.oid
        UNION SELECT d.refobjid FROM read JOIN pg_catalog.pg_rewrite r ON r.ev_class = read.oid
            JOIN pg_catalog.pg_depend d ON d.objid = r.oid AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    ) SELECT EXISTS (SELECT FROM read JOIN pg_catalog.pg_class c ON c.oid = read.oid WHERE c.relkind::text = 'f')"""
_TOGETHER = 1 << 18  # bytes of INSERTs that are sent at once: each by itself would wait for its answer
_LOOK = "look at it first: killick fetch"


def load(
    address: Address, source: Source, folder: Path, contents: Contents, watch: Watch, only: Collection[str] | None
) -> tuple[str, ...]:
    """Raises Refused, RestoreError and the SourceErrors; the database is empty then, as if nothing had been loaded."""
    if only is not None:
        raise Refused(
            "a dump that is SQL text goes in as a whole",
            "restore it under another name, and take the tables from there",
        )
    if source.mask is not None:
        raise Refused("a dump that is SQL text cannot be masked", "restore it without MASK, where nobody else looks")
    demands.refuse_missing(contents.groups.get("extensions", {}), target.extensions(address), contents)
    address = target.writing(address)
    notes = target.prepare(address, contents)
    part = text.part(folder)
    with session(address) as server:
        notes += make_roles(server, source.owners, folder, contents)
        choice = _choice(server, source)
        loading = _Load(server, choice, contents, watch)
        loading.run(Lexer(text.chunks(folder / text.FILE, part), part.line))
    if not source.owners:
        with session(address) as server:  # another: the dump has set this one as it likes
            notes += neutral.calm(server)
    if loading.empty:
        notes.append(f"left empty, since it reads foreign tables: {', '.join(loading.empty)}")
    watch(contents.rows, contents.rows, "rows")
    return (*notes, *choice.notes(contents))


def _choice(server: Session, source: Source) -> Choice:
    settings = {row[0] for row in server.rows("SELECT lower(name::text) FROM pg_catalog.pg_settings")}
    tablespaces = {row[0] for row in server.rows("SELECT spcname::text FROM pg_catalog.pg_tablespace")}
    return Choice(server.major, settings, tablespaces, owners=source.owners, rows=source.rows)


class _Load:
    def __init__(self, server: Session, choice: Choice, contents: Contents, watch: Watch) -> None:
        self.server, self.choice, self.contents, self.watch = server, choice, contents, watch
        self.entry = ""  # of pg_dump's list: what is being made
        self.rows = 0
        self.empty: list[str] = []  # views that stay so
        self.inserts: list[tuple[Statement, int]] = []
        self.size = 0

    def run(self, lexer: Lexer) -> None:
        """All of it, or nothing: a connection that ends before its COMMIT leaves nothing behind."""
        self.server.execute(_BEGIN)
        events = iter(lexer)
        for event in events:
            if isinstance(event, Statement) and (inserted := statements.inserted(event)):
                self._insert(event, inserted[1])
                continue
            self._send()
            self._do(event, events)
            told = self.server.connection.get_parameter_status("standard_conforming_strings")
            lexer.escapes = told == "off"
        self.server.execute("COMMIT")

    def _do(self, event: Event, events: Iterator[Event]) -> None:
        match event:
            case Statement() if event.table:
                self._copy(event, events)
            case Statement():
                self._statement(event)
            case Command():
                self._command(event)
            case Comment():
                if match := _ENTRY.match(event.text):
                    self.choice.clearing = False
                    self.entry = (
                        f" ({match['type'].decode('utf-8', 'replace')} {match['name'].decode('utf-8', 'replace')})"
                    )
            case End() if event.inside:
                raise _cut(event)

    def _statement(self, statement: Statement) -> None:
        said = statements.words(statement.text)
        kind = self.choice.kind(said)
        if kind is Kind.FORBIDDEN:
            raise Refused(f"line {statement.line:,} of the dump holds {said[0].decode()}", _LOOK)
        if self.choice.takes(kind, said) and not self._far(statement):
            self._execute(statement.text, statement.line)

    def _far(self, statement: Statement) -> bool:
        """Whether it would fill a copy's view by asking production's neighbours."""
        match = _REFRESH.match(statement.text)
        if match is None or self.choice.owners:
            return False
        with self._explained(statement.line):
            far = bool(self.server.value(_FAR % match["view"].replace(b"'", b"''")))
        if far:
            self.empty.append(match["view"].decode("utf-8", "replace"))
        return far

    def _command(self, command: Command) -> None:
        """None is run; of those that pg_dump writes, one says something to the server."""
        if what := reading.forbidden_command(command):
            raise Refused(f"line {command.line:,} of the dump holds {what}", _LOOK)
        if encoding := reading.encoding(command):
            self._execute(f"SET client_encoding TO {names.literal(encoding)}".encode(), command.line)

    def _insert(self, statement: Statement, rows: int) -> None:
        if self.choice.rows:
            self.inserts.append((statement, rows))
            self.size += statement.size
            if self.size >= _TOGETHER:
                self._send()

    def _send(self) -> None:
        """The INSERTs that wait."""
        if self.inserts:
            self._execute(b"\n".join(one.text for one, _ in self.inserts), self.inserts[0][0].line)
            self._count(sum(rows for _, rows in self.inserts))
            self.inserts.clear()
            self.size = 0

    def _copy(self, copy: Statement, events: Iterator[Event]) -> None:
        rows = _Rows(events, self._count if self.choice.rows else lambda _: None)
        if not self.choice.rows:
            while rows.read(CHUNK):
                pass
            return
        with self._explained(copy.line):
            try:
                taken = self.server.copy_in(copy.text, rows)
            except SourceError:
                if rows.error is not None:  # ours, and no more to the driver than a reason to give up
                    raise rows.error from None
                raise
        if taken != rows.count:
            raise RestoreError(
                f"{self._at(copy.line)}: the server took {taken:,} of {rows.count:,} rows",
                "a trigger or a rule of the dump keeps rows out: pg_dump makes those after the rows",
            )

    def _execute(self, statement: bytes, line: int) -> None:
        with self._explained(line):
            self.server.execute(statement)

    @contextmanager
    def _explained(self, line: int) -> Iterator[None]:
        try:
            yield
        except Unreachable:
            raise
        except SourceError as error:
            code = error.code if isinstance(error, DatabaseError) else ""
            raise statement_error(self._at(line), error.message.removeprefix("Postgres: "), code) from None

    def _at(self, line: int) -> str:
        return f"line {line:,} of the dump{self.entry}"

    def _count(self, rows: int) -> None:
        self.rows += rows
        self.watch(min(self.rows, self.contents.rows), self.contents.rows, "rows")


class _Rows:
    """The rows of one COPY, as the driver reads a file. `error`: why reading failed, since the driver tells another."""

    def __init__(self, events: Iterator[Event], told: Callable[[int], None]) -> None:
        self.count = 0
        self.error: BaseException | None = None
        self._events, self._told = events, told
        self._data, self._at = b"", 0

    def read(self, size: int) -> bytes:
        try:
            if self._at == len(self._data):
                self._data, self._at = self._next(), 0
        except BaseException as error:
            self.error = error
            raise
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def _next(self) -> bytes:
        match next(self._events):
            case Rows(data):
                rows = data.count(b"\n")
                self.count += rows
                self._told(rows)
                return data
            case RowsEnd():
                return b""
            case Command(_, line):
                raise Refused(f"line {line:,} of the dump holds something behind COPY", _LOOK)
            case End() as end:
                raise _cut(end)
        raise AssertionError("nothing else stands among rows")


def _cut(end: End) -> Corrupt:
    return Corrupt(
        f"the dump is cut off: it ends inside {end.inside}, line {end.line:,}",
        "restore the backup before it: killick list",
    )
