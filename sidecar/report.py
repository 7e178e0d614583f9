"""What the pages show, as one document for programs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from killick import layout
from killick.state import SourceState, State
from sidecar.verdict import verdict


def document(states: Iterable[State], now: float) -> dict[str, Any]:
    """Times are RFC 3339 in UTC, sizes bytes, durations seconds; docs/page.md names the fields."""
    projects = [_project(state, now) for state in states]
    return {"time": _time(now), "well": all(project["well"] for project in projects), "projects": projects}


def _project(state: State, now: float) -> dict[str, Any]:
    sources = [_source(state, source, now) for source in state.sources]
    well = all(source["well"] for source in sources)
    return {"project": state.project, "well": well, "read": _time(state.time), "sources": sources}


def _source(state: State, s: SourceState, now: float) -> dict[str, Any]:
    found, v = verdict(state, s, now), s.verification
    verified = {"time": _time(v.last_attempt), "level": v.level, "result": v.result} if v.result else None
    return {
        "source": s.source or None,
        "engine": s.engine or None,
        "well": found.well,
        "verdict": found.word,
        "why": found.why,
        "cure": found.cure or None,
        "newest": _time(s.last_success),
        "proven": _time(v.verified_snapshot),
        "verified": verified,
        "restore_seconds": v.restore_seconds or None,
        "bytes": s.bytes,
        "nights": s.nights,
    }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else layout.rfc3339(datetime.fromtimestamp(seconds, UTC))
