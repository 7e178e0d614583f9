"""nginx on the old server: whoever still comes to the old address is sent on, and refused while writes are.

Two files that its configuration includes, and that nothing else writes:

    read_only   map $write $refused { default 0; }        or { default 0; 1 1; }: the names are the file's own
    upstream    server 127.0.0.1:8000;

Each is written beside and renamed, asked of `nginx -t`, and put back where that refuses it. A reload takes a moment, so
deploy/move/traffic.py asks until it shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploy.move import spec
from deploy.move.files import SBIN, content, replace, writable
from deploy.move.hosts import Host
from killick.errors import CommandFailed, KillickError, NotFound, Refused

_MAP = re.compile(r"\s*map\s+\$(\w+)\s+\$(\w+)\s*\{\s*default\s+0\s*;\s*(1\s+1\s*;\s*)?\}\s*")
_PRIOR = ".before-move"  # no pattern such as *.conf includes it


@dataclass(frozen=True)
class Forwarder:
    """A part of deploy/move/traffic.py. `address` is the new server's."""

    host: Host
    files: spec.Forwarder
    address: str

    @property
    def name(self) -> str:
        return f"nginx on {self.host.name}"

    def is_read_only(self) -> bool:
        return bool(self._map()[2])

    def is_open(self) -> bool:
        return not self.is_read_only()

    def read_only(self, on: bool) -> None:
        """Raises KillickError; then the file is what it was."""
        write, refused, _ = self._map()
        self._put(self.files.read_only, f"map ${write} ${refused} {{ default 0;{' 1 1;' if on else ''} }}\n")

    def serves(self) -> str:
        """ "old" or "new"."""
        return "new" if self._text(self.files.upstream).split() == self._forward.split() else "old"

    def switch(self, to: str) -> None:
        """What was there before stays beside it, for the way back. Raises KillickError, Refused."""
        path = self.files.upstream
        prior = path + _PRIOR
        if to == self.serves():
            self._put(path, self._text(path))  # an interrupted one may not have reloaded
        elif to == "new":
            self.host.write(prior, self.host.read(path))
            self._put(path, self._forward)
        else:
            try:
                before = self._text(prior)
            except NotFound:
                raise Refused(
                    f"{self.name}: {prior} is gone, and with it what {path} was",
                    "write the old server's own upstream into it by hand, and reload",
                ) from None
            self._put(path, before)
            self.host.run(["rm", "-f", "--", prior])

    def in_the_way(self) -> Iterator[str]:
        for path in (self.files.read_only, self.files.upstream):
            if not writable(self.host, path):
                yield f"{self.name}: {path} is not there, or it and its folder cannot be written (let this user)"
                return
        try:
            if self.is_read_only():
                yield f"{self.name}: it refuses writes already, or another move is at work"
            if self.serves() == "new":
                yield f"{self.name}: it sends everything to the new server already"
            self._test()
        except KillickError as error:
            yield str(error)

    @property
    def _forward(self) -> str:
        return f"server {self.address};\n"

    def _map(self) -> tuple[str, str, str]:
        found = _MAP.fullmatch(self._text(self.files.read_only))
        if found is None:
            raise KillickError(
                f"{self.name}: {self.files.read_only} is not what a move may edit",
                "write into it: map $write $refused { default 0; }",
            )
        return found[1], found[2], found[3] or ""

    def _text(self, path: str) -> str:
        return content(self.host, path)

    def _put(self, path: str, text: str) -> None:
        before = self._text(path)
        replace(self.host, path, text)
        try:
            self._test()
            self.host.shell(f"{SBIN}; {self.files.reload}")
        except BaseException:
            replace(self.host, path, before)
            raise

    def _test(self) -> None:
        try:
            self.host.shell(f"{SBIN}; {self.files.test}")
        except CommandFailed as error:
            raise KillickError(
                f"{self.name} refuses its configuration: {error.stderr}", "it serves as before"
            ) from None
