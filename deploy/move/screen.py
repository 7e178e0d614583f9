"""What a person sees while a move runs: a live table on a terminal, plain lines elsewhere. All on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from deploy.move.journal import Journal
from deploy.move.state import ACTED, BEGUN, FAILED, FOUND, LEFT, UNDOING, UNDONE, VERIFIED, State, clock
from deploy.move.steps import CLOCK, called
from killick.watch import Watch, now_and_then

_LIVE = 4  # drawings a second
_WORDS = {
    "": "", BEGUN: "works", ACTED: "proves", VERIFIED: "done", FOUND: "was so", FAILED: "FAILED",
    UNDOING: "is undone", UNDONE: "undone", LEFT: "NOT undone",
}  # fmt: skip


class Plain:
    """A line for each event."""

    def __init__(self, journal: Journal, names: list[str]) -> None:
        self._journal = journal
        self._names = names

    def told(self, event: str, step: str) -> None:
        found = self._journal.state.step(step)
        if event in _WORDS:
            more = f": {found.error}" if event in (FAILED, LEFT) else f": {found.says}" if event == VERIFIED else ""
            self._say(f"{step} {_WORDS[event]}{more}")

    def watch(self, step: str) -> Watch:
        def told(done: int, total: int = 0, unit: str = "bytes") -> None:
            self._say(f"{step}: {_far(done, total, unit)}")

        return now_and_then(told)

    @contextmanager
    def shown(self) -> Iterator[None]:
        yield

    aside = shown

    def _say(self, line: str) -> None:
        click.echo(f"{datetime.now(UTC):%H:%M:%S}  {line}", err=True)


class Screen(Plain):
    """The same as a table that is drawn anew, with the clock of refused writes."""

    def __init__(self, journal: Journal, names: list[str]) -> None:
        super().__init__(journal, names)
        self._far = ""
        self._live = Live(
            get_renderable=self._table, console=Console(stderr=True), refresh_per_second=_LIVE, transient=False
        )

    def told(self, event: str, step: str) -> None:
        self._far = ""

    def watch(self, step: str) -> Watch:
        def told(done: int, total: int = 0, unit: str = "bytes") -> None:
            self._far = _far(done, total, unit)

        return told

    @contextmanager
    def shown(self) -> Iterator[None]:
        self._live.start()
        try:
            yield
        finally:
            self._live.stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """For a question: nothing is drawn over it."""
        was = self._live.is_started
        self._live.stop()
        try:
            yield
        finally:
            if was:
                self._live.start()

    def _table(self) -> Table:
        return table(self._journal.state, self._names, time.time(), self._far)


def table(state: State, names: list[str], now: float, far: str = "") -> Table:
    found = Table(title=f"{state.site}  {_clock(state, now)}", title_justify="left", expand=True)
    for head in ("step", "state", "s", ""):
        found.add_column(head, justify="right" if head == "s" else "left", no_wrap=head != "")
    for name in names:
        step = state.step(name)
        works = step.status in (BEGUN, ACTED)
        seconds = step.seconds + (now - step.ended if works else 0.0)
        more = step.error or step.says or (far if works else "")
        found.add_row(name, _WORDS[step.status], f"{seconds:.1f}" if step.began else "", more)
    return found


def made(journal: Journal, names: list[str]) -> Plain:
    return (Screen if sys.stderr.isatty() else Plain)(journal, names)


def _clock(state: State, now: float) -> str:
    found = clock(state, called(CLOCK[0]), called(CLOCK[1]))
    if found is None:
        return "writes are open"
    predicted = state.plan.get("downtime")
    about = f" of about {predicted:.0f} s" if predicted else ""
    if found[1] is None:
        return f"WRITES ARE REFUSED for {now - found[0]:.1f} s{about}"
    return f"writes were refused for {found[1] - found[0]:.1f} s{about}"


def _far(done: int, total: int, unit: str) -> str:
    return f"{done:,} of {total:,} {unit}" if total else f"{done:,} {unit}"
