"""The verbs of `killick move` as work: a plan, a rehearsal, a move, and what goes on with one that was stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deploy.move import journal as journals
from deploy.move import outside, plan, screen
from deploy.move import spec as specs
from deploy.move.hosts import connect
from deploy.move.journal import Journal
from deploy.move.person import Person
from deploy.move.plan import Plan
from deploy.move.runner import Ending, Look, Runner
from deploy.move.site import Site
from deploy.move.spec import Server, Spec
from deploy.move.step import Move
from deploy.move.steps import CLOCK, ORDER, REHEARSAL, called
from deploy.move.traffic import Traffic
from killick.errors import KillickError, Refused
from killick.watch import Watch

_COPY = "spec.toml"
_PAUSE = 0.1


def planned(path: Path, names: tuple[str, ...] = ORDER) -> Plan:
    """Raises SettingsError. Changes nothing."""
    return plan.make(_move(specs.load(path), Journal(None, []), Person(), "plan"), names)


@contextmanager
def begun(path: Path, *, rehearsal: bool) -> Iterator[tuple[Spec, Plan]]:
    """Holds the site, and lets nobody begin what may not be begun. Raises SettingsError, Busy, Refused."""
    spec = specs.load(path)
    with journals.alone(spec.site):
        if journals.is_open(spec.site):
            raise Refused(
                f"a move of {spec.site} is open: {journals.latest(spec.site).parent.name}",
                f"killick move resume {spec.site}, or killick move rollback {spec.site}",
            )
        if not rehearsal:
            plan.may_run(spec)
        yield spec, planned(path, REHEARSAL if rehearsal else ORDER)


def start(path: Path, spec: Spec, made: Plan, given: Collection[str], *, rehearsal: bool) -> tuple[Ending, Journal]:
    """Inside `begun`. The move keeps a copy of its spec: what is resumed is what was begun."""
    while (id := f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}") in {found.parent.name for found in journals.paths(spec.site)}:
        time.sleep(_PAUSE)  # another was begun and ended within this second
    beside = {_COPY: path.read_bytes()}
    journal = journals.create(spec.site, id, beside, digest=spec.digest, rehearsal=rehearsal, plan=made.to_json())
    return _walk(spec, journal, given, back=False), journal


def go_on(site: str, given: Collection[str], *, back: bool) -> tuple[Ending, Journal]:
    """Resumes the open move of a site, or takes it back. Raises NotFound, Busy, Refused."""
    journals.latest(site)  # before there is a folder for a site that nobody moves
    with journals.alone(site):
        path = journals.latest(site)
        if not journals.look(path).state.open:
            state = journals.look(path).state
            raise Refused(f"the move {state.id} of {site} is over: {state.outcome}", f"killick move report {site}")
        journal = journals.take_up(path)
        return _walk(specs.load(path.parent / _COPY), journal, given, back=back, resumed=True), journal


def site_of(word: str) -> str:
    """A spec's file, or the site's name itself."""
    return specs.load(Path(word)).site if os.path.isfile(word) else word  # noqa: PTH113  # Path's raises for a long one


def _walk(spec: Spec, journal: Journal, given: Collection[str], *, back: bool, resumed: bool = False) -> Ending:
    names = REHEARSAL if journal.state.rehearsal else ORDER
    shown = screen.made(journal, [called(name) for name in names])
    move = _move(spec, journal, Person(given, shown.aside), journal.state.id)
    if back:
        Runner(move, plan.steps_of(names)).may_go_back()
    if resumed:
        journal.write("resumed")
    with shown.shown(), outside.measured(move) as measured:
        runner = Runner(move, plan.steps_of(names), _Both((shown, measured)), lambda: list(_wrong(move)))
        return runner.back() if back else runner.forward()


def _move(spec: Spec, journal: Journal, person: Person, id: str) -> Move:
    old, new = _site(spec, spec.old), _site(spec, spec.new)
    return Move(id, spec, old, new, Traffic.of(spec, old, new), journal, person)


def _site(spec: Spec, server: Server) -> Site:
    return Site(connect(server.host), server, spec.sidecar)


def _wrong(move: Move) -> Iterator[str]:
    """After everything was undone: what of the old server does not serve as before."""
    if not move.journal.state.step(called(CLOCK[0])).began:
        return
    try:
        yield from move.traffic.as_before()
    except (KillickError, TimeoutError) as error:
        yield f"whether the old server serves could not be asked: {error}"


@dataclass(frozen=True)
class _Both:
    looks: Sequence[Look]

    def told(self, event: str, step: str) -> None:
        for look in self.looks:
            look.told(event, step)

    def watch(self, step: str) -> Watch:
        return self.looks[0].watch(step)
