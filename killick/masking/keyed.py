"""Values → masked values: the same ones under the same key, and nothing to be told of the value without it. Pure.

Texts become digests, so two of them get one result with a chance of 2⁻⁶⁴ or less; numbers and IPv4 addresses are
permuted, so that never happens.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from bisect import bisect_right
from collections.abc import Callable
from hashlib import blake2b
from math import isqrt

from killick.masking import Unmaskable
from killick.masking.people import FIRST, LAST

EMAIL = 28  # characters of a masked address
HASH = 24  # of a masked text
NAME = max(map(len, FIRST)) + 1 + max(map(len, LAST))  # of a masked name, at most
SUFFIX = 13  # what makes a name unique

_DOMAIN = "@example.com"  # RFC 2606: nobody's
_SIZES = {"text": HASH // 2, "email": (EMAIL - len(_DOMAIN)) // 2, "name": 2 + (SUFFIX - 1) // 2, "long": 16}  # bytes
_ROUNDS = 8
_DIGITS = 200
_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")
_NUMBER = re.compile(r"(-?)(\d+)(?:\.(\d*))?")
# A number keeps its digits and fits its type: it moves among those of as many digits between these bounds, whatever
# the type of its column, so that integer and bigint still join. The type's least value is alone between two of them.
_BOUNDS = sorted({*(10**n for n in range(_DIGITS + 1)), *(2**n + extra for n in (15, 31, 63) for extra in (0, 1))})


class Keyed:
    """What makes masked values. `suffixed`: names are unique, everywhere so that they still join."""

    def __init__(self, key: str, *, suffixed: bool = False) -> None:
        self._key = blake2b(key.encode(), digest_size=32).digest()
        self._suffixed = suffixed
        self._text, self._email, self._name, self._long = (self._digests(*each) for each in _SIZES.items())
        self._number = self._begun("number", 64)

    def text(self, text: str) -> str:
        return self._text(text).hex()

    def email(self, text: str) -> str:
        return self._email(text).hex() + _DOMAIN

    def name(self, text: str) -> str:
        digest = self._name(text)
        name = f"{FIRST[digest[0] % len(FIRST)]} {LAST[digest[1] % len(LAST)]}"
        return f"{name} {digest[2:].hex()}" if self._suffixed else name

    def uuid(self, text: str) -> str:
        return str(uuid.UUID(bytes=self._long(text), version=4))

    def binary(self, text: str) -> bytes:
        return self._long(text)

    def address(self, text: str) -> str:
        """An IP address as Postgres writes it: another of the same family; its netmask stays."""
        address, slash, length = text.partition("/")
        parsed = ipaddress.ip_address(address)
        if isinstance(parsed, ipaddress.IPv4Address):
            other: object = ipaddress.IPv4Address(self._permuted(int(parsed), 1 << 32, "address"))
        else:  # 2001:db8::/32 is for documentation (RFC 3849)
            other = ipaddress.IPv6Address(b"\x20\x01\x0d\xb8" + self._long(str(parsed))[:12])
        return f"{other}{slash}{length}"

    def number(self, text: str) -> str:
        """A number in digits: another with as many before and behind the point, and the same sign; 0 stays, and NaN.

        Equal numbers give equal ones (1.5 and 1.50), different ones different ones. Raises Unmaskable for one that is
        too long.
        """
        match = _NUMBER.fullmatch(text)
        if match is None:
            if text in _NO_NUMBERS:
                return text
            raise Unmaskable("a number in a form that is not known")
        sign, whole, fraction = match[1], match[2], match[3] or ""
        kept = fraction.rstrip("0")
        if len(whole) + len(kept) > _DIGITS:
            raise Unmaskable(f"a number of more than {_DIGITS} digits")
        digits = str(self._other(int(whole + kept), fraction=bool(kept)))
        if kept:
            digits = digits.zfill(len(kept) + 1)
            return f"{sign}{digits[: -len(kept)]}.{digits[-len(kept) :]}{fraction[len(kept) :]}"
        return f"{sign}{digits}.{fraction}" if fraction else f"{sign}{digits}"

    def _other(self, number: int, *, fraction: bool) -> int:
        """With a fraction, the last digit is never 0: it would be another number's, with less digits behind the point.

        A permutation of all is walked until it comes to one of those that count: it permutes these too.
        """
        if number == 0:
            return 0
        at = bisect_right(_BOUNDS, number)
        low, high = _BOUNDS[at - 1], _BOUNDS[at]
        while True:
            number = low + self._permuted(number - low, high - low, "fraction" if fraction else "whole")
            if number % 10 or not fraction:
                return number

    def _permuted(self, number: int, size: int, tweak: str) -> int:
        """Another of the numbers below `size`: a Feistel network over a square that holds them, walked until inside."""
        side = isqrt(size - 1) + 1
        while True:
            left, right = divmod(number, side)
            for i in range(_ROUNDS):
                hashed = self._number.copy()
                hashed.update(f"{tweak} {size} {i} {right}".encode())
                left, right = right, (left + int.from_bytes(hashed.digest(), "big")) % side
            number = left * side + right
            if number < size:
                return number

    def _digests(self, kind: str, size: int) -> Callable[[str], bytes]:
        begun = self._begun(kind, size)

        def digest(text: str) -> bytes:
            hashed = begun.copy()
            hashed.update(text.encode("utf-8", "surrogatepass"))
            return hashed.digest()

        return digest

    def _begun(self, kind: str, size: int) -> blake2b:
        """The key stands before the text as in BLAKE2's keyed mode, but without padding: half as many blocks."""
        return blake2b(self._key, digest_size=size, person=kind.encode())
