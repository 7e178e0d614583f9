"""A table of a TOML file, asked key by key: whatever is wrong in it is collected, to be told at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

_KINDS: Mapping[type, str] = {
    str: "a text", int: "a number", float: "a number", bool: "true or false", list: "a list", dict: "a table",
}  # fmt: skip
_LONGEST = 86_400  # seconds that writes may be refused


@dataclass
class Table:
    """A table of the file that is read key by key; what was asked for is what may be there.

    `there` is off for one that is left out, or is no table: that is told once, and not for each of its keys.
    """

    name: str
    values: Mapping[str, Any]
    there: bool = True
    wrong: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    below: list[Table] = field(default_factory=list)

    def problems(self) -> Iterable[str]:
        for key in self.values:
            if key not in self.asked:
                near = get_close_matches(key, self.asked, 1)
                yield f"{self._of(key)} is unknown" + (f": did you mean {near[0]}?" if near else "")
        yield from self.wrong
        for table in self.below:
            yield from table.problems()

    def text(
        self, key: str, default: str | None = None, *, like: str = "", means: str = "", quoted: bool = True
    ) -> str:
        """`like` is a pattern that it has to fit; `means` tells a person what that is. `quoted` is off where somebody
        may have written a secret by mistake."""
        value: str = self._value(key, str, "a text", default, "")
        shown = f"{self._of(key)}{f' = {value!r}' if quoted else ''}"
        if not value:
            if key in self.values and isinstance(self.values[key], str) and default != "":
                self.wrong.append(f"{self._of(key)} is empty")
        elif not value.isprintable():
            self.wrong.append(f"{shown} holds what cannot be printed")
        elif value != default and like and not re.fullmatch(like, value):
            self.wrong.append(f"{shown} is not {means}")
        return value

    def number(self, key: str, default: float) -> float:
        """Seconds, above 0."""
        value = self._value(key, (int, float), "a number of seconds", default, default)
        if not 0 < value <= _LONGEST:
            self.wrong.append(f"{self._of(key)} has to be above 0, and at most {_LONGEST}")
            return default
        return float(value)

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        value = self._value(key, list, "a list of texts", default, ())
        if not all(isinstance(each, str) and each and each.isprintable() for each in value):
            self.wrong.append(f"{self._of(key)} has to be a list of texts")
            return ()
        if default is None and key in self.values and not value:
            self.wrong.append(f"{self._of(key)} is empty")
        return tuple(value)

    def table(self, key: str, *, needed: bool) -> Table:
        """Empty where it is left out; whoever may leave it out looks for it in `values` first."""
        values = self._value(key, dict, "a table", None if needed else {}, {})
        found = Table(self._of(key), values, isinstance(self.values.get(key), dict))
        if key in self.values or needed:
            self.below.append(found)
        return found

    def _value(self, key: str, kind: type | tuple[type, ...], means: str, default: Any, instead: Any) -> Any:
        self.asked.append(key)
        if key not in self.values:
            if default is None and self.there:
                self.wrong.append(f"{self._of(key)} is missing: {means}")
            return instead if default is None else default
        value = self.values[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            self.wrong.append(f"{self._of(key)} has to be {means}, and is {_KINDS.get(type(value), 'a date')}")
            return instead
        return value

    def _of(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key
