"""Whether what is to be made fits on the server's disk: asked where that disk is ours to look at."""

from __future__ import annotations

import os
from pathlib import Path

from killick.engines.postgres import marks, names
from killick.engines.postgres.address import Address
from killick.engines.postgres.server import find
from killick.engines.postgres.session import Session
from killick.errors import AccessDenied, NoSpace
from killick.figures import size


def check(server: Session, address: Address, tablespace: str, needed: int, cure: str = "") -> None:
    """Raises NoSpace, with one more cure. Says nothing where the role may not know the place, or it is not here."""
    place = _place(server, tablespace)
    if place is None:
        return
    disk = os.statvfs(place)
    free = disk.f_bavail * disk.f_frsize
    if free < needed:
        old = marks.beside(address.database, marks.OLD)
        kept = f", or drop {old}, which undo would bring back" if find(server, old) else ""
        raise NoSpace(
            f"{size(needed)} beside {address.database} do not fit on the server: {place} has {size(free)} left",
            f"give it more room{kept}{cure}",
        )


def _place(server: Session, tablespace: str) -> Path | None:
    """Where the server keeps a tablespace's data, "" being its own, if it is a process of this machine."""
    try:
        told = server.value(
            f"SELECT pg_catalog.pg_tablespace_location(oid) FROM pg_catalog.pg_tablespace"
            f" WHERE spcname = {names.literal(tablespace)}"
            if tablespace
            else "SHOW data_directory"
        )
        pid = server.value("SELECT pg_catalog.pg_backend_pid()")
        # In a container it has another number, and its paths mean other places.
        if b"postgres" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            return None
        place = Path(told)
        return place if place.is_dir() else None
    except (AccessDenied, OSError):
        return None
