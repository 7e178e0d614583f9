"""The move's folder on a server: the dump that is handed over, and the password that the move made there.

~/.killick/move-<id>-<project>    0700: what lies below is nobody's but ours
    store/                        0777, since the sidecar writes it as whoever it is in its container
    passwords/<service>           of the move's own user in that database server, on the old server alone

A container works with it (hand.py), and goes with it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from deploy.move.site import Site
from killick.errors import NotFound

_MAKE = """
umask 077
mkdir -p -- "$1"
chmod 700 -- "$1"
mkdir -p -- "$1/store/.scratch" "$1/passwords"
chmod 777 -- "$1/store" "$1/store/.scratch"
chmod 755 -- "$1/passwords"
"""
_ENDS = 60.0  # seconds that its container may take to end
PASSWORDS = "/run/killick-move"
"""Where a container has the passwords."""


@dataclass(frozen=True)
class Handover:
    site: Site
    id: str

    @property
    def path(self) -> str:
        return f"{self.site.home}/.killick/move-{self.id}-{self.site.server.project}"

    @property
    def hand(self) -> str:
        """The container's name."""
        return f"killick-move-{self.id}-{self.site.server.project}"

    @property
    def store(self) -> str:
        return f"{self.path}/store"

    @property
    def passwords(self) -> str:
        return f"{self.path}/passwords"

    def make(self) -> str:
        """Its path; it may be there already."""
        path = self.path
        self.site.host.shell(_MAKE, path)
        return path

    def password(self, service: str, *, make: bool = False) -> str:
        """ "" where there is none yet and none is to be made."""
        file = self.password_file(service)
        try:
            return self.site.host.read(file).decode().strip()
        except NotFound:
            if not make:
                return ""
            self.make()
            # readable by the sidecar, whoever that is in its container; the folder keeps everybody else out
            self.site.host.write(file, secrets.token_urlsafe(32).encode(), 0o444)
            return self.site.host.read(file).decode().strip()

    def password_file(self, service: str) -> str:
        return f"{self.passwords}/{service}"

    def remove(self, image: str) -> None:
        """The sidecar's files are its user's; `image` is one that is on this server."""
        path = self.path
        self.site.host.run(["docker", "rm", "--force", self.hand], timeout=_ENDS)
        if self.site.host.shell('[ -d "$1" ] && echo there || :', path):
            self.site.empty(path, image)
            self.site.host.shell('rmdir -- "$1"', path)
