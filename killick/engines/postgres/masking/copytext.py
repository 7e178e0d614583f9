"""How COPY writes a value in its text format, and how Postgres writes an array: to and from what it means."""

from __future__ import annotations

import re
from collections.abc import Callable

from killick.masking import Unmaskable

NULL = b"\\N"

_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)
_SPECIAL = re.compile(rb"[\\\b\f\n\r\t\v]")
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_ESCAPED = {value: b"\\" + letter for letter, value in _LETTERS.items()} | {b"\\": b"\\\\"}
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|[^{},"]+', re.DOTALL)
_QUOTABLE = re.compile(r'["\\]')


def plain(field: bytes) -> bytes:
    """The bytes that a field stands for; never asked of NULL."""
    return _ESCAPE.sub(_meaning, field) if b"\\" in field else field


def written(value: bytes) -> bytes:
    return _SPECIAL.sub(lambda found: _ESCAPED[found[0]], value)


def _meaning(found: re.Match[bytes]) -> bytes:
    hexadecimal, octal, letter = found.groups()
    if letter is not None:
        return _LETTERS.get(letter, letter)
    return bytes([int(hexadecimal, 16) if hexadecimal else int(octal, 8) & 0xFF])


def elements(array: str, change: Callable[[str], str]) -> str:
    """The array with each element changed that is not NULL; of any dimensions, whose bounds may stand before it.

    Raises Unmaskable for what is none: int2vector and its like are written without braces.
    """
    bounds, brace, body = array.partition("{")
    if not brace:
        raise Unmaskable("what is no array")

    def changed(found: re.Match[str]) -> str:
        if found[1] is None:
            if found[0].upper() == "NULL":
                return found[0]
            element = found[0]
        else:
            element = re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL)
        return f'"{_QUOTABLE.sub(_backslash, change(element))}"'

    return bounds + brace + _ELEMENT.sub(changed, body)


def _backslash(found: re.Match[str]) -> str:
    return "\\" + found[0]
