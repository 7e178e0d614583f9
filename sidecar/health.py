"""Whether every source is as fresh as its schedule allows. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from killick.state import SourceState, State

HOUR = 3600.0


@dataclass(frozen=True)
class Judgement:
    source: str
    fresh: bool
    sentence: str


def allowed(interval: float) -> float:
    """How old the newest backup may be, in seconds: one interval, and half of one (1 to 12 hours) for its making."""
    return interval + min(max(interval / 2, HOUR), 12 * HOUR)


def judge(state: State, now: float) -> list[Judgement]:
    """One for each source that the settings name; `now` in seconds since 1970."""
    return [_judge(source, now) for source in state.sources if source.set]


def _judge(source: SourceState, now: float) -> Judgement:
    name = source.source or "no source"
    if not source.interval:
        return Judgement(name, True, f"{name}: its schedule is off")
    failed = f"; the last attempt failed: {source.error.get('message') or source.error['kind']}" if source.error else ""
    if source.last_success is None:
        return Judgement(name, False, f"{name}: there is no backup yet{failed}")
    age = now - source.last_success
    limit = allowed(source.interval)
    fresh = age <= limit
    late = "" if fresh else f", and should not be older than {span(limit)}{failed}"
    return Judgement(name, fresh, f"{name}: the newest backup is {span(age)} old{late}")


def span(seconds: float) -> str:
    """Two units at most: 36 h, 2 days 3 h, 5 min."""
    minutes = max(0, int(seconds // 60))
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h" + (f" {minutes % 60} min" if hours < 6 and minutes % 60 else "")
    days, rest = divmod(hours, 24)
    return f"{days} days" + (f" {rest} h" if rest and days < 7 else "")
