"""Reading variables: NAME or NAME_FILE, misspelt names, and every problem kept for the end."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from killick.settings import values
from killick.settings.variables import BY_NAME, FAMILIES, FOREIGN, Variable

_FILE = "_FILE"
_LONGEST = 1 << 16


class Reader:
    """Gives values by name and collects `problems`. A variable that is empty counts as not set (`X: ${X:-}`)."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {name: value for name, value in environ.items() if value.strip()}
        self.problems: list[str] = []

    def __call__(self, name: str) -> Any:
        """The parsed value of one variable, its default where it is not set, None where it has none or is wrong."""
        variable = BY_NAME[name]
        raw = self.raw(name, variable)
        if raw is None:
            return variable.parse(variable.default) if variable.default else None
        return self.parsed(name, variable, raw)

    def family(self, prefix: str) -> Iterator[tuple[str, Any]]:
        """(source's name, value) of every variable that begins with `prefix`, by name; wrong ones are left out."""
        variable = BY_NAME[f"{prefix}<NAME>"]
        suffixes = {
            self._base(name).removeprefix(prefix) for name in self._environ if self._base(name).startswith(prefix)
        }
        for suffix in sorted(suffixes - {"FILE"}):
            raw = self.raw(prefix + suffix, variable)
            value = self.parsed(prefix + suffix, variable, raw) if raw is not None else None
            if value is not None:
                yield suffix, value

    def given(self, name: str) -> bool:
        return name in self._environ or name + _FILE in self._environ

    def begins(self, *prefixes: str) -> bool:
        return bool(prefixes) and any(name.startswith(prefixes) for name in self._environ)

    def raw(self, name: str, variable: Variable) -> str | None:
        """As it was written, without the white space around it unless it is a password."""
        value = self._environ.get(name)
        path = self._environ.get(name + _FILE) if variable.file_form else None
        if value is not None and path is not None:
            self.problems.append(f"{name} and {name}{_FILE} are both set: keep one of them")
            return None
        if path is not None:
            value = self._read(name + _FILE, path.strip())
        if value is None:
            return None
        try:
            value.encode()
        except UnicodeEncodeError:
            self.problems.append(f"{name} is not UTF-8: write it again")
            return None
        if "\0" in value:
            self.problems.append(f"{name} holds a zero byte: write it again")
            return None
        return value if variable.parse is values.exact else value.strip()

    def parsed(self, name: str, variable: Variable, raw: str) -> Any:
        try:
            return variable.parse(raw)
        except ValueError as error:
            self.problems += [f"{name}: {problem}" for problem in error.args]
            return None

    def unknown(self) -> None:
        """Adds a problem for each name that is nearly one of ours, and for sources called `file`."""
        for name in sorted(self._environ):
            base = self._base(name)
            if base in BY_NAME or not {name, base.removesuffix(_FILE)}.isdisjoint(FOREIGN):
                continue
            if any(name == prefix + "FILE" for prefix in FAMILIES):
                self.problems.append(f"{name}: a name that ends in _FILE gives a path, so no source is called 'file'")
            elif not any(base.startswith(f) for f in FAMILIES) and (near := nearest(name)):
                self.problems.append(f"{name} is not known: did you mean {near}?")

    def _base(self, name: str) -> str:
        """The variable that `name` sets, whether directly or by a file."""
        base = name.removesuffix(_FILE)
        ours = base in BY_NAME and BY_NAME[base].file_form
        return base if ours or any(base.startswith(f) and base != f for f in FAMILIES) else name

    def _read(self, name: str, path: str) -> str | None:
        problem = ""
        try:
            with open(path, "rb") as file:  # noqa: PTH123  # Path(…) of garbage differs between Python's versions
                data = file.read(_LONGEST + 1)
            value = data.decode().removesuffix("\n").removesuffix("\r")
            if len(data) > _LONGEST:
                problem = "is longer than 64 KiB: give the file that holds only the value"
            elif not value:
                problem = "is empty: write the value into it"
            else:
                return value
        except FileNotFoundError:
            problem = "is not there: mount the secret, or correct the path"
        except PermissionError:
            problem = f"may not be read by uid {os.getuid()}: chown or chmod it on the host"
        except IsADirectoryError:
            problem = "is a folder: Docker makes one where the file on the host is missing"
        except UnicodeDecodeError:
            problem = "is not UTF-8: write it again"
        except (OSError, ValueError):
            problem = "cannot be read: give the path of a plain file"
        shown = repr(path) if path.startswith(("/", ".")) else "the path"  # else it may be the secret itself
        self.problems.append(f"{name}: {shown} {problem}")
        return None


def nearest(name: str) -> str:
    """The known name that `name` was probably meant to be, or "".

    Short names have many neighbours that mean something else (TTY, CODE, TASK), so they need to be nearer.
    """
    candidates = []
    for known in [v for v in BY_NAME if not v.endswith("<NAME>")]:
        for form in (known, known + _FILE):
            candidates.append((distance(name, form), form))
    for family in ("DATABASE_URL_", "DATABASE_PASSWORD_"):
        for at in [i + 1 for i, letter in enumerate(name) if letter == "_" and i + 1 < len(name)]:
            candidates.append((distance(name[:at], family), family + name[at:]))
    close = [(far, form) for far, form in candidates if far <= _allowed(min(len(form), len(name)))]
    return min(close)[1] if close else ""


def _allowed(length: int) -> int:
    return 2 if length >= 6 else 1 if length == 5 else 0


def distance(one: str, other: str) -> int:
    """Edits between two names, two neighbours that changed places counting as one (Damerau's distance); 3 is "far"."""
    if abs(len(one) - len(other)) > 2 or len(set(one) ^ set(other)) > 4:  # an edit takes one letter and brings one
        return 3
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        new = [i]
        for j, b in enumerate(other, 1):
            cost = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            new.append(cost)
        if min(row) > 2 and min(new) > 2:  # no later row gets below both
            return 3
        before, row = row, new
    return min(row[-1], 3)
