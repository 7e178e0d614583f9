"""The text of MASK → rules.

    users.email: email
    public.users.phone: null;  "Order Items"."Note": constant removed
    users.born: truncate-date month,  users.profile.$.contacts.*.email: email

Rules end at a comma, a semicolon or the end of a line; a line that begins with # is a comment. What holds one of
these, a space, a dot or a colon stands in quotes.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator

from killick.masking import Rule

KINDS = ("keep", "null", "constant", "email", "name", "hash", "truncate-date")
UNITS = ("year", "month", "day")

PART = r'"(?:[^"]|"")+"|[^\s".:,;\[\]]+'
"""A name in SQL's quotes, or bare."""

_BREAK = re.compile(r"[,;\r\n]")
_SPACE = re.compile(r"[ \t]*")
_COMMENT = re.compile(r"#[^\r\n]*")
_TARGET = re.compile(rf"(?:{PART})(?:\.(?:{PART}))*")
_KIND = re.compile(r"[^\s,;]+")
_QUOTED = re.compile(r""""((?:[^"]|"")*)"|'((?:[^']|'')*)'""")
_REST = re.compile(r"[^,;\r\n]*")


def parse(text: str) -> tuple[Rule, ...]:
    """Raises ValueError with a sentence for each rule that is wrong."""
    rules: list[Rule] = []
    problems: list[str] = []
    for found in _rules(text):
        if isinstance(found, Rule):
            rules.append(found)
        else:
            problems.append(found)
    if problems:
        raise ValueError(*problems)
    if not rules:
        raise ValueError("holds no rule: write one like users.email: email")
    return tuple(rules)


def unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def _rules(text: str) -> Iterator[Rule | str]:
    """Each rule, or what is wrong with it."""
    at = 0
    while at < len(text):
        at = _after(_SPACE, text, at)
        if text.startswith("#", at) and not text[:at].rpartition("\n")[2].strip():
            at = _after(_COMMENT, text, at)
        elif at < len(text) and not _BREAK.match(text, at):
            begun = at
            try:
                rule, at = _rule(text, at)
            except ValueError as error:
                at = _after(_REST, text, at)
                yield f"{text[begun:at].strip()!r} {error}"
            else:
                yield rule
        at += 1


def _rule(text: str, at: int) -> tuple[Rule, int]:
    """The rule that begins at `at`, and where it ends. Raises ValueError with the end of a sentence."""
    target = _TARGET.match(text, at)
    colon = _after(_SPACE, text, target.end() if target else at)
    if target is None or not text.startswith(":", colon):
        if text.startswith("[", colon):
            raise ValueError("has brackets: write .* for each element of an array, or .0 for the first")
        raise ValueError("is no rule: write table.column: kind, and names with spaces or dots in double quotes")
    table, column, path = _split(target[0])
    kind = _KIND.match(text, _after(_SPACE, text, colon + 1))
    if kind is None or kind[0] not in KINDS:
        near = difflib.get_close_matches(kind[0].lower(), KINDS, n=1) if kind else []
        raise ValueError(f"has no kind that is known: did you mean {near[0]}?" if near else f"needs one of {_LISTED}")
    argument, quoted, end = _argument(text, _after(_SPACE, text, kind.end()))
    _check(kind[0], argument, quoted)
    if path and kind[0] == "constant":
        argument = _json(argument, quoted)
    return Rule(table, column, kind[0], argument, path), end


_LISTED = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"


def _split(target: str) -> tuple[str, str, tuple[str, ...]]:
    """Table and column as they are written, and the path's steps."""
    parts = re.findall(PART, target)
    path: tuple[str, ...] = ()
    if "$" in parts:
        at = parts.index("$")
        parts, path = parts[:at], tuple(unquoted(part) for part in parts[at + 1 :])
        if not path:
            raise ValueError("names no value inside the document: write users.profile.$.phone, or leave .$ out")
    if len(parts) not in (2, 3):
        raise ValueError("names no column of a table: write table.column or schema.table.column")
    return ".".join(parts[:-1]), parts[-1], path


def _argument(text: str, at: int) -> tuple[str, bool, int]:
    """The argument, whether it was in quotes, and where the rule ends."""
    if quoted := _QUOTED.match(text, at):
        end = _after(_SPACE, text, quoted.end())
        if end < len(text) and not _BREAK.match(text, end):
            raise ValueError("goes on after its quotes: separate rules by commas, semicolons or new lines")
        mark = text[at]
        return quoted[0][1:-1].replace(mark * 2, mark), True, end
    end = _after(_REST, text, at)
    return text[at:end].strip(), False, end


def _check(kind: str, argument: str, quoted: bool) -> None:
    if kind == "constant":
        if not argument and not quoted:
            raise ValueError("lacks the text: write constant removed, or constant '' for an empty one")
    elif kind == "truncate-date":
        if argument not in UNITS:
            raise ValueError("lacks the unit: write truncate-date year, truncate-date month or truncate-date day")
    elif argument or quoted:
        raise ValueError(f"has more than {kind} needs: separate rules by commas, semicolons or new lines")


def _json(text: str, quoted: bool) -> str:
    """JSON as it is; any other text, and what was in quotes, as a string."""
    if not quoted:
        try:
            json.loads(text, parse_constant=_refuse)
        except ValueError:
            pass
        else:
            return text
    return json.dumps(text, ensure_ascii=False)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
