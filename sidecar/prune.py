"""Retention put into practice: what is kept and dropped, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

from killick import layout
from killick.errors import Refused
from killick.events import Pruned, Swept, Warned
from killick.figures import size
from killick.lock import hold
from killick.prune import prune as remove
from killick.prune import prune_records
from killick.retention import Decision, decide
from killick.session import Session


def prune(session: Session, *, dry_run: bool) -> list[Decision]:
    """Decides for every backup, and removes what is not kept, each source under its lock.

    Raises Refused with PRUNE=off, Busy, StoreDenied. What is told as dropped is gone from the store.
    """
    if not session.settings.prune and not dry_run:
        raise Refused("PRUNE=off: nothing is removed here", "killick prune --dry-run shows what would be")
    now = datetime.now(UTC)
    found = session.catalog()
    decisions = decide(found.backups, session.settings.keep, session.settings.zone)
    if dry_run:
        return decisions
    for source, group in groupby(decisions, lambda decision: decision.backup.source):
        going = [decision for decision in group if not decision.keep]
        if going:
            _prune_source(session, source, going, now)
    prune_records(session.store, found, now)
    return decisions


def _prune_source(session: Session, source: str, going: Sequence[Decision], now: datetime) -> None:
    def warn(message: str) -> None:
        session.tell(Warned(session.project, source, message))

    def swept(what: str) -> None:
        session.tell(Swept(session.project, source, what))

    with hold(session.store, session.project, source, session.owner, warn=warn, swept=swept) as lock:
        sign_with = session.settings.verify.evidence_key
        gone = tuple(backup.id for backup in remove(session.store, going, now, lock.will_write, sign_with))
    session.tell(Pruned(session.project, source, gone))


def to_json(decision: Decision) -> dict[str, object]:
    backup = decision.backup
    return {
        "id": backup.id,
        "source": backup.source,
        "time": layout.rfc3339(backup.time),
        "bytes": backup.bytes,
        "keep": decision.keep,
        "reason": decision.reason,
    }


def table(decisions: Sequence[Decision]) -> str:
    if not decisions:
        return "there is nothing to prune"
    width = max(len(decision.backup.id) for decision in decisions)
    lines = [
        f"{'keep' if d.keep else 'drop'}  {d.backup.id.ljust(width)}  {size(d.backup.bytes):>9}  {d.reason}"
        for d in decisions
    ]
    dropped = [d for d in decisions if not d.keep]
    total = size(sum(d.backup.bytes for d in dropped))
    return "\n".join([*lines, f"{len(decisions) - len(dropped)} kept, {len(dropped)} dropped ({total})"])
