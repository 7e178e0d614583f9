"""What a store is: named objects, whole or absent. One module each; the URL's scheme names the module.

A module of this package is a store when it has
    SCHEMES: tuple[str, ...]
    TRIAL: str                                       a URL that the contract suite may use; {folder} is an empty
                                                     folder, {bucket} an empty bucket of a real S3 server
    def connect(url: str, access: Access) -> Store   cheap: nothing is reached before a method is called
The contract suite (tests/contract/test_stores.py) runs over every such module.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from killick.errors import SettingsError, StoreError
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
        """Everything under `prefix` (a plain string prefix), ordered by key.

        Servers that keep keys in folders give `a/b` before `a-b`; what shares a folder always comes together.
        """

    def delete(self, key: str) -> None:
        """No error when the key is absent."""


@runtime_checkable
class Sweeps(Protocol):
    """A store's optional role: it can end what a put left behind when its process was killed."""

    def sweep(self, key: str) -> int:
        """Ends the unfinished puts of exactly `key` (parts, multipart uploads); gives how many there were."""


@runtime_checkable
class Takes(Protocol):
    """A store's optional role: what lies on its own disk is stored without being copied."""

    def take(self, key: str, path: Path) -> Stored | None:
        """As `put` with `if_absent`; `path` is gone then. None where it has to be copied."""


def sweep(store: Store, key: str) -> int:
    return store.sweep(key) if isinstance(store, Sweeps) else 0


def put_json(store: Store, key: str, data: Mapping[str, Any], *, if_absent: bool = False) -> Stored:
    """A small object. Raises what `put` raises."""
    return put_bytes(store, key, f"{json.dumps(data, ensure_ascii=False, indent=1)}\n".encode(), if_absent=if_absent)


def put_bytes(store: Store, key: str, data: bytes, *, if_absent: bool = False) -> Stored:
    """A small object. Raises what `put` raises."""
    with tempfile.TemporaryDirectory(prefix="killick-") as folder:
        path = Path(folder, "object")
        path.write_bytes(data)
        return store.put(key, path, if_absent=if_absent)


def get_bytes(store: Store, key: str) -> bytes:
    """A small object. Raises what `get` raises."""
    with tempfile.TemporaryDirectory(prefix="killick-") as folder:
        path = Path(folder, "object")
        store.get(key, path)
        return path.read_bytes()


def clock(store: Store, key: str) -> datetime:
    """What time the store thinks it is: by a small object put at `key`, which is free, and deleted again."""
    try:
        return put_json(store, key, {}).modified
    finally:
        with suppress(StoreError):  # not every credential may delete
            store.delete(key)


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
