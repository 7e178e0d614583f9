"""Dates cut to their year, month or day, in the forms that Postgres and JSON write them."""

from __future__ import annotations

import re

from killick.masking import Unmaskable

_POSTGRES = re.compile(r"(\d{4,})-(\d\d)-(\d\d)( \d\d:\d\d:\d\d)?(?:\.\d+)?([+-][\d:]+)?( BC)?", re.ASCII)
_ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:([T ]\d\d:\d\d(?::\d\d)?)(?:[.,]\d+)?(Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII)
_INFINITE = ("infinity", "-infinity")
_FIRST = ("4714", "11-24")  # BC: the first day that Postgres knows


def cut(text: str, unit: str) -> str:
    """Of a date, or a timestamp in whose zone it is cut. Raises Unmaskable for what is none."""
    if text in _INFINITE:
        return text
    found = _POSTGRES.fullmatch(text)
    if found is None:
        raise Unmaskable("a date in a form that is not known")
    year, month, day, time, zone, era = found.groups("")
    cut_off = _cut(year, month, day, unit)
    if era and year == _FIRST[0]:
        cut_off = f"{year}-{_FIRST[1]}"
    return f"{cut_off}{_zeros(time)}{zone}{era}"


def cut_iso(text: str, unit: str) -> str | None:
    """Of an ISO date, with a time or without; None for what is none."""
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, time, zone = found.groups("")
    return f"{_cut(year, month, day, unit)}{_zeros(time)}{zone}"


def _cut(year: str, month: str, day: str, unit: str) -> str:
    return {"year": f"{year}-01-01", "month": f"{year}-{month}-01", "day": f"{year}-{month}-{day}"}[unit]


def _zeros(time: str) -> str:
    return re.sub(r"\d", "0", time)
