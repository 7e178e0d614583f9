"""A plain dump read through: whether it is whole, what is in it, and what must not be in it. Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from killick.engines.postgres.plain import statements
from killick.engines.postgres.plain.events import Command, Comment, End, Rows, Statement
from killick.engines.postgres.plain.lexer import Lexer
from killick.engines.postgres.plain.statements import Kind, Words
from killick.errors import Corrupt, Refused
from killick.older.said import quoted
from killick.watch import Watch, unwatched

_KEPT = 1 << 20
_TAIL = 2048
_WORDS = re.compile(rb"^(?:pg_dump(?:all)?|ERROR|FATAL):[^\r\n]*", re.MULTILINE)
_SAID = re.compile(rb"(?:pg_dump(?:all)?|WARNING|NOTICE): ")
_FAILED = re.compile(rb"error|fatal|could not|failed|aborted", re.IGNORECASE)
_HARMLESS = re.compile(rb"\\(?:\.|(?:connect|encoding|restrict|unrestrict)(?:[ \t][^\\`]*)?)")
_COMMAND = re.compile(rb"\\(?:[a-z]+|.)?")
_CONNECT = re.compile(rb"\\connect[ \t]+(?:-\S+[ \t]+)*(.*)")
_ENCODING = re.compile(rb"\\encoding[ \t]+(\w+)[ \t]*")
_ENTRY = re.compile(rb"-- (?:Name|Data for Name|TOC entry|TOC Entry)\b")
_BEFORE = "restore the backup before it: killick list"
_TWO_BYTES = {"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB"}
"""Encodings of which a character's second byte may look like a quote or a backslash; no server stores them."""


@dataclass
class Section:
    """What the text puts into one database; `begin` and `end` are bytes of it, `line` the line at `begin`.

    `tables` counts rows, as COPY and INSERT bring them; `made` are those that it creates. `required`: roles that are
    needed even without owners and grants. `objects`: how many things are made, with or without rows.
    """

    database: str
    begin: int = 0
    line: int = 1
    end: int = 0
    tables: dict[str, int] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    extensions: dict[str, str] = field(default_factory=dict)
    roles: set[str] = field(default_factory=set)
    required: dict[str, str] = field(default_factory=dict)
    tablespaces: set[str] = field(default_factory=set)
    objects: int = 0
    inserts: int = 0
    encoding: str = "UTF8"


@dataclass
class Dump:
    """A whole dump. `forbidden`: lines that pg_dump never writes, and what is there. `said`: words after its end.

    `of_server`: what it does to the server or to a database as such, "CREATE DATABASE".
    """

    sections: list[Section]
    server_version: str = ""
    client_version: str = ""
    forbidden: list[tuple[int, str]] = field(default_factory=list)
    of_server: dict[str, None] = field(default_factory=dict)
    said: str = ""

    @property
    def filled(self) -> list[Section]:
        """Those with something in them."""
        return [section for section in self.sections if section.objects]


def read(chunks: Iterable[bytes], line: int = 1, total: int = 0, watch: Watch = unwatched) -> Dump:
    """Reads all of a text that begins as a dump does. Raises Corrupt when it is not whole, with where it ends.

    Raises Refused for an encoding that cannot be read safely.
    """
    return _Reader(line).read(chunks, total, watch)


def forbidden_command(command: Command) -> str:
    """What psql would do on this machine, by its name; "" for the commands that pg_dump writes."""
    if _HARMLESS.fullmatch(command.text) and not command.inside:
        return ""
    match = _COMMAND.match(command.text.lstrip())
    return match[0].decode("ascii", "replace") if match else "something behind COPY"


def encoding(command: Command) -> str:
    """The client's encoding that a command sets, "" when it does something else."""
    match = _ENCODING.fullmatch(command.text)
    return match[1].decode() if match else ""


