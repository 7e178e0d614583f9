"""The text of a plain dump, cut as psql would cut it: statements, rows of COPY, backslash commands, comments.

The rules are those of psql's own scanner (src/fe_utils/psqlscan.l of Postgres 18), since that is what a dump was
written for: where it sees the end of a statement, or a command, we see it too. Nothing is run here.

The text comes in chunks of any size and is never held whole: rows pass as they come, and of a statement about `keep`
bytes are kept where that is given. However the text is cut into chunks, the events say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from killick.engines.postgres.plain.events import Command, Comment, End, Event, Rows, RowsEnd, Statement
from killick.engines.postgres.plain.window import BACK, Window

_CODE = re.compile(rb"""['"$;()\\]|--?|/\*?""")
_OPAQUE = (b"--", b"/*", b"'", b'"', b"$")
_WORD = rb"[A-Za-z0-9_$\x80-\xff]"
_RUN = re.compile(rb"%b*\Z" % _WORD)
_NO_LETTERS = b"$0123456789"
_DOLLAR = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_DOLLAR_BEGUN = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\Z")
_QUOTE, _QUOTE_OR_ESCAPE = re.compile(rb"'"), re.compile(rb"['\\]")
_DOUBLE = re.compile(rb'"')
_BLOCK = re.compile(rb"/\*|\*/")
_NEWLINE, _LF = re.compile(rb"[\r\n]"), re.compile(rb"\n")
_SPACE = re.compile(rb"[ \t\n\r\f\v]+")
# 'one' and 'two' are one string when nothing but space, and a CR in it, is between. (A LF, too, says SQL; but psql
# looks at one line at a time, and takes the second for a string of its own.)
_CONTINUED = re.compile(rb"(?:[ \t\f\v]|--[^\r\n]*)*\r(?:[ \t\r\f\v]|--[^\r\n]*\r)*'")
_GAP = re.compile(rb"(?:[ \t\r\f\v]|--[^\r\n]*(?=\r|\Z))*-?\Z")
_LINE_END = re.compile(rb"[ \t\r\f\v]*(?:\n|\Z)")
_ROUTINE = re.compile(rb"create\s+(?:or\s+replace\s+)?(?:function|procedure)\b", re.IGNORECASE)
_BLOCKS = re.compile(
    rb"[()]|(?<!%b)(?:begin|case|end)(?!%b)" % (_WORD, _WORD),
    re.IGNORECASE,
)
NAME = rb"""(?:"(?:[^"]|"")++"|[A-Za-z_\x80-\xff]%b*+)""" % _WORD  # possessive: no text takes long to be refused
_COPY = re.compile(
    rb"copy\s+(?P<table>%b(?:\.%b)?)\s*+(?:\((?:[^\"()]|\"(?:[^\"]|\"\")*+\")*+\))?\s*+from\s+stdin\s*;" % (NAME, NAME),
    re.IGNORECASE,
)
# An INSERT as pg_dump writes it, at once: there may be millions. What it does not fit is read sign by sign.
_TUPLE = rb"""\((?:[^'"$\\;()/-]++|(?<![eE])'[^']*+'|-(?!-))*+\)"""
_INSERT = re.compile(
    rb"INSERT INTO (?:%b\.)?%b (?P<columns>\((?:[^\"'()\\$;/-]|\"(?:[^\"]|\"\")*+\")*+\) )?"
    rb"(?:OVERRIDING SYSTEM VALUE )?VALUES\s*+%b(?P<more>(?:,\s*+%b)*+);(?=\n)" % (NAME, NAME, _TUPLE, _TUPLE)
)
_TUPLES = re.compile(_TUPLE)
_TOLD = 200  # bytes of a command or comment that are kept


class _Unfinished(Exception):
    """The text ends inside of what the message says."""


class Lexer(Window):
    """Iterate over it for the events; the last one is an End. `line` and `offset` are those behind the last event.

    `escapes` is what the server calls standard_conforming_strings = off: whoever sees it set tells us, between two
    events.
    """

    def __init__(self, chunks: Iterable[bytes], line: int = 1, keep: int = 0) -> None:
        super().__init__(chunks, line)
        self.escapes = False
        self._keep = keep
        self._code_from = 0  # where in the text the last string or comment ended
        self._text: list[bytes] = []
        self._code: list[bytes] = []  # the same without strings and comments
        self._size = 0

    def __iter__(self) -> Iterator[Event]:
        try:
            while self._skip_space():
                if not self.escapes and (match := _INSERT.match(self._data, self._at)):
                    yield self._insert(match)
                elif self._next(b"--"):
                    yield self._comment()
                elif self._next(b"/*"):
                    self._begin()
                    self._block_comment()
                elif self._next(b"\\"):
                    yield self._command(inside=False)
                else:
                    yield from self._statement()
        except _Unfinished as unfinished:
            yield End(self.line, str(unfinished), b"".join(self._text))
        else:
            yield End(self.line)

    def _insert(self, match: re.Match[bytes]) -> Statement:
        line = self.line
        text = self._pass(match.end())
        more = len(_TUPLES.findall(match["more"])) if match["more"] else 0
        return Statement(text, line, len(text), 1 + more + (match["columns"] is not None))

    def _statement(self) -> Iterator[Event]:
        self._begin()
        begun = self.line
        depth = groups = 0
        while True:
            match = _CODE.search(self._data, self._at)
            if match is None:
                self._take(len(self._data))
                self._need("a statement")
                continue
            token, at = match[0], match.start()
            if token in (b"-", b"/") and match.end() == len(self._data) and self._more():
                continue
            if token in _OPAQUE:
                self._opaque(token, at)
            elif token == b"\\":
                self._take(at)
                yield self._command(inside=True)
            else:
                self._take(match.end())
                if token == b"(":
                    groups += depth == 0
                    depth += 1
                elif token == b")":
                    depth = max(0, depth - 1)
                elif token == b";" and depth == 0 and not self._in_body():
                    statement = self._finished(begun, groups)
                    yield statement
                    if statement.table:
                        yield from self._rows(statement)
                    return

    def _opaque(self, token: bytes, at: int) -> None:
        """Takes a comment, a string or a quoted name, whose beginning is at `at`."""
        if token == b"--":
            self._take(at)
            self._to_line_end()
        elif token == b"/*":
            self._take(at)
            self._block_comment()
        elif token == b"'":
            escapes = self.escapes or self._after_e(at)
            self._take(at + 1)
            self._string(escapes)
        elif token == b'"':
            self._take(at + 1)
            self._until(_DOUBLE, "a quoted name")
        else:
            self._dollar(at)

    def _finished(self, line: int, groups: int) -> Statement:
        text = b"".join(self._text)
        copy = _COPY.fullmatch(text) if text[:4].lower() == b"copy" else None
        return Statement(text, line, self._size, groups, copy["table"] if copy else b"")

    def _rows(self, copy: Statement) -> Iterator[Event]:
        match = _LINE_END.match(self._data, self._at)
        while match and match.end() == len(self._data) and self._more():
            match = _LINE_END.match(self._data, self._at)
        if match is None:  # psql would send the rows first, and then go on in this line
            yield self._command(inside=True)
        else:
            self._pass(match.end())
        inside = f"the rows of {copy.table.decode('utf-8', 'replace')}"
        fresh = True  # at the start of a line
        while True:
            end = self._rows_end(fresh)
            if end is not None:
                upto, after = end
                yield from self._piece(upto)
                self._pass(after)
                yield RowsEnd()
                return
            # what is held back may be the beginning of the end, or half of a line's end
            held = len(self._data) - len(b"\n\\.\r")
            held -= self._data[held - 1 : held] == b"\r"
            if held > self._at:
                yield from self._piece(held)
                fresh = self._data[self._at - 1 : self._at] == b"\n"
            if not self._more():
                yield from self._piece(len(self._data))
                raise _Unfinished(inside)

    def _rows_end(self, fresh: bool) -> tuple[int, int] | None:
        """Where the rows end and where the text goes on, when the \\. is in what was read."""
        at = self._at
        while True:
            if not (fresh and self._data.startswith(b"\\.", at)):
                found = self._data.find(b"\n\\.", at)
                if found < 0:
                    return None
                at = found + 1
            rest = self._data[at + 2 : at + 4]
            if rest in (b"", b"\r"):
                ahead = at - self._at
                if not self._more():
                    return at, len(self._data)
                at, fresh = self._at + ahead, True
            elif rest.startswith((b"\n", b"\r\n")):
                return at, at + 2 + rest.index(b"\n") + 1
            else:
                fresh = False

    def _piece(self, upto: int) -> Iterator[Event]:
        if upto > self._at:
            line = self.line
            data = self._pass(upto)
            yield Rows(data.replace(b"\r\n", b"\n") if b"\r" in data else data, line)

    def _command(self, *, inside: bool) -> Command:
        line = self.line
        return Command(self._line(_LF), line, inside)

    def _comment(self) -> Comment:
        line = self.line
        return Comment(self._line(_NEWLINE), line)

    def _line(self, end: re.Pattern[bytes]) -> bytes:
        """The rest of the line, as far as it is told, without its end."""
        text = b""
        while True:
            match = end.search(self._data, self._at)
            text += self._pass(match.start() if match else len(self._data))[: _TOLD - len(text)]
            if match or not self._more():
                return text.rstrip(b"\r")

    def _to_line_end(self) -> None:
        while not (match := _NEWLINE.search(self._data, self._at)):
            self._take(len(self._data), code=False)
            self._need("a statement")
        self._take(match.start(), code=False)

    def _block_comment(self) -> None:
        self._take(self._at + 2, code=False)
        depth = 1
        while depth:
            match = _BLOCK.search(self._data, self._at)
            if match is None:
                self._take(max(self._at, len(self._data) - 1), code=False)
                self._need("a comment")
                continue
            self._take(match.end(), code=False)
            depth += 1 if match[0] == b"/*" else -1

    def _string(self, escapes: bool) -> None:
        """From behind its first quote. Without escapes a doubled quote looks like the next string, and may."""
        while True:
            self._until(_QUOTE_OR_ESCAPE if escapes else _QUOTE, "a string")
            if not escapes:
                return
            if self._data[self._at - 1 : self._at] == b"\\":
                if self._at == len(self._data):
                    self._need("a string")
                self._take(self._at + 1, code=False)
            elif self._next(b"'"):
                self._take(self._at + 1, code=False)
            elif not self._continued():
                return

    def _continued(self) -> bool:
        while True:
            if match := _CONTINUED.match(self._data, self._at):
                self._take(match.end(), code=False)
                return True
            if not (_GAP.match(self._data, self._at) and self._more()):
                return False

    def _dollar(self, at: int) -> None:
        """$$…$$, $tag$…$tag$, or no more than a sign; nothing is taken when more has to be read to tell which."""
        if self._in_word(at):
            self._take(at + 1)
        elif match := _DOLLAR.match(self._data, at):
            self._take(match.end(), code=False)
            self._until(re.compile(re.escape(match[0])), "a string", len(match[0]))
        elif not (_DOLLAR_BEGUN.match(self._data, at) and self._more()):
            self._take(at + 1)

    def _in_word(self, at: int) -> bool:
        """Whether the dollar at `at` is part of a name: not behind a number, or a parameter such as $1."""
        return bool(self._run(at).strip(_NO_LETTERS))

    def _until(self, what: re.Pattern[bytes], inside: str, length: int = 1) -> None:
        """Takes all up to and with `what`, which is `length` bytes long."""
        while not (match := what.search(self._data, self._at)):
            self._take(max(self._at, len(self._data) - length + 1), code=False)
            self._need(inside)
        self._take(match.end(), code=False)

    def _after_e(self, at: int) -> bool:
        """Whether the quote at `at` belongs to E'…': not if the letter ends a longer word, or a number."""
        if self._data[at - 1 : at] not in (b"e", b"E"):
            return False
        run = self._run(at - 1)
        return not run.strip(_NO_LETTERS) and not run[-1:].isdigit()

    def _run(self, at: int) -> bytes:
        """The letters, digits and dollars in front of `at`, back to the last string or comment."""
        match = _RUN.search(self._data, max(0, at - BACK, self._code_from - self._before), at)
        return match[0] if match else b""

    def _in_body(self) -> bool:
        """Whether a semicolon here belongs to a body of SQL: CREATE FUNCTION … BEGIN ATOMIC …; …; END."""
        if self._code[0][:1] not in (b"c", b"C"):
            return False
        code = b"".join(self._code)
        if not _ROUTINE.match(code):
            return False
        blocks = depth = 0
        for match in _BLOCKS.finditer(code):
            match match[0].lower():
                case b"(":
                    depth += 1
                case b")":
                    depth = max(0, depth - 1)
                case b"begin" if depth == 0:
                    blocks += 1
                case b"case" if depth == 0 and blocks:
                    blocks += 1
                case b"end" if depth == 0:
                    blocks = max(0, blocks - 1)
        return blocks > 0

    def _begin(self) -> None:
        self._text.clear()
        self._code.clear()
        self._size = 0

    def _skip_space(self) -> bool:
        """False at the end of the text."""
        while True:
            if match := _SPACE.match(self._data, self._at):
                self._pass(match.end())
            if self._at < len(self._data):
                return True
            if not self._more():
                return False

    def _take(self, upto: int, *, code: bool = True) -> None:
        """Into the statement's text."""
        if self._keep == 0 or self._size < self._keep:
            self._text.append(self._data[self._at : upto])
            self._code.append(self._text[-1] if code else b" ")
        self._size += upto - self._at
        self._pass(upto)
        if not code:
            self._code_from = self.offset

    def _need(self, inside: str) -> None:
        if not self._more():
            raise _Unfinished(inside)
