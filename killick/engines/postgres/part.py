"""Single tables out of a dump: with what they need, and with what needs nothing but them."""

from __future__ import annotations

import re
from collections.abc import Collection

from killick.engines.postgres import names
from killick.errors import NotFound

_ENTRY = re.compile(r"^(\d+); \d+ \d+ (.*)$")
_DEPENDS = re.compile(r"^;\s+depends on: ([\d ]+)$")
_OF_TABLES = re.compile(r"(TABLE|TABLE DATA) (?!DATA )")
_ALONG = ("INDEX", "CONSTRAINT", "DEFAULT", "SEQUENCE", "TRIGGER", "COMMENT", "CHECK CONSTRAINT", "FK CONSTRAINT")


def chosen(verbose: str, entries: list[str], only: Collection[str]) -> list[str]:
    """Of the lines of a listing those that the tables `only` (keys of Contents) need.

    `verbose` is the same listing with each entry's dependencies. Raises NotFound for a table that is not in it.
    """
    titles, needs = _read(verbose)
    tables = {key: [n for n, title in titles.items() if _is_of(title, key)] for key in only}
    lost = sorted(key for key, found in tables.items() if not found)
    if lost:
        raise NotFound(f"the backup has no table {', '.join(lost)}", "killick show lists its tables")
    wanted: set[int] = set()
    todo = [number for found in tables.values() for number in found]
    while todo:
        number = todo.pop()
        if number not in wanted and number in titles:
            wanted.add(number)
            todo.extend(needs.get(number, ()))
    while True:
        along = {
            number
            for number, title in titles.items()
            if number not in wanted
            and title.startswith(_ALONG)
            and needs.get(number)
            and all(need in wanted for need in needs[number] if need in titles)
        }
        if not along:
            break
        wanted |= along
    return [line for line in entries if (match := _ENTRY.match(line)) and int(match.group(1)) in wanted]


def _read(verbose: str) -> tuple[dict[int, str], dict[int, list[int]]]:
    titles: dict[int, str] = {}
    needs: dict[int, list[int]] = {}
    number = 0
    for line in verbose.splitlines():
        if match := _ENTRY.match(line):
            number = int(match.group(1))
            titles[number] = match.group(2)
        elif match := _DEPENDS.match(line):
            needs[number] = [int(n) for n in match.group(1).split()]
    return titles, needs


def _is_of(title: str, key: str) -> bool:
    """A title is kind, schema, name and owner, unquoted and with spaces between: so the key is told from its start."""
    match = _OF_TABLES.match(title)
    if not match:
        return False
    schema, name = names.parts(key)
    return title[match.end() :].startswith(f"{schema} {name} ")
