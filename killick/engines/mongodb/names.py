"""Names of the databases that lie beside one: app__new, app__old."""

from __future__ import annotations

from hashlib import sha256

LONGEST = 63
"""Bytes of a database's name (MongoDB's limits)."""
LONGEST_NAMESPACE = 255
"""Bytes of database, dot and collection, from MongoDB 4.4 on."""


def beside(database: str, what: str) -> str:
    """`app__what`; of a name that would be too long the end is a hash of the whole."""
    name = f"{database}__{what}"
    if len(name.encode()) <= LONGEST:
        return name
    end = f"_{sha256(database.encode()).hexdigest()[:8]}__{what}"
    return database.encode()[: LONGEST - len(end)].decode("utf-8", "ignore") + end
