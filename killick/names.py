"""Names of files as text: any bytes go in, UTF-8 comes out, and no two names become one."""

from __future__ import annotations

import re

_HIDDEN = re.compile(r"[\\\x00-\x1f\x7f\udc80-\udcff]")
_ESCAPE = re.compile(r"\\(\\|x[0-9a-f]{2})")


def escaped(path: str) -> str:
    """A path as the system gives it (undecodable bytes as surrogates) for a manifest and for a person.

    A backslash is doubled; bytes that are no UTF-8 and control characters become \\xNN.
    """
    return _HIDDEN.sub(lambda m: "\\\\" if m[0] == "\\" else f"\\x{ord(m[0]) & 0xFF:02x}", path)


def unescaped(name: str) -> str:
    """What `escaped` was given."""

    def byte(found: re.Match[str]) -> str:
        if found[1] == "\\":
            return "\\"
        code = int(found[1][1:], 16)
        return chr(code if code < 0x80 else 0xDC00 + code)

    return _ESCAPE.sub(byte, name)
