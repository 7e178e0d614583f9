"""What is answered at which path. The server behind it speaks HTTP; nothing here does."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus

from killick.errors import KillickError
from killick.observers import metrics
from killick.state import SourceState, State
from sidecar import page
from sidecar.health import judge, span
from sidecar.night import Night
from sidecar.report import document
from sidecar.verdict import LOOK, verdict

_HTML, _TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"
_SOURCE = re.compile(r"/source/(?P<project>[^/]+)/(?P<source>[^/]+)")
_NIGHT = re.compile(r"/night/(?P<project>[^/]+)/(?P<source>[^/]+)/(?P<day>\d{4}-\d\d-\d\d)")
_BADGE = re.compile(r"/badge(?:/(?P<project>[^/]+)(?:/(?P<source>[^/]+))?)?\.svg")


class Board:
    """What the loop writes and the server reads. `beat` is told whenever the loop comes by.

    `states` is one for each project, None before the store could be read; `trouble` (since when, why) holds while it
    cannot be.
    """

    LATEST = 180.0  # seconds after which a loop that did not come by counts as dead

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.states: tuple[State, ...] | None = None
        self.trouble: tuple[float, str] | None = None
        self._clock = clock
        self._beaten = clock()

    @property
    def state(self) -> State | None:
        """Of a sidecar, which knows one project."""
        return self.states[0] if self.states else None

    @state.setter
    def state(self, found: State) -> None:
        self.show(found)

    def show(self, *states: State) -> None:
        self.states, self.trouble = states, None

    def unreadable(self, why: str, now: float) -> None:
        """The store cannot be read; what was known stays, and so does the moment since when."""
        self.trouble = (self.trouble[0] if self.trouble else now, why)

    def beat(self) -> None:
        self._beaten = self._clock()

    def alive(self) -> bool:
        return self._clock() - self._beaten < self.LATEST


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    body: bytes
    kind: str = _TEXT


@dataclass(frozen=True)
class Site:
    """`people` is False where there is nothing but metrics and health; `night` reads one night from the store."""

    board: Board
    night: Callable[[str, str, date], Night]
    people: bool = True

    def open(self, path: str) -> bool:
        """Whether no password is asked for: Prometheus knows none, and a badge tells an age and no more."""
        return path not in {"/", "/state.json"} and not _SOURCE.fullmatch(path) and not _NIGHT.fullmatch(path)

    def answer(self, path: str, now: float) -> Answer:
        match path:
            case "/metrics":
                return Answer(HTTPStatus.OK, metrics.exposition(*self.board.states or ()), metrics.CONTENT_TYPE)
            case "/healthz":
                alive = self.board.alive()
                return _well(alive, "the loop lives" if alive else "the loop does not come by any more")
            case "/readyz":
                return _well(*readiness(self.board.states, now))
        found = self._for_people(path, now) if self.people else None
        return found or Answer(HTTPStatus.NOT_FOUND, b"there are /, /metrics, /healthz and /readyz\n")

    def _for_people(self, path: str, now: float) -> Answer | None:
        if path == "/":
            return _html(page.overview(self.board.states, now, self._trouble(now)))
        if path == "/state.json":
            text = json.dumps(document(self.board.states or (), now), ensure_ascii=False, indent=1)
            return Answer(HTTPStatus.OK, f"{text}\n".encode(), "application/json")
        if asked := _BADGE.fullmatch(path):
            return self._badge(asked["project"], asked["source"], now)
        asked = _NIGHT.fullmatch(path) or _SOURCE.fullmatch(path)
        known = self._known(asked["project"], asked["source"]) if asked else []
        if asked is None or not known:
            return None
        state, source = known[0]
        if asked.re is _SOURCE:
            return _html(page.source(state, source, now, self._trouble(now)))
        return self._night(state.project, source.source, asked["day"], now)

    def _known(self, project: str | None, source: str | None) -> list[tuple[State, SourceState]]:
        return [
            (state, one)
            for state in self.board.states or ()
            for one in state.sources
            if project in (None, state.project) and source in (None, one.source)
        ]

    def _night(self, project: str, source: str, day: str, now: float) -> Answer | None:
        try:
            wanted = date.fromisoformat(day)
        except ValueError:
            return None
        try:
            return _html(page.night(self.night(project, source, wanted), now))
        except (KillickError, TimeoutError, ValueError) as error:
            why = f"The store could not be read: {error}"
            html = page.said(f"{project}/{source}: {day}", why, "../../../").encode()
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, html, _HTML)

    def _badge(self, project: str | None, source: str | None, now: float) -> Answer | None:
        """Of the worst source there is, with the oldest proof of them."""
        from sidecar.page.pictures import badge

        known = self._known(project, source)
        if not known:
            return None if project else Answer(HTTPStatus.OK, badge("unknown", LOOK).encode(), "image/svg+xml")
        worst = max((verdict(state, one, now) for state, one in known), key=lambda found: found.rank)
        proofs = [one.verification.verified_snapshot for _, one in known]
        proven = [moment for moment in proofs if moment is not None]
        age = f" · {span(now - min(proven))} ago" if proven and len(proven) == len(proofs) else ""
        return Answer(HTTPStatus.OK, badge(f"{worst.word}{age}", worst.rank).encode(), "image/svg+xml")

    def _trouble(self, now: float) -> str:
        if self.board.trouble is None:
            return ""
        since, why = self.board.trouble
        return f"The store cannot be read since {page.moment(since)} ({span(now - since)}): {why}"


def readiness(states: tuple[State, ...] | None, now: float) -> tuple[bool, str]:
    """Whether every source is fresh, and a line for each; with its project where there are several."""
    if states is None:
        return False, "the store has not been read yet"
    found = [(f"{state.project}/" if len(states) > 1 else "", each) for state in states for each in judge(state, now)]
    lines = "\n".join(f"{project}{each.sentence}" for project, each in found)
    return all(each.fresh for _, each in found), lines or "no source is set"


def _html(text: str) -> Answer:
    return Answer(HTTPStatus.OK, text.encode(), _HTML)


def _well(good: bool, text: str) -> Answer:
    return Answer(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, f"{text}\n".encode())
