"""Words that a program left where a dump should be, so that an error can show them."""

from __future__ import annotations

import re

_SECRET = re.compile(r"(?<=://)[^\s/@]+(?=@)|(?<=password[=:])\s*\S+|(?<=PASSWORD[=:])\s*\S+")
_TROUBLE = re.compile(
    r"error|fatal|fail|denied|not found|no such|cannot|could not|unable|refused|usage:|timed out", re.IGNORECASE
)
_LONGEST = 500


def quoted(text: bytes) -> str:
    """As one line, at most 500 characters; what looks like a secret is blotted out."""
    line = " ".join(text.decode("utf-8", "replace").split())
    line = "".join(c if c.isprintable() else "�" for c in _SECRET.sub("***", line))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def complaint(text: bytes) -> str:
    """`quoted`, where it is a short text that speaks of trouble, else "": anything else may be somebody's data."""
    if len(text) > 4096 or b"\0" in text or not _TROUBLE.search(text.decode("utf-8", "replace")):
        return ""
    return quoted(text)
