"""What pg_restore lists of a dump: its entries, in order, and which others each of them needs."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_ENTRY = re.compile(r"^(\d+); (\d+) \d+ (.*)$")
_DEPENDS = re.compile(r"^;\s+depends on: ([\d ]+)$")
_PG_CLASS = "1259"
# A line has kind, schema, name and owner with spaces between, and a schema may be called DATA. What has a row in
# pg_class is one of the first kinds, everything else one of the second or of no interest here.
_RELATIONS = ("MATERIALIZED VIEW", "FOREIGN TABLE", "SEQUENCE", "TABLE", "INDEX", "VIEW")
_OTHERS = (
    *("MATERIALIZED VIEW DATA", "SEQUENCE OWNED BY", "SEQUENCE SET", "TABLE ATTACH", "TABLE DATA", "INDEX ATTACH"),
    *("CHECK CONSTRAINT", "FK CONSTRAINT", "CONSTRAINT", "DEFAULT ACL", "DEFAULT", "EVENT TRIGGER", "TRIGGER"),
    *("PUBLICATION TABLES IN SCHEMA", "PUBLICATION TABLE", "SUBSCRIPTION TABLE", "SECURITY LABEL", "USER MAPPING"),
    *("COMMENT", "EXTENSION", "POLICY", "RULE", "ACL"),
)


@dataclass(frozen=True)
class Entry:
    """`title` is schema, name and owner as pg_restore prints them; `needs` are numbers of other entries."""

    kind: str
    title: str
    needs: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The title without its owner (of whose name the first words stay, where it has several)."""
        return self.title.rpartition(" ")[0] or self.title


class Listing(dict[int, Entry]):
    """Entries by their numbers, in the dump's order."""

    def of(self, *kinds: str) -> Iterator[tuple[int, Entry]]:
        return ((number, entry) for number, entry in self.items() if entry.kind in kinds)

    def around(self, numbers: Iterable[int]) -> set[int]:
        """These, and all that they need."""
        found: set[int] = set()
        todo = list(numbers)
        while todo:
            number = todo.pop()
            if number not in found:
                found.add(number)
                todo.extend(self[number].needs)
        return found

    def only(self, numbers: Collection[int]) -> Listing:
        return Listing({number: entry for number, entry in self.items() if number in numbers})

    def without(self, numbers: Collection[int]) -> Listing:
        return Listing({number: entry for number, entry in self.items() if number not in numbers})

    def schema(self) -> Listing:
        """Without what --schema-only restores all the same: it fills materialized views."""
        return self.without({number for number, _ in self.of("MATERIALIZED VIEW DATA")})

    def apart(self, kind: str) -> tuple[Listing, Listing]:
        """All but the entries of this kind, and those with the comments on them."""
        those = {number for number, _ in self.of(kind)}
        those |= {number for number, entry in self.of("COMMENT") if those.intersection(entry.needs)}
        return self.without(those), self.only(those)

    @contextmanager
    def file(self) -> Iterator[str]:
        """The path of a list as pg_restore --use-list takes it; it goes by the numbers alone, in this order."""
        with tempfile.NamedTemporaryFile("w", suffix=".list") as chosen:
            chosen.writelines(f"{number};\n" for number in self)
            chosen.flush()
            yield chosen.name


def read(printed: bytes) -> Listing:
    """Of what `pg_restore --list` prints, with --verbose for the needs.

    A need that is not listed itself (an extension's own table) is dropped.
    """
    found: dict[int, tuple[str, str]] = {}
    needs: dict[int, list[int]] = {}
    number = 0
    for text in printed.decode("utf-8", "surrogateescape").split("\n"):
        if match := _ENTRY.match(text):
            number = int(match[1])
            found[number] = _told(match[3], _RELATIONS if match[2] == _PG_CLASS else _OTHERS)
        elif match := _DEPENDS.match(text):
            needs[number] = [int(n) for n in match[1].split()]
    return Listing(
        {
            number: Entry(kind, title, tuple(need for need in needs.get(number, ()) if need in found))
            for number, (kind, title) in found.items()
        }
    )


def line(schema: str, name: str) -> str:
    """How a title begins: line breaks are printed as spaces."""
    return f"{schema} {name} ".replace("\n", " ").replace("\r", " ")


def _told(text: str, kinds: Iterable[str]) -> tuple[str, str]:
    kind = next((kind for kind in kinds if text.startswith(f"{kind} ")), "")
    return kind, text.removeprefix(f"{kind} ") if kind else text
