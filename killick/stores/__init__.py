"""What a store is: named objects, whole or absent. One module each; the URL's scheme names the module.

A module of this package is a store when it has
    SCHEMES: tuple[str, ...]
    TRIAL: str                                       a URL that the contract suite may use; {folder} is an empty
                                                     folder, {bucket} an empty bucket of a real S3 server
    def connect(url: str, access: Access) -> Store   cheap: nothing is reached before a method is called
The contract suite (tests/contract/test_stores.py) runs over every such module.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from killick.errors import SettingsError
from killick.plugins import gather
from killick.watch import Watch, unwatched


@dataclass(frozen=True)
class Access:
    """S3 credentials; empty fields are left to boto3's own search (environment, profile, instance role)."""

    key_id: str = ""
    secret: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """`key` is relative to the store's URL. `modified` is by the store's clock, UTC. `etag` changes with the content.

    `sha256` (hex) is what the store says of the whole object's content, "" where it does not say.
    """

    key: str
    bytes: int
    modified: datetime
    etag: str = ""
    sha256: str = ""


@runtime_checkable
class Store(Protocol):
    """Errors: NotFound, StoreDenied, Taken, NoSpace, else StoreError. Passing faults are retried inside."""

    def put(
        self, key: str, path: Path, *, if_absent: bool = False, sha256: str = "", watch: Watch = unwatched
    ) -> Stored:
        """All or nothing. `sha256` (hex) is what the content must be; it is sent along and compared afterwards,
        as is the size, by asking the store again. `if_absent` raises Taken when the key is in use."""

    def get(self, key: str, path: Path, *, watch: Watch = unwatched) -> None:
        """Whole or absent: written to `<path>.part`, renamed at the end; resumes a `.part` of the same etag."""

    def list(self, prefix: str) -> Iterator[Stored]:
        """Everything under `prefix` (a plain string prefix), ordered by key."""

    def delete(self, key: str) -> None:
        """No error when the key is absent."""


def modules() -> dict[str, ModuleType]:
    """Every store's module by its URL schemes."""
    return gather(__name__, __path__)


def connect(url: str, access: Access | None = None) -> Store:
    """Raises SettingsError for a scheme that no store answers to."""
    scheme = urlsplit(url).scheme
    module = modules().get(scheme)
    if module is None:
        raise SettingsError(
            f"STORE: no store for {url!r} (there are {', '.join(s + '://' for s in sorted(modules()))})"
        )
    store: Store = module.connect(url, access or Access())
    return store
