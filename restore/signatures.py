"""What the signatures under a backup's evidence say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from killick.errors import Corrupt
from killick.signing import BAD, GOOD, UNCHECKED, UNKNOWN

_TOLD = {
    GOOD: "signature good",
    BAD: "✗ BAD SIGNATURE: it was changed or moved",
    UNCHECKED: "signed, not checked: no EVIDENCE_PUBLIC_KEY",
    None: "not signed",
}


def told(record: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """The end of a record's line; `document` is what `show` prints."""
    if _of_another(record, document):
        return "✗ SIGNED, BUT OF ANOTHER ARCHIVE"
    if record["signed"] == UNKNOWN:
        return f"? signed by an unknown key: {record['signature']['key']}"
    return _TOLD[record["signed"]]


def doubted(document: Mapping[str, Any]) -> None:
    """Raises Corrupt when a record's signature is bad, or good and of another archive than the manifest's."""
    records = document["evidence"]
    bad = [record["time"] for record in records if record["signed"] == BAD]
    if bad:
        raise Corrupt(
            f"{document['id']}: the evidence of {', '.join(bad)} was changed or moved after it was signed",
            "it proves nothing: verify the backup again, and find out who writes to the store",
        )
    if any(_of_another(record, document) for record in records):
        raise Corrupt(
            f"{document['id']}: signed evidence is of another archive than the manifest names",
            "the archive was replaced since: verify it again, and find out who writes to the store",
        )


def _of_another(record: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    archive = document.get("archive") or {}
    both = record.get("sha256"), archive.get("sha256")
    return record["signed"] == GOOD and all(both) and both[0] != both[1]