class _Reader:
    def __init__(self, line: int) -> None:
        self.dump = Dump([Section("", line=line)])
        self.cluster = False
        self.complete = False
        self.end = 0  # of what belongs to the dump
        self.clearing = True
        self.path = "public"
        self.table = ""
        self.tail = b""

    @property
    def section(self) -> Section:
        return self.dump.sections[-1]

    def read(self, chunks: Iterable[bytes], total: int, watch: Watch) -> Dump:
        lexer = Lexer(self._remembered(chunks), self.section.line, _KEPT)
        for event in lexer:
            match event:
                case Rows():
                    self.section.tables[self.table] += event.data.count(b"\n")
                case Statement():
                    self._statement(event, lexer)
                case Comment():
                    self._comment(event.text, lexer.offset)
                case Command():
                    self._command(event, lexer)
                case End():
                    self._ended(event)
            watch(lexer.offset, total)
        self.section.end = self.end
        return self.dump

    def _remembered(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.tail = (self.tail + chunk[-_TAIL:])[-_TAIL:]
            yield chunk

    def _comment(self, text: bytes, offset: int) -> None:
        text = text.rstrip()
        if text == b"-- PostgreSQL database cluster dump":
            self.cluster = True
        elif text == b"-- PostgreSQL database %bdump complete" % (b"cluster " if self.cluster else b""):
            self.complete = True
            self.end = offset
        elif text.startswith(b"-- Dumped from database version "):
            self.dump.server_version = _version(text)
        elif text.startswith(b"-- Dumped by pg_dump version "):
            self.dump.client_version = _version(text)
        elif _ENTRY.match(text):
            self.clearing = False

    def _command(self, command: Command, lexer: Lexer) -> None:
        if what := forbidden_command(command):
            self.dump.forbidden.append((command.line, what))
        elif said := encoding(command):
            self._encoding(said)
        elif match := _CONNECT.fullmatch(command.text):
            self.section.end = lexer.offset
            self.dump.sections.append(Section(_database(match[1]), lexer.offset, lexer.line))
            self.clearing, self.path = True, "public"

    def _statement(self, statement: Statement, lexer: Lexer) -> None:
        whole, self.complete = self.complete, False
        section = self.section
        codec = statements.codec(section.encoding)
        if inserted := statements.inserted(statement):
            self._rows_of(*inserted, codec)
            section.inserts += 1
            return
        said = statements.words(statement.text)
        if statement.table:
            self._rows_of(said[1:], 0, codec)
            return
        match statements.kind(said, clearing=self.clearing):
            case Kind.FORBIDDEN:
                self.dump.forbidden.append((statement.line, said[0].decode()))
            case Kind.SERVER:
                self.dump.of_server[statements.title(said)] = None
            case Kind.SETTING:
                self._setting(said, lexer)
            case Kind.TRANSACTION:  # a COMMIT behind the end: somebody put a transaction around the dump
                self.complete = whole
            case Kind.OWNER:
                section.roles |= statements.roles(said, codec)
            case Kind.OTHER if said[0] == b"CREATE":
                self._made(said, codec)

    def _rows_of(self, said: Words, rows: int, codec: str) -> None:
        self.table = statements.qualified(said, self.path, codec)
        self.section.tables[self.table] = self.section.tables.get(self.table, 0) + rows
        self.section.objects += 1

    def _setting(self, said: Words, lexer: Lexer) -> None:
        name, words = statements.setting(said)
        value = statements.value(words)
        match name:
            case "standard_conforming_strings":
                lexer.escapes = value.lower() in ("off", "false", "no", "0")
            case "client_encoding":
                self._encoding(value)
            case "default_tablespace" if value:
                self.section.tablespaces.add(value)
            case "search_path" if value:
                self.path = value

    def _encoding(self, encoding: str) -> None:
        self.section.encoding = encoding
        if encoding.upper() in _TWO_BYTES:
            raise Refused(
                f"it is written in {encoding}, of whose characters some look like quotes",
                "restore it by hand with psql, or dump it again with --encoding=UTF8",
            )

    def _made(self, said: Words, codec: str) -> None:
        section = self.section
        match [word for word in said if word not in (b"IF", b"NOT", b"EXISTS", b"WITH")]:
            case [_, b"EXTENSION", extension, *where]:
                name = statements.name(extension, codec)
                section.extensions[name] = statements.name(where[1], codec) if where[0] == b"SCHEMA" else ""
                section.objects += name != "plpgsql"
                return
            case [_, b"POLICY", *_]:
                section.required |= dict.fromkeys(statements.roles(said, codec), "policy")
            case [_, b"USER", b"MAPPING", *_]:
                section.required |= dict.fromkeys(statements.roles(said, codec), "user mapping")
        section.objects += 1
        if table := statements.table(said):
            key = statements.qualified(table, self.path, codec)
            section.made.add(key)
            section.tables.setdefault(key, 0)

    def _ended(self, end: End) -> None:
        if self.complete and (not end.inside or (_SAID.match(end.text) and not _FAILED.search(end.text))):
            self.dump.said = quoted(end.text)
            return
        words = _WORDS.findall(self.tail)
        last = f"; at its end stands: {quoted(words[-1])}" if words else ""
        where = f"it ends inside {end.inside}, line {end.line:,}" if end.inside else f"its last line is {end.line:,}"
        if self.complete:
            raise Corrupt(f"behind the end of the dump something begins that has no end of its own{last}", _BEFORE)
        marker = f"PostgreSQL database {'cluster ' if self.cluster else ''}dump complete"
        raise Corrupt(f'the dump is cut off: "{marker}" is missing, and {where}{last}', _BEFORE)


def _version(comment: bytes) -> str:
    return comment.split(b"version ", 1)[1].split()[0].decode("ascii", "replace")


def _database(argument: bytes) -> str:
    """Of \\connect: a name, bare or quoted, or "dbname='…'"."""
    text = argument.strip().decode("utf-8", "replace")
    if text[:1] == text[-1:] and text[:1] in ("'", '"'):
        text = text[1:-1].replace(text[0] * 2, text[0])
    if text.startswith("dbname="):
        text = text.removeprefix("dbname=").strip("'")
    return text
