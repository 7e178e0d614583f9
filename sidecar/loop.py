"""The sidecar's loop: chores at their times, one after the other. It imports no driver; each chore is a child process.

One thread does everything in turn, so two chores never overlap: no verification runs during a backup, and a run that is
due while another lasts begins when that ends. Memory goes back with the child, and a crash stays there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Protocol

from schedule import Scheduler

from killick import state, throwaway
from killick.errors import Aborted, KillickError, Stopped, Unverifiable
from killick.observers.log import Log
from killick.process import Command, run, start
from killick.schedule import Schedule, due, next_run
from killick.settings import Settings
from killick.state import State
from sidecar.site import Board

GRACE = 5.0  # seconds that a child has to put things away
WEEK = timedelta(days=6, hours=12)  # a verification ends later than it began, and its schedule does not
LOOK, REFRESH = 5, 300  # seconds between two looks at the clock, at the store
CATCH_UP = timedelta(days=1)  # a digest that was due while nobody ran is sent within it
RETRY, LONGEST = timedelta(minutes=1), timedelta(hours=1)  # between attempts at a first backup
_ANSWER = 120.0  # seconds that reading the store may take


class Children(Protocol):
    """How the loop runs `killick`; tests have their own."""

    def do(self, *argv: str) -> int:
        """To the end. Its log is ours, what it prints is left out. Gives its status, negative for a signal."""

    def answer(self, *argv: str) -> bytes:
        """What it prints. Raises KillickError or TimeoutError."""


class Processes:
    """Real ones. Stopped, which a signal raises, is passed on: SIGTERM, and SIGKILL after GRACE seconds."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat

    def do(self, *argv: str) -> int:
        with start(_killick(argv), stderr=sys.stderr.fileno()) as process:
            try:
                while process.running():
                    self._beat()
                    time.sleep(0.2)
            except Stopped:
                process.stop(GRACE)
                raise
            return process.popen.returncode

    def answer(self, *argv: str) -> bytes:
        return run(_killick(argv), timeout=_ANSWER).stdout


def _killick(argv: Sequence[str]) -> Command:
    """A verification stands back, with all that it starts: it may run on the databases' own host."""
    return Command((sys.executable, "-m", "killick", *argv), inherit=True, nice=10 if argv[0] == "verify" else 0)


