"""Rules that cannot work, told before a row is loaded. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from killick.engines.postgres import names
from killick.engines.postgres.masking.target import Facts, Reference
from killick.engines.postgres.masking.values import FAMILIES, TEXT
from killick.masking import Rule
from killick.masking.keyed import EMAIL, NAME, SUFFIX

Ruled = Mapping[tuple[str, str], tuple[Facts, tuple[Rule, ...]]]
"""Columns that are masked, by the table's key and the column's name."""

_RISK = 1e-6  # that two values of a unique column get one hash
_WHAT = {"email": "texts", "name": "texts", "truncate-date": "dates and timestamps", "hash": "texts, numbers and uuids"}


def suffixed(ruled: Ruled) -> bool:
    """Whether names have to be unique; then they are everywhere, so that they still join."""
    return any(facts.unique and rule.kind == "name" for facts, rules in ruled.values() for rule in rules)


def problems(ruled: Ruled, references: Iterable[Reference], rows: Mapping[str, int]) -> Iterator[str]:
    """A sentence for each rule that would fail, or hide too little. `rows`: how many each table has."""
    unique = suffixed(ruled)
    for (table, column), (facts, rules) in ruled.items():
        for rule in rules:
            problem = _problem(facts, rule, unique, rows.get(table, 0))
            if problem:
                path = f".{'.'.join(('$', *rule.path))}" if rule.path else ""
                yield f"{table}.{names.key(column)}{path}: {problem}"
    yield from dict.fromkeys(_torn(ruled, references, unique))


def _problem(facts: Facts, rule: Rule, suffixed: bool, rows: int) -> str:
    column, kind = facts.column, rule.kind
    if facts.generated:
        return "is a generated column, made anew of masked values: mask the columns that it is made of"
    if rule.path:
        return "" if column.family == "json" else f"a path leads into json and jsonb only, and it is {column.type}"
    if kind == "null":
        return "it may not be null: choose constant, or another kind" if facts.not_null else ""
    if kind == "constant":
        alone = facts.alone and rows > 1
        return f"it is unique, and {rows} rows cannot have one constant: choose another kind" if alone else ""
    if kind == "keep":
        return ""
    if column.family not in FAMILIES[kind]:
        return f"{kind} is for {_WHAT[kind]}, and it is {column.type}: choose null or constant"
    if kind == "truncate-date" and rule.argument == "day" and column.family == "date":
        return "truncate-date day changes nothing in a date: choose month or year"
    return _too_short(facts, kind, suffixed, rows) if column.family in TEXT else ""


def _too_short(facts: Facts, kind: str, suffixed: bool, rows: int) -> str:
    """An address cut short is none; a hash or a name may be, where it need not be unique."""
    column = facts.column
    room = column.fits(kind, suffixed)
    if kind == "email" and room < EMAIL:
        return f"a masked address has {EMAIL} characters, and it is {column.type}: choose hash, null or constant"
    if kind == "name" and facts.unique and room < NAME + SUFFIX:
        return f"a unique name has {NAME + SUFFIX} characters, and it is {column.type}: choose hash"
    if kind == "hash" and facts.unique and rows * (rows - 1) / 2 > _RISK * 16**room:
        return f"it is unique, and {column.type} is too short for {rows} different hashes: choose null, or keep it"
    return ""


def _torn(ruled: Ruled, references: Iterable[Reference], suffixed: bool) -> Iterator[str]:
    """References whose two ends would no longer meet."""
    for reference in references:
        own, other = (_treatment(ruled.get(end), suffixed) for end in (reference.own, reference.other))
        if own not in (other, ("null",)):
            one, two = (f"{table}.{names.key(column)}" for table, column in (reference.other, reference.own))
            yield f"{one} is referenced by {two}: mask both alike"


def _treatment(ruled: tuple[Facts, tuple[Rule, ...]] | None, suffixed: bool) -> tuple[object, ...]:
    """Equal for two columns when equal values of theirs stay equal; () where they stay as they are."""
    if ruled is None or ruled[1][0].kind == "keep":
        return ()
    column, rule = ruled[0].column, ruled[1][0]
    if rule.kind in ("null", "constant", "truncate-date") or column.family not in TEXT:
        return (rule.kind, rule.argument) if rule.argument else (rule.kind,)
    return (rule.kind, column.fits(rule.kind, suffixed), column.family == "citext")
