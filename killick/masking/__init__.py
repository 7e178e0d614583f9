"""Rules that hide personal data in copies: what MASK says, and what becomes of a value. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Rule:
    """What becomes of one column. `path` is of a value inside a JSON document, () for the whole column."""

    table: str
    column: str
    kind: str
    argument: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mask:
    """The rules, and the key that makes masked values the same in every copy."""

    rules: tuple[Rule, ...]
    key: str = field(default="", repr=False)

    def of(self, table: str) -> Mapping[str, tuple[Rule, ...]]:
        """The rules of one table (a key of Contents), by column."""
        found: dict[str, tuple[Rule, ...]] = {}
        for rule in self.rules:
            if rule.table == table:
                found[rule.column] = (*found.get(rule.column, ()), rule)
        return found
