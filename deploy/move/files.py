"""Files of other programs on a host, edited so that a bad one never stays."""

from __future__ import annotations

from deploy.move.hosts import Host
from killick.errors import KillickError

SBIN = 'PATH="$PATH:/usr/sbin:/sbin"'
"""Debian keeps servers where the PATH of an ordinary user does not lead."""
_KEPT = "surrogateescape"


def content(host: Host, path: str) -> str:
    """A byte that is no UTF-8, as in an older comment, is kept for `as_bytes`. Raises as Host.read."""
    return host.read(path).decode(errors=_KEPT)


def as_bytes(text: str) -> bytes:
    return text.encode(errors=_KEPT)


def replace(host: Host, path: str, text: str) -> None:
    """Whole or not at all; its mode and owner stay. Raises CommandFailed, Unreachable."""
    host.write(path, as_bytes(text), mode=None)


def writable(host: Host, path: str) -> bool:
    """Whether it is there and `replace` can do it: the folder has to be writable, since files are renamed."""
    script = 'path=$(readlink -e -- "$1") && [ -w "$path" ] && [ -w "$(dirname -- "$path")" ]'
    try:
        host.shell(script, path)
    except KillickError:
        return False
    return True