class Loop:
    def __init__(
        self,
        settings: Settings,
        board: Board,
        log: Log,
        children: Children,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._board = board
        self._log = log
        self._children = children
        self._clock = clock
        self._since = self._verified = clock()
        self._digested, self._digest_again = self._since - CATCH_UP, self._since
        self._missed: list[str] | None = None
        self._again = RETRY
        self._not_before = self._since
        self._unproven = False
        self._turned: dict[str, datetime] = {}
        self._alarmed: set[str] = set()

    def forever(self) -> NoReturn:
        """Ends by an exception only: Stopped, when a signal says so."""
        chores = Scheduler()
        chores.every(REFRESH).seconds.do(self.refresh)
        chores.every(LOOK).seconds.do(self.look)
        chores.run_all()
        while True:
            turn(chores)
            self._board.beat()
            time.sleep(min(max(chores.idle_seconds or 0.0, 0.1), LOOK))

    def refresh(self) -> None:
        """Reads the store. The first time it can be read, it tells which runs were missed."""
        try:
            found = state.loads(self._children.answer("state", "--json"))
        except (KillickError, TimeoutError, ValueError, KeyError, TypeError) as error:
            self._log.line("warning", "state-unknown", {"message": str(error)})
            self._board.unreadable(str(error), self._clock().timestamp())
            return
        self._board.state = found
        if self._missed is None:
            self._missed = missed(found, self._settings, self._clock())
            self._unproven = unproven(found, self._settings, self._clock())

    def look(self) -> None:
        """Does what is due by now: a backup first."""
        now = self._clock()
        if self._due(self._settings.schedule, self._since, now):
            self._back_up(())
        elif self._missed and now >= self._not_before:
            self._back_up(self._missed)
        now = self._clock()
        if self._unproven or self._due(self._settings.verify.schedule, self._verified, now):
            self._verify(now)
        self._alarm(self._clock())
        telling, now = self._settings.telling, self._clock()
        if telling.notify_urls and now >= self._digest_again and self._due(telling.digest, self._digested, now):
            self._digest(now)

    def _due(self, plan: Schedule, since: datetime, now: datetime) -> bool:
        planned = next_run(plan, since, self._settings.zone)
        return planned is not None and planned <= now

    def _back_up(self, names: Sequence[str]) -> None:
        self._since, self._missed = self._clock(), []
        self._do("backup", *names)
        if self._settings.prune:
            self._do("prune")
        self.refresh()
        if self._board.state is not None:
            self._unproven = unproven(self._board.state, self._settings, None)
            self._retry(self._board.state)

    def _retry(self, found: State) -> None:
        """A source that never had a backup does not wait for tomorrow: a database may start after its sidecar."""
        self._missed = [s.source for s in found.sources if s.set and s.last_success is None]
        self._not_before = self._clock() + self._again
        self._again = min(self._again * 2, LONGEST) if self._missed else RETRY

    def _verify(self, now: datetime) -> None:
        """Asked anew each time: Docker may come up after its sidecar."""
        self._verified, self._unproven = now, False
        if not verifies(self._settings):
            return
        watched = _watched(self._board.state, self._settings)
        for source in watched:
            self._do("verify", "latest", "--source", source)
        for source in watched:
            if self._turn(source, now):
                self._turned[source] = now
                self._do("verify", "random", "--source", source)
        self.refresh()

    def _digest(self, now: datetime) -> None:
        """The store knows which was sent. One that could not be is tried again each hour."""
        if self._do("digest", "--send", "--due") == 0:
            self._digested = now
        else:
            self._digest_again = now + LONGEST

    def _turn(self, source: str, now: datetime) -> bool:
        """Whether an older one is due too. The store remembers when one was; we, where that could not be recorded."""
        known = self._board.state.sources if self._board.state else ()
        found = next((s.verification for s in known if s.source == source), None)
        if found is None or not found.turns:
            return False
        last = [when for when in (_moment(found.turned), self._turned.get(source)) if when]
        return all(now - when >= WEEK for when in last)

    def _alarm(self, now: datetime) -> None:
        """Once, and again only after something was proven: the child leaves a record of it, if it may."""
        if self._board.state is None:
            return
        late = overdue(self._board.state, self._settings, now)
        for source in late:
            if source not in self._alarmed:
                self._do("overdue", "--source", source)
        self._alarmed = set(late)

    def _do(self, *argv: str) -> int:
        status = self._children.do(*argv)
        if status < 0:  # its own words are in the log, unless it was killed
            self._log.line("error", "killed", {"verb": argv[0], "signal": -status})
        return status


def turn(chores: Scheduler) -> None:
    """Runs what is due. The library counts in local time: when the clock is set back, nothing would be for an hour."""
    if (chores.idle_seconds or 0.0) > 2 * LOOK:
        chores.run_all()
    else:
        chores.run_pending()


def missed(found: State, settings: Settings, now: datetime) -> list[str]:
    """The sources that have no backup, and those whose last attempt is older than the newest planned run.

    An attempt that was stopped, by a restart of this very container perhaps, is as good as none.
    """
    if settings.schedule.off:
        return []
    names = []
    for source in found.sources:
        stopped = source.error.get("kind") == Aborted("").kind
        attempt = _moment(source.last_success if stopped else source.last_attempt)
        if source.set and (source.last_success is None or due(settings.schedule, attempt, now, settings.zone)):
            names.append(source.source)
    return names


def _watched(found: State | None, settings: Settings) -> list[str]:
    """The sources that are set; where none is, as in a verifier that knows the store only, all that have a backup."""
    if settings.sources or found is None:
        return [source.name for source in settings.sources]
    return [source.source for source in found.sources if source.last_success is not None]


def unproven(found: State, settings: Settings, now: datetime | None) -> bool:
    """Whether a backup is there that nobody ever tried, or (with `now`) a verification was missed."""
    plan = settings.verify.schedule
    watched = _watched(found, settings)
    tried = [
        (s, _moment(s.verification.last_attempt))
        for s in found.sources
        if s.source in watched and s.last_success is not None
    ]
    if plan.off:
        return False
    return any(last is None or (now is not None and due(plan, last, now, settings.zone)) for _, last in tried)


def overdue(found: State, settings: Settings, now: datetime) -> list[str]:
    """The sources of which nothing was proven for longer than VERIFY_MAX_AGE, and nobody was told.

    Where there is no place to verify in, and never was, verification is off: `killick doctor` says so.
    """
    watched = _watched(found, settings)
    late = [
        (s.source, s.verification.proven)
        for s in found.sources
        if s.source in watched and not s.verification.alarmed and s.verification.max_age
        if s.verification.unproven_since is not None
        and now.timestamp() - s.verification.unproven_since > s.verification.max_age
    ]
    return [source for source, proven in late if proven is not None or verifies(settings)]


def verifies(settings: Settings) -> bool:
    """Whether this sidecar verifies: it may, it can, and it could decrypt."""
    return not settings.verifies_nothing and (settings.verify.where != "auto" or _somewhere())


def _somewhere() -> bool:
    try:
        throwaway.first()
    except Unverifiable:
        return False
    return True


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
