"""The alarm when nothing of a source was proven for too long. It leaves a record, so that it is raised once."""

from __future__ import annotations

from datetime import datetime

from killick import records
from killick.errors import KillickError
from killick.events import VerifyOverdue, Warned
from killick.proof import OVERDUE, Standing, standing
from killick.session import Session
from sidecar.health import span


def alarm(session: Session, source: str, now: datetime) -> bool:
    """Whether it was raised: not where somebody else did meanwhile, or something was proven after all."""
    verify = session.settings.verify
    catalog = session.catalog()
    found = standing(catalog, source, verify.level)
    if found.since is None or found.alarmed:
        return False
    age = (now - found.since).total_seconds()
    if age <= verify.max_age:
        return False
    message, hint = sentences(source, found, age, verify.max_age)
    newest = catalog.choices(source)[0]
    try:
        facts = {"error": message, "hint": hint, "seconds": round(age)}
        records.record(session.store, session.project, newest.id, now, OVERDUE, "failed", 0, facts, verify.evidence_key)
    except KillickError as error:
        session.tell(Warned(session.project, source, f"this alarm is not recorded beside the backup: {error.message}"))
    session.tell(VerifyOverdue(session.project, source, round(age), verify.max_age, message, hint))
    return True


def sentences(source: str, found: Standing, age: float, limit: float) -> tuple[str, str]:
    last = f"the newest that was is {found.id}" if found.id else "nothing ever was"
    return (
        f"{source}: no backup was proven restorable for {span(age)}, and VERIFY_MAX_AGE is {span(limit)}; {last}",
        f"killick verify latest --source {source} says why; killick list shows what became of the others",
    )
