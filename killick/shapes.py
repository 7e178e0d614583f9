"""JSON as dataclasses, each field of the type that its annotation says: whoever may write to a store may edit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

_Read = Callable[[Any], Any]
_LARGEST = 2**63
"""No count is: Python's integers are without an end, and arithmetic with floats is not."""


def built(kind: Any, value: Any) -> Any:
    """A `kind` made of what JSON holds: a dataclass, with mappings, tuples and optional values of such and of scalars.

    Fields that it does not have are passed over. Raises TypeError or ValueError; neither tells a value.
    """
    return _reader(kind)(value)


@cache
def _reader(kind: Any) -> _Read:
    """Annotations are looked at once: a manifest may hold a million files."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _of_fields(kind)
    if origin is Mapping:
        return _mapping(*map(_reader, inner))
    if origin is tuple:
        return _tuple(_reader(inner[0]))
    if origin is UnionType:
        return _optional(*(_reader(each) for each in inner if each is not NoneType))
    return _scalar(kind)


def _of_fields(kind: Any) -> _Read:
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}

    def read(value: Any) -> Any:
        found = {}
        for name, part in _held(value, dict).items():
            if name in readers:
                try:
                    found[name] = readers[name](part)
                except TypeError as error:
                    raise TypeError(f"{name}: {error}") from None
        return kind(**found)

    return read


def _mapping(read_name: _Read, read: _Read) -> _Read:
    return lambda value: {read_name(name): read(part) for name, part in _held(value, dict).items()}


def _tuple(read: _Read) -> _Read:
    return lambda value: tuple(map(read, _held(value, list)))


def _optional(read: _Read) -> _Read:
    return lambda value: None if value is None else read(value)


def _scalar(kind: type) -> _Read:
    taken = (float, int) if kind is float else (kind,)

    def read(value: Any) -> Any:
        if type(value) not in taken:  # True is an int to isinstance
            raise _other(value, kind)
        if kind is str:
            value.encode()  # JSON can say half a pair of surrogates, which can be neither told nor recorded
        elif not -_LARGEST <= value < _LARGEST:
            raise TypeError("no such number")
        return value

    return read


def _held(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise _other(value, kind)
    return value


def _other(value: Any, kind: type) -> TypeError:
    return TypeError(f"{type(value).__name__}, not {kind.__name__}")
