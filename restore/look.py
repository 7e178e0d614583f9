"""What a source is and holds now, as one document: for a move, which compares two servers and a backup."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from killick import records
from killick.engines import Engine, connect
from killick.errors import DatabaseMissing, KillickError, NotFound
from killick.session import Session
from restore.listing import pick


def look(session: Session, name: str, like: str = "", *, facts_only: bool = False) -> dict[str, Any]:
    """`facts` (None where the database is not there), `contents` of now, and of the backup `like`, "" for none.

    Raises NotFound for a source or a backup, and what the engine raises.
    """
    source = next((each for each in session.settings.sources if each.name == name), None)
    if source is None:
        known = ", ".join(each.name for each in session.settings.sources)
        raise NotFound(f"there is no source {name}", f"the settings name {known}")
    engine = connect(source)
    found: dict[str, Any] = {"facts": _facts(engine), "contents": None, "like": None}
    if facts_only or found["facts"] is None:
        return found
    expected = None
    if like:
        expected = records.manifest(session.store, pick(session, like, name, "")).contents
        if expected is None:
            raise KillickError(
                f"the contents of {like} are encrypted: it cannot be compared here", "unset AGE_RECIPIENTS"
            )
        found["like"] = expected.to_json()
    found["contents"] = engine.contents(expected).to_json()
    return found


def _facts(engine: Engine) -> dict[str, Any] | None:
    try:
        return asdict(engine.facts())
    except (DatabaseMissing, NotFound):
        return None
