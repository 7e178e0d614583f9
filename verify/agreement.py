"""What a manifest says twice: somebody who changed one of the two is told."""

from __future__ import annotations

from killick.contents import Contents
from killick.errors import Corrupt
from killick.manifest import Manifest


def refuse_discord(manifest: Manifest, contents: Contents) -> None:
    """The server's version stands in the head, which chooses the throwaway, and beside the contents. Raises Corrupt."""
    measured = contents.loose.get("versions", {}).get("server", "")
    if measured and manifest.server_version.split(".")[0] != measured:
        raise Corrupt(
            f"{manifest.id} says that its server is of version {manifest.server_version}, its contents {measured}",
            "its manifest was changed: restore the backup before it: killick list",
        )
