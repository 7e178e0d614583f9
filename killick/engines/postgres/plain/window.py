"""A text that comes in chunks, seen through a window that moves over it."""

from __future__ import annotations

from collections.abc import Iterable

from killick.errors import Corrupt

BACK = 256
"""Bytes that stay readable when they have been passed: to see what a sign belongs to."""


class Window:
    """`line` and `offset` (in bytes) are where the next byte that is not passed yet stands in the whole text."""

    def __init__(self, chunks: Iterable[bytes], line: int) -> None:
        self.line = line
        self._chunks = iter(chunks)
        self._data = b""
        self._at = 0
        self._before = 0  # bytes of the text in front of _data

    @property
    def offset(self) -> int:
        return self._before + self._at

    def _next(self, what: bytes) -> bool:
        while len(self._data) - self._at < len(what) and self._more():
            pass
        return self._data.startswith(what, self._at)

    def _pass(self, upto: int) -> bytes:
        piece = self._data[self._at : upto]
        self.line += piece.count(b"\n")
        self._at = upto
        return piece

    def _more(self) -> bool:
        """Reads another chunk, and lets go of what has been passed; False at the end. Raises Corrupt for bytes."""
        for chunk in self._chunks:
            if chunk:
                if b"\0" in chunk:
                    raise Corrupt("it holds NUL bytes, which no text of SQL does", "take another backup: killick list")
                gone = max(0, self._at - BACK)
                self._before += gone
                self._data = self._data[gone:] + chunk
                self._at -= gone
                return True
        return False
