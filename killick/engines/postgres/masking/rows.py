"""The rows of a dump, masked before they are loaded."""

from __future__ import annotations

import secrets
from pathlib import Path

from killick.contents import Contents
from killick.engines.postgres.address import Address
from killick.engines.postgres.commands import Client
from killick.engines.postgres.listing import Listing
from killick.engines.postgres.masking import plan, workers
from killick.engines.postgres.masking.rewrite import Work
from killick.masking import Mask
from killick.watch import Watch

_KEYED = frozenset({"email", "name", "hash"})


def mask_rows(
    address: Address,
    client: Client,
    folder: Path,
    wanted: Listing,
    mask: Mask,
    contents: Contents,
    jobs: int,
    watch: Watch,
) -> list[str]:
    """Of those tables whose rows are `wanted`; the target has its tables, and no rows yet.

    `mask` as killick.masking.tables.resolve gives it. Afterwards the folder holds the masked rows: it is loaded once.
    Gives notes. Raises SettingsError with every rule that cannot work, before anything is rewritten; RestoreError for
    a value that cannot be masked; NoSpace, for each worker needs room for its largest table once more.
    """
    planned = plan.plan(address, client, folder, wanted, mask, contents)
    workers.run(planned, mask.key or secrets.token_hex(32), jobs, watch)
    notes = _notes(mask, planned.works)
    if any(entry.title.startswith("BLOB") for entry in wanted.values()):
        notes.append("large objects are as they were: MASK does not reach them")
    return notes


def _notes(mask: Mask, works: tuple[Work, ...]) -> list[str]:
    columns = sum(len(work.masked) for work in works)
    notes = [f"masked {columns} columns of {len(works)} tables"]
    if not mask.key and any(rule.kind in _KEYED for rule in mask.rules):
        notes.append("MASK_KEY is not set: masked values are others than in the copies before this one")
    return notes
