"""Rules that hide personal data in copies: what MASK says, and which columns of a backup it means. Pure.

rules      the text of MASK → rules
tables     the tables and columns of a backup that rules mean
personal   columns whose names look personal, and that no rule speaks of
keyed      values → masked values, the same ones under the same key; people: the names that are given

How a value is written, and where it stands in a dump, is the engine's: killick.engines.postgres.masking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from killick.errors import Refused

ENGINE = "postgres"
"""The one engine whose copies can be masked by rules."""


@dataclass(frozen=True)
class Rule:
    """What becomes of one column.

    `table` and `column` are written as in the keys of Contents (public."Order Items"); before `tables.resolve` as
    somebody typed them. `argument` is the text of a constant, or the unit that a date is cut to. `path` leads to
    values inside a JSON document ("*": each of what is there), () is the whole column; a path's constant is JSON.
    """

    table: str
    column: str
    kind: str
    argument: str = ""
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The column, as it is written in MASK."""
        return ".".join([self.table, self.column, *(["$", *self.path] if self.path else [])])


@dataclass(frozen=True)
class Mask:
    """The rules, and the key that makes masked values the same in every copy; without one each copy has its own."""

    rules: tuple[Rule, ...]
    key: str = field(default="", repr=False)

    def of(self, table: str) -> Mapping[str, tuple[Rule, ...]]:
        """The rules of one table (a key of Contents), by column."""
        found: dict[str, tuple[Rule, ...]] = {}
        for rule in self.rules:
            if rule.table == table:
                found[rule.column] = (*found.get(rule.column, ()), rule)
        return found


class Unmaskable(ValueError):
    """A value that no rule can mask: what it is ("a document that is nested too deeply"), never its text."""


def must_apply(engine: str, *, script: bool = False) -> None:
    """Raises Refused where rules would hide nothing: another engine (its name in manifests), a dump that is a script.

    To be asked before anything is downloaded, whenever there are rules.
    """
    if engine != ENGINE or script:
        what = "a dump that is plain SQL" if engine == ENGINE else f"a backup of {engine}"
        raise Refused(
            f"MASK does not apply to {what}: it would be restored with all that is personal in it",
            "hide it by a script in restore.d, and unset MASK for this restore",
        )
