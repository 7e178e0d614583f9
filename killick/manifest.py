"""What a backup is: the record beside each archive, and inside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from killick.contents import Contents
from killick.errors import Corrupt, Refused
from killick.shapes import built

FORMAT = "killick/1"
RECIPE = {"rows": 1, "schema": 1}
"""The way checksums and fingerprints were taken; another number cannot be compared, only reported."""


@dataclass(frozen=True)
class Archive:
    """The stored object. `raw_*` are of the tar before the codec; `seconds` the codec's."""

    key: str
    bytes: int
    sha256: str
    raw_bytes: int
    raw_sha256: str
    codec: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Manifest:
    """One backup of one source. Times are RFC 3339 in UTC; `seconds` is per phase.

    `archive` is None in the copy inside the tar. `contents` is None where it was left out (AGE_RECIPIENTS: the
    outer copy must not let row checksums of small tables be guessed) and stands in the inner copy then.
    `details` are the engine's: encoding, locale, extensions…
    """

    id: str
    project: str
    source: str
    engine: str
    started: str
    finished: str
    snapshot: str
    server_version: str
    client_version: str
    identity: str
    database: str
    contents: Contents | None
    archive: Archive | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    roles: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    read_back: bool = True
    recipe: Mapping[str, int] = field(default_factory=lambda: dict(RECIPE))
    killick: str = ""

    def outer(self, archive: Archive) -> Manifest:
        """The copy that stands beside the archive."""
        if self.recipients:
            return replace(self, archive=archive, contents=None, roles=())
        return replace(self, archive=archive)

    def differs_from(self, inner: Manifest) -> str:
        """The first field of this outer copy that the `inner` one contradicts, "" when it is of the same backup.

        What is only known after the tar (archive, finished, seconds) is not compared, nor what was left out.
        """
        skipped = {"archive", "finished", "seconds"} | ({"contents", "roles"} if self.recipients else set())
        names = [name for name in self.__dataclass_fields__ if name not in skipped]
        return next((name for name in names if getattr(self, name) != getattr(inner, name)), "")

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"format": FORMAT}
        for name, value in self.__dict__.items():
            if name == "contents":
                if self.contents is not None:
                    data["contents"] = self.contents.to_json()
            elif name == "archive":
                if self.archive is not None:
                    data["archive"] = dict(self.archive.__dict__)
            else:
                data[name] = list(value) if isinstance(value, tuple) else value
        return data

    def dumps(self) -> str:
        return json.dumps(self.to_json(), ensure_ascii=False, indent=1, sort_keys=False) + "\n"


def loads(text: str | bytes, where: str) -> Manifest:
    """Reads a manifest; `where` names it in errors.

    Raises Corrupt when it is not one, Refused when a later version of killick wrote it (unknown format).
    """
    try:
        data = json.loads(text)
        written = str(data["format"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Corrupt(f"{where} is not a manifest", "restore the backup before it: killick list") from None
    if written != FORMAT:
        raise Refused(
            f"{where} has the format {written!r}, and this killick reads {FORMAT!r}",
            "use a newer image of killick",
        )
    try:
        manifest: Manifest = built(Manifest, {"contents": None, **data})
    except (TypeError, ValueError) as error:
        raise Corrupt(
            f"{where} is a manifest with a part missing or misshapen: {error}", "restore the backup before it"
        ) from None
    return manifest


def comparable(manifest: Manifest) -> bool:
    """Whether this version takes checksums and fingerprints in the manifest's way."""
    return dict(manifest.recipe) == RECIPE
