"""Which parts of a backup somebody means who typed their names: a table, a collection, a folder. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from killick.contents import Contents
from killick.errors import NotFound, SettingsError


def pick(typed: Iterable[str], parts: Mapping[str, Iterable[str]], contents: Contents) -> frozenset[str]:
    """The keys of `parts` that are meant, and the tables that are part of them in turn.

    `parts` has under each key the other names that people give it, which may be several parts' names; a key itself
    is always meant by its own name.
    Raises SettingsError where a name can mean several, NotFound (with what comes near) where it means none.
    """
    named: dict[str, list[str]] = {}
    for key, others in parts.items():
        for name in set(others):
            named.setdefault(name, []).append(key)
    found: set[str] = set()
    lost, unclear = [], []
    for name in typed:
        keys = [name] if name in parts else named.get(name, [])
        if len(keys) > 1:
            unclear.append(f"{name} can mean {' or '.join(sorted(keys))}: name one of them in full")
        elif not keys:
            lost.append(name)
        found.update(keys)
    if unclear:
        raise SettingsError(unclear)
    if lost:
        raise NotFound(f"the backup does not hold {', '.join(lost)}", _hint(lost, parts, named, contents))
    inside = {key for key, table in contents.tables.items() if not found.isdisjoint(table.ancestors)}
    return frozenset(found | inside)


def _hint(
    lost: Iterable[str], parts: Mapping[str, Iterable[str]], named: Mapping[str, list[str]], contents: Contents
) -> str:
    if views := sorted({label for name in lost for label in _views(name, contents)}):
        return f"a view comes along when all the tables that it looks at are named: {', '.join(views)}"
    near = sorted({key for name in lost for key in _near(name, parts, named)})
    return f"did you mean {' or '.join(near)}?" if near else "killick show lists what it holds"


def _views(name: str, contents: Contents) -> Iterable[str]:
    """Of the schema's labels ("VIEW public.trips") those of views that `name` may mean."""
    for label in contents.groups.get("schema", {}):
        kind, _, named = label.rpartition(" ")
        if kind in ("VIEW", "MATERIALIZED VIEW") and (named == name or named.endswith(f".{name}")):
            yield label


def _near(name: str, parts: Mapping[str, Iterable[str]], named: Mapping[str, list[str]]) -> Iterable[str]:
    for close in difflib.get_close_matches(name, {*parts, *named}, n=3):
        yield from [close] if close in parts else named[close]
