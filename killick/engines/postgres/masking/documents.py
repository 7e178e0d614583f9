"""Values inside a JSON document, changed where they stand: all else stays as it was written, to the letter."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from killick.masking import Unmaskable

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_WORD = r"[-+.\w]+"  # a number, true, false, null
_KEY = re.compile(rf"({_STRING})[ \t\n\r]*:[ \t\n\r]*", re.DOTALL)
_SCALAR = re.compile(rf"{_STRING}|{_WORD}", re.DOTALL)
_STEP = re.compile(rf"{_STRING}|[\[\]{{}}]", re.DOTALL)
_INSIDE = re.compile(rf"({_STRING}[ \t\n\r]*:)|{_STRING}|{_WORD}", re.DOTALL)


class Change(NamedTuple):
    """`path` as in a Rule; `new` gives the JSON that takes the place of a value's."""

    path: tuple[str, ...]
    new: Callable[[str], str]


def changed(document: str, changes: Sequence[Change]) -> str:
    """The first change whose path leads to a value holds for it. Raises Unmaskable for what is no JSON, or too deep.

    A step is a key, the number of an array's element, or * for each of either. Arrays are passed through where a key
    is asked for, as in SQL/JSON's lax mode.
    """
    editor = _Editor(document)
    try:
        editor.value(0, list(changes))
    except RecursionError:
        raise Unmaskable("a document that is nested too deeply") from None
    return editor.text()


def scalars(value: str, new: Callable[[str], str]) -> str:
    """`new` takes the place of each string, number, boolean and null in the value; keys stay."""
    return _INSIDE.sub(lambda found: found[0] if found[1] else new(found[0]), value)


class _Editor:
    """Walks down the paths; `value` gives the place behind the value and the space after it."""

    def __init__(self, document: str) -> None:
        self._document = document
        self._pieces: list[str] = []
        self._copied = 0

    def text(self) -> str:
        return "".join([*self._pieces, self._document[self._copied :]])

    def value(self, at: int, changes: list[Change]) -> int:
        at = self._space(at)
        here = next((change for change in changes if not change.path), None)
        if here is not None or not changes:
            end = self._end(at)
            if here is not None:
                self._pieces += [self._document[self._copied : at], here.new(self._document[at:end])]
                self._copied = end
            return self._space(end)
        if self._document.startswith("{", at):
            return self._object(at, changes)
        if self._document.startswith("[", at):
            return self._array(at, changes)
        return self._space(self._end(at))

    def _object(self, at: int, changes: list[Change]) -> int:
        at = self._space(at + 1)
        while not self._document.startswith("}", at):
            found = _KEY.match(self._document, at)
            if found is None:
                raise Unmaskable("what is no JSON")
            key = json.loads(found[1])
            below = [change._replace(path=change.path[1:]) for change in changes if change.path[0] in ("*", key)]
            at = self._next(self.value(found.end(), below))
        return self._space(at + 1)

    def _array(self, at: int, changes: list[Change]) -> int:
        at = self._space(at + 1)
        index = 0
        while not self._document.startswith("]", at):
            below = []
            for change in changes:
                if change.path[0] in ("*", str(index)):
                    below.append(change._replace(path=change.path[1:]))
                elif not change.path[0].isdecimal():
                    below.append(change)
            at = self._next(self.value(at, below))
            index += 1
        return self._space(at + 1)

    def _next(self, at: int) -> int:
        """Behind the comma, or at the bracket that closes."""
        if self._document.startswith(",", at):
            return self._space(at + 1)
        if at >= len(self._document):
            raise Unmaskable("what is no JSON")
        return at

    def _space(self, at: int) -> int:
        found = _SPACE.match(self._document, at)
        return found.end() if found else at

    def _end(self, at: int) -> int:
        if not self._document.startswith(("{", "["), at):
            found = _SCALAR.match(self._document, at)
            if found is None:
                raise Unmaskable("what is no JSON")
            return found.end()
        depth = 0
        for found in _STEP.finditer(self._document, at):
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found[0], 0)
            if depth == 0:
                return found.end()
        raise Unmaskable("what is no JSON")
