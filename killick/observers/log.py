"""The log: one line for each event, as logfmt or JSON; short sentences and a progress bar on a terminal."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from typing import TextIO

from killick import events, layout
from killick.figures import size
from killick.manifest import Manifest
from killick.watch import Phases, Watch, now_and_then

Tell = Callable[[str, int, int, str], None]
"""Told of a phase: its name, what is done, the total, the unit."""

_LEVELS = {"debug": 0, "info": 1, "warning": 2, "error": 3}


class Log:
    """Writes to `stream`, one line at a time. Levels under `level` (debug, info, warning) are left out."""

    def __init__(self, format: str, level: str, stream: TextIO) -> None:
        self._format = format
        self._least = _LEVELS[level]
        self._stream = stream

    def __call__(self, event: events.Event) -> None:
        level = _level(event)
        if self._stream.isatty():
            line = sentence(event)
            if line and _LEVELS[level] >= self._least:
                self._write(line)
        else:
            self.line(level, slug(event), facts(event))

    def complain(self, text: str) -> None:
        self.line("warning", "observer-failed", {"message": text})

    def line(self, level: str, event: str, facts: Mapping[str, object]) -> None:
        if _LEVELS[level] >= self._least:
            whole = {"time": layout.rfc3339(datetime.now(UTC)), "level": level, "event": event, **facts}
            self._write(json.dumps(whole, ensure_ascii=False) if self._format == "json" else logfmt(whole))

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def slug(event: events.Event) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()


def facts(event: events.Event) -> dict[str, object]:
    """What a line says of an event: its fields, the manifest's sizes, `details` spread out, nothing that is empty.

    Of progress the percentage too, where the total is known.
    """
    found: dict[str, object] = {}
    for each in fields(event):
        value = getattr(event, each.name)
        if isinstance(value, Manifest):
            found["id"] = value.id
            if value.archive:
                found |= {"bytes": value.archive.bytes, "raw_bytes": value.archive.raw_bytes}
        elif each.name == "details":
            found |= value
        elif each.name == "seconds":
            found["seconds"] = round(value, 3)
        elif each.name == "level":
            found["reached"] = value  # the line's own level is how grave it is
        elif value not in ("", False, ()):
            found[each.name] = list(value) if isinstance(value, tuple) else value
    if isinstance(event, events.Progress):
        found["done"] = event.done
        if event.total:
            found["percent"] = 100 * event.done // event.total
    return found


def logfmt(pairs: Mapping[str, object]) -> str:
    return " ".join(f"{key}={_quoted(value)}" for key, value in pairs.items())


def _quoted(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    plain = text and not re.search(r'[\s"=\\]', text) and text.isprintable()
    return text if plain else json.dumps(text, ensure_ascii=False)


def sentence(event: events.Event) -> str:
    """For a person at a terminal; "" for what the progress bar shows already."""
    match event:
        case events.BackupFinished(manifest=manifest, seconds=seconds):
            stored = f", {size(manifest.archive.bytes)}" if manifest.archive else ""
            return f"✓ {event.source}: {manifest.id}{stored}, {seconds:.1f} s"
        case events.BackupFailed():
            hint = f"\n  {event.hint}" if event.hint else ""
            return f"✗ {event.source}: {event.message} (while: {event.phase}){hint}"
        case events.VerifyFinished():
            mark = {"passed": "✓", "failed": "✗"}.get(event.result, "?")
            why = f": {event.error}" if event.error else ""
            hint = f"\n  {event.hint}" if event.hint else ""
            return f"{mark} {event.id}: {event.result}, level {event.level}, {event.seconds:.1f} s{why}{hint}"
        case events.VerifyOverdue():
            return f"✗ {event.source}: {event.message}\n  {event.hint}"
        case events.Swept():
            return f"! {event.source}: an earlier run left {event.what}; it is gone now"
        case events.Pruned():
            return f"✓ {event.source}: {len(event.ids)} expired" if event.ids else ""
        case events.Warned():
            return f"! {event.source}: {event.message}"
    return ""


def _level(event: events.Event) -> str:
    match event:
        case events.BackupFailed() | events.VerifyOverdue() | events.DeployFailed():
            return "error"
        case events.VerifyFinished(result="failed"):
            return "error"
        case events.VerifyFinished(result="unverifiable") | events.Warned() | events.Swept():
            return "warning"
    return "info"


@contextmanager
def progress(
    stream: TextIO, label: str = "", tell: Tell = lambda *_: None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Phases]:
    """Phases whose watches draw a bar each while they last, on a terminal. `label` stands before their names.

    Elsewhere `tell` hears now and then how far a phase is. The percentage is true: a phase whose total nobody knows
    shows what is done, and no percentage.
    """
    if not stream.isatty():

        def told(phase: str) -> Watch:
            def watch(done: int, total: int = 0, unit: str = "bytes") -> None:
                tell(phase, done, total, unit)

            return now_and_then(watch, clock)

        yield Phases(told)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[done]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(file=stream), transient=True) as bars:
        task = TaskID(0)

        def began(phase: str) -> Watch:
            nonlocal task
            mine = task = bars.add_task(f"{label} {phase}".strip(), total=None, done="")

            def watch(done: int, total: int = 0, unit: str = "bytes") -> None:
                shown = size(done) if unit == "bytes" else f"{done:,} {unit}"
                bars.update(mine, completed=done, total=total or None, done=shown)

            return watch

        def ended(_phase: str, _seconds: float) -> None:
            bars.refresh()
            bars.remove_task(task)

        yield Phases(began, ended)
