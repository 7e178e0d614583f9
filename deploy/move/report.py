"""A move as its journal tells it, for people and for programs. Pure: it asks no server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from deploy.move.state import DONE, OPEN, State, StepState, clock
from deploy.move.steps import CLOCK, ORDER, REHEARSAL, called

WINDOWS = {
    "write_unavailable": "writes unavailable",
    "read_unavailable": "reads unavailable",
    "mixed": "both servers answered",
}
_WIDTH = 120  # letters of a prior value; the journal has the whole


def to_json(state: State) -> dict[str, Any]:
    """Times are RFC 3339 in UTC, durations seconds; null is what is not known, or not yet."""
    seconds = _clock(state)
    return {
        "id": state.id,
        "site": state.site,
        "outcome": state.outcome,
        "rehearsal": state.rehearsal,
        "no_return": state.no_return,
        "error": state.stopped or None,
        "next": next_command(state) or None,
        "began": _time(state.began),
        "last": _time(state.last),
        "clock": seconds,
        "predicted": state.plan.get("downtime"),
        "windows": dict(state.windows) or None,
        "steps": [_step(step) for step in _steps(state)],
        "data": [{"what": what, "before": before, "after": after} for what, before, after in _data(state)],
        "prior": [{"step": step, "key": key, "value": value} for step, key, value in _prior(state)],
        "by_hand": list(_by_hand(state)),
        "notes": [{"step": step, "what": what} for step, what in state.notes],
    }


def markdown(state: State) -> str:
    lines = [f"# {'Rehearsal' if state.rehearsal else 'Move'} {state.id} of {state.site}", "", *headline(state), ""]
    if not state.rehearsal:
        lines += ["## Downtime", "", *_downtime(state), ""]
    rows = [
        [step.name, step.status or "-", _time(step.began) or "-", f"{step.seconds:.1f}", step.error or step.says]
        for step in _steps(state)
    ]
    lines += ["## Steps", "", *_table(["step", "state", "began", "seconds", "what was proven"], rows), ""]
    if data := list(_data(state)):
        lines += [
            "## Data",
            "",
            *_table(["what", "before", "after"], [[w, _flat(b), _flat(a)] for w, b, a in data]),
            "",
        ]
    if prior := list(_prior(state)):
        lines += ["## What was there before", ""]
        lines += [*_table(["step", "what", "value"], [[s, k, _short(v)] for s, k, v in prior]), ""]
    if state.notes:
        lines += ["## Notes", "", *(f"- {step}: {what}" for step, what in state.notes), ""]
    hand = list(_by_hand(state)) or ["nothing"]
    lines += ["## What remains to be done by hand", "", *(f"- {sentence}" for sentence in hand)]
    return "\n".join(lines)


def headline(state: State) -> list[str]:
    """How it stands, who serves, and the next command."""
    serves = "writes may have reached the new server: it goes forward only" if state.no_return else (
        "nothing was written on the new server: the old one holds all data"
    )  # fmt: skip
    if state.outcome == DONE:
        return [f"Done: {state.site} is served by the new server."]
    if state.outcome != OPEN:
        end = "everything is as it was" if state.rehearsal else f"{state.site} is served by the old server, as before"
        why = f" after: {state.stopped}" if state.stopped else ""
        return [f"{state.outcome.capitalize()}{why}; {end}."]
    how = f"It stopped: {state.stopped}" if state.stopped else "It goes on, or its runner was killed"
    return [f"{how}; {serves}.", f"Next: {next_command(state)}"]


def next_command(state: State) -> str:
    """ "" where nothing is left to do."""
    if not state.open:
        return ""
    return f"killick move {'rollback' if state.back else 'resume'} {state.site}"


def _steps(state: State) -> list[StepState]:
    names = [called(name) for name in (REHEARSAL if state.rehearsal else ORDER)]
    more = [name for name in state.steps if name not in names]
    return [state.step(name) for name in [*names, *more]]


def _step(step: StepState) -> dict[str, Any]:
    return {
        "name": step.name,
        "status": step.status or None,
        "began": _time(step.began),
        "seconds": round(step.seconds, 3),
        "says": step.says,
        "error": step.error or None,
    }


def _clock(state: State) -> float | None:
    found = clock(state, called(CLOCK[0]), called(CLOCK[1]))
    return round((found[1] or state.last) - found[0], 3) if found else None


def _downtime(state: State) -> Iterator[str]:
    predicted, seconds = state.plan.get("downtime"), _clock(state)
    rows = []
    for key, name in WINDOWS.items():
        window: Mapping[str, Any] | None = state.windows.get(key)
        expected = predicted if key == "write_unavailable" else None
        rows.append(
            [
                name,
                _s(window["seconds"] if window else None),
                _s(expected),
                str(len(window["spans"])) if window else "-",
            ]
        )
    rows.append([f"the clock, {called(CLOCK[0])} to {called(CLOCK[1])}", _s(seconds), _s(predicted), "-"])
    yield from _table(["what", "measured", "predicted", "spans"], rows)
    if not state.windows:
        yield "\nNothing was measured from outside."
    elif state.windows.get("unknown"):
        yield f"\nWrites that got no answer, done or not: {state.windows['unknown']}."


def _data(state: State) -> Iterator[tuple[str, Any, Any]]:
    """What steps kept as NAME.before and NAME.after: rows and checksums."""
    kept = {(step, key): value for step, key, value in state.kept}
    for (step, key), value in kept.items():
        name, _, which = key.rpartition(".")
        if which == "before":
            yield name, value, kept.get((step, f"{name}.after"))


def _prior(state: State) -> Iterator[tuple[str, str, Any]]:
    for step, key, value in state.kept:
        if key.rpartition(".")[2] not in ("before", "after") or "." not in key:
            yield step, key, value


def _by_hand(state: State) -> Iterator[str]:
    for step in state.left:
        yield f"{step.name} could not be undone: {step.error}" + (f" ({step.hint})" if step.hint else "")
    if state.open and state.stopped and not state.left:
        yield f"{state.stopped}; then {next_command(state)}"
    if state.outcome == DONE:
        yield "the old server's volumes are kept: remove them when nobody misses anything"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |"


def _flat(value: Any) -> str:
    if not isinstance(value, Mapping):
        return _short(value)
    return ", ".join(f"{key} {each:,}" if isinstance(each, int) else f"{key} {each}" for key, each in value.items())


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


def _s(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"


def _time(at: float) -> str | None:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
