"""The tables and columns of a backup that rules mean, told from its manifest. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace

from killick.contents import Contents
from killick.engines import postgres
from killick.engines.postgres import names
from killick.errors import KillickError, SettingsError
from killick.masking import Mask, Rule
from killick.pick import pick

_SHOWN = 8  # columns that a problem names
_VIEWS = ("VIEW", "MATERIALIZED VIEW")


def resolve(mask: Mask, contents: Contents) -> Mask:
    """The same rules with tables and columns as the backup's contents name them; what is resolved stays as it is.

    Raises SettingsError with every rule that means no column, several tables, or what another rule speaks of.
    """
    there = {**postgres.parts(contents), **{key: names.spellings(key) for key in _partitioned(contents)}}
    problems: list[str] = []
    rules: list[Rule] = []
    for rule in mask.rules:
        try:
            (table,) = pick([names.key(*names.parts(rule.table))], there, Contents())
            rules.append(replace(rule, table=table, column=_column(contents, table, rule.column)))
        except (KillickError, ValueError) as error:
            problems.append(f"{rule}: {_view(contents, rule.table) or error}")
    problems += _twice(rules)
    if problems:
        raise SettingsError([f"MASK: {problem}" for problem in problems], "docs/masking.md explains the rules")
    return replace(mask, rules=tuple(rules))


def columns(contents: Contents, table: str) -> tuple[str, ...]:
    """Of a table, or of one whose rows are in its partitions; () where the backup does not tell."""
    if table in contents.tables:
        return contents.tables[table].columns
    return next((of.columns for key, of in contents.tables.items() if table in ancestors(contents, key)), ())


def ancestors(contents: Contents, table: str) -> tuple[str, ...]:
    """What it is a partition of or inherits from, the nearest first. `table` may be one that has no rows of its own."""
    if table in contents.tables:
        return contents.tables[table].ancestors
    for of in contents.tables.values():
        if table in of.ancestors:
            return of.ancestors[of.ancestors.index(table) + 1 :]
    return ()


def _partitioned(contents: Contents) -> Iterable[str]:
    """Tables that have no partition yet, or none that an older manifest tells of."""
    for label in contents.groups.get("schema", {}):
        if label.startswith("TABLE ") and not label.startswith("TABLE ATTACH "):
            yield names.key(*label.removeprefix("TABLE ").split(".", 1))


def _column(contents: Contents, table: str, typed: str) -> str:
    """As a key. Raises ValueError with the end of a sentence."""
    there = columns(contents, table)
    (name,) = names.parts(typed)
    if name in there or not there:
        return names.key(name)
    near = difflib.get_close_matches(name.lower(), there, n=1) or [c for c in there if c.lower() == name.lower()]
    if near:
        raise ValueError(f"{table} has no such column: did you mean {names.key(near[0])}?")
    more = ", …" if len(there) > _SHOWN else ""
    raise ValueError(
        f"{table} has no such column; it has {', '.join(map(names.key, there[:_SHOWN]))}{more}"
        " (a generated one is made anew, of masked values)"
    )


def _view(contents: Contents, typed: str) -> str:
    """Why there is no such table, where it is a view."""
    meant = ".".join(names.parts(typed))
    for label in contents.groups.get("schema", {}):
        for kind in _VIEWS:
            name = label.removeprefix(f"{kind} ")
            if name != label and meant in (name, name.partition(".")[2]):
                return f"{name} is a {kind.lower()}: mask the tables behind it"
    return ""


def _twice(rules: Iterable[Rule]) -> list[str]:
    """A column has one rule for all of it, or some for different values inside."""
    seen: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    problems: dict[str, None] = {}
    for rule in rules:
        paths = seen.setdefault((rule.table, rule.column), set())
        if rule.path in paths:
            problems[f"{rule} has two rules: keep one of them"] = None
        elif paths and () in {rule.path, *paths}:
            whole = replace(rule, path=())
            problems[f"{whole} has a rule for all of it and one for a value inside: keep one of them"] = None
        paths.add(rule.path)
    return list(problems)
