"""What becomes of one field of a dump: by its column's type and the rules for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from killick.engines.postgres.masking import dates, documents
from killick.engines.postgres.masking.copytext import NULL, elements, plain, written
from killick.masking import Rule, Unmaskable
from killick.masking.keyed import EMAIL, HASH, NAME, SUFFIX, Keyed

TEXT = frozenset({"text", "char", "citext"})
DATES = frozenset({"date", "timestamp"})
FAMILIES = {
    "email": TEXT | {"json"},
    "name": TEXT | {"json"},
    "hash": TEXT | {"json", "number", "uuid", "bytea", "inet"},
    "truncate-date": DATES | {"json"},
}
"""The families of types that a kind knows; keep, null and constant know all."""

_KEPT = 1 << 12  # masked values of a column that are remembered,
_SHORT = 256  # if they are not longer than so many bytes

Change = Callable[[str], str]


@dataclass(frozen=True)
class Column:
    """`type` as people write it, `family` by what is done with its values ("": nothing is known of it).

    `width` is what it holds at most, in characters, 0 for no limit. Of an array, all three are the elements'.
    """

    type: str
    family: str
    array: bool = False
    width: int = 0

    def fits(self, kind: str, suffixed: bool) -> int:
        """How many characters of a masked text go in; all of them mostly."""
        longest = {"email": EMAIL, "hash": HASH, "name": NAME + (SUFFIX if suffixed else 0)}[kind]
        return min(self.width or longest, longest)


def field(column: Column, rules: Sequence[Rule], keyed: Keyed, codec: str) -> Callable[[bytes], bytes]:
    """A field of COPY → the masked one; NULL stays. `codec` is Python's name for the dump's encoding.

    The function raises Unmaskable.
    """
    first = rules[0]
    if not first.path and first.kind == "null":
        return lambda _: NULL
    if not first.path and first.kind == "constant":
        constant = written(first.argument.encode(codec))
        return lambda data: data if data == NULL else constant
    change = _change(column, rules, keyed)
    if column.array:
        one = change
        change = lambda array: elements(array, one)  # noqa: E731
    return _remembering(change, codec, whole=column.array or column.family == "json")


def _remembering(change: Change, codec: str, *, whole: bool) -> Callable[[bytes], bytes]:
    """`whole`: parts of the value stay as they are, so they must come out of the codec as they went in."""
    seen: dict[bytes, bytes] = {}

    def masked(data: bytes) -> bytes:
        found = seen.get(data)
        if found is None:
            if data == NULL:
                return data
            value = plain(data)
            text = value.decode(codec, "surrogateescape")
            if whole and text.encode(codec, "surrogateescape") != value:
                raise Unmaskable(f"characters that cannot be written back in {codec}")
            found = written(change(text).encode(codec, "surrogateescape"))
            if len(data) <= _SHORT:
                if len(seen) >= _KEPT:
                    seen.clear()
                seen[data] = found
        return found

    return masked


def _change(column: Column, rules: Sequence[Rule], keyed: Keyed) -> Change:
    if column.family == "json":
        changes = [documents.Change(rule.path, _in_json(rule, keyed)) for rule in rules]
        return lambda document: documents.changed(document, changes)
    rule = rules[0]
    if column.family in DATES:
        return lambda text: dates.cut(text, rule.argument)
    if column.family in TEXT:
        return _in_text(column, rule.kind, keyed)
    return {"number": keyed.number, "uuid": keyed.uuid, "inet": keyed.address, "bytea": _bytea(keyed)}[column.family]


def _in_text(column: Column, kind: str, keyed: Keyed) -> Change:
    """Texts that the type takes for equal get equal results: blanks at a char's end, and citext's capitals."""
    mask = _of_text(kind, keyed)
    family, width = column.family, column.width or None

    def change(text: str) -> str:
        if family == "char":
            text = text.rstrip(" ")
        elif family == "citext":
            text = text.lower()
        return mask(text)[:width] if text else text

    return change


def _of_text(kind: str, keyed: Keyed) -> Change:
    return {"email": keyed.email, "name": keyed.name, "hash": keyed.text}[kind]


def _bytea(keyed: Keyed) -> Change:
    return lambda text: f"\\x{keyed.binary(text).hex()}" if text != "\\x" else text


def _in_json(rule: Rule, keyed: Keyed) -> Change:
    if rule.kind == "keep":
        return lambda value: value
    if rule.kind == "null":
        return lambda _: "null"
    if rule.kind == "constant":
        return lambda _: rule.argument
    scalar = _cut_scalar(rule.argument) if rule.kind == "truncate-date" else _masked_scalar(rule.kind, keyed)
    return lambda value: documents.scalars(value, scalar)


def _cut_scalar(unit: str) -> Change:
    """What is no date becomes null: nobody knows what it is."""

    def change(token: str) -> str:
        date = dates.cut_iso(json.loads(token), unit) if token.startswith('"') else None
        return "null" if date is None else json.dumps(date)

    return change


def _masked_scalar(kind: str, keyed: Keyed) -> Change:
    """A hash keeps what a thing is: a string, a number, a boolean (always false). Names and addresses are strings."""
    mask = _of_text(kind, keyed)

    def change(token: str) -> str:
        if token == "null":  # noqa: S105
            return token
        if token.startswith('"'):
            text = json.loads(token)
            return json.dumps(mask(text)) if text else token
        if kind != "hash":
            return json.dumps(mask(token))
        if token in ("true", "false"):
            return "false"
        return "0" if "e" in token.lower() else keyed.number(token)

    return change
