"""A restore from its wish to its report: which backups, into what, may it be, show, ask, do, tell."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import click

from killick.catalog import Backup, Catalog
from killick.errors import Aborted, Refused
from killick.events import Swept, Warned
from killick.find import run_of
from killick.session import Session
from restore.archives import outline
from restore.conditions import Options
from restore.guards import Consent, allow, identity, known, standing, unasked
from restore.listing import pick
from restore.refresh import Refresh
from restore.result import Result
from restore.target import Target


@dataclass(frozen=True)
class Wanted:
    """What somebody asked for: `id`, `source` and `at` as in killick.find; `everything` of a run."""

    id: str = "latest"
    source: str = ""
    at: str = ""
    into: str = ""
    everything: bool = False


@dataclass(frozen=True)
class Foreseen:
    """What a dry run tells of one source. `asks`: "" (nothing), "yes" or "name"; `refused`: why it would be."""

    refresh: Refresh
    asks: str = ""
    refused: Refused | None = None

    @classmethod
    def of(cls, refresh: Refresh, given: Consent) -> Foreseen:
        try:
            return cls(refresh, allow(refresh.target, refresh.standing, given))
        except Refused as error:
            return cls(refresh, refused=error)

    def to_json(self) -> dict[str, Any]:
        plan = self.refresh.plan
        return {
            "id": self.refresh.backup.id, "into": self.refresh.target.url,
            "steps": [{"name": step.name, "does": step.says} for step in plan.steps],
            "asks": self.asks, "refused": self.refused.message if self.refused else None,
        }  # fmt: skip

    def text(self) -> str:
        if self.refused:
            end = f"✗ it would be refused: {self.refused.message}\n    {self.refused.hint}"
        else:
            asked = {"": "nothing would be asked", "yes": "it would ask whether to go on"}
            end = asked.get(self.asks, f"the name {self.refresh.target.name} would have to be typed")
        return f"{self.refresh.text()}\n  {end}"


def foresee(session: Session, wanted: Wanted, options: Options, given: Consent) -> list[Foreseen]:
    """What `restore` would do; it changes nothing."""
    return [Foreseen.of(refresh, given) for refresh in _wanted(session, wanted, options)]


def restore(session: Session, wanted: Wanted, options: Options, given: Consent, *, quiet: bool = False) -> list[Result]:
    """What became of each source. `quiet`: what a person reads goes to stderr."""
    refreshes = _wanted(session, wanted, options)
    for refresh in refreshes:
        click.echo(refresh.text(), err=quiet)
    for refresh in refreshes:
        _agree(refresh, given)
    results = execute(session, refreshes, named=bool(wanted.into))
    for result in results:
        click.echo(result.text(f"{result.id} is in {result.into}"), err=quiet)
    return results


def _wanted(session: Session, wanted: Wanted, options: Options) -> list[Refresh]:
    catalog = session.catalog()
    return planned(session, catalog, _chosen(session, catalog, wanted), options, wanted.into)


def _chosen(session: Session, catalog: Catalog, wanted: Wanted) -> list[Backup]:
    """Raises NotFound, Corrupt, SettingsError: see killick.find."""
    if not wanted.everything:
        return [pick(session, wanted.id, wanted.source, wanted.at, catalog)]
    sources = [source.name for source in session.settings.sources]
    found = run_of(catalog, wanted.id, sources)
    for name in sorted(set(sources) - {backup.source for backup in found}):
        session.tell(Warned(session.project, name, f"the run {found[0].id.partition('-')[0]} has no backup of it"))
    return found


def planned(
    session: Session, catalog: Catalog, backups: Sequence[Backup], options: Options, into: str = ""
) -> list[Refresh]:
    """Looks at every target, changes nothing. Raises what Target.of and Refresh raise."""
    production = known(session.store, catalog)
    found = []
    for backup in backups:
        made = None if backup.older else outline(session.store, backup)
        target = Target.of(session.settings, backup.source, into, made.engine if made else "")
        whose = production | ({identity(made)} if made else set())
        found.append(
            Refresh(
                session, backup, made or outline(session.store, backup, target.kind), target,
                standing(target.facts, whose), options,
            )
        )  # fmt: skip
    return found


def execute(session: Session, refreshes: Sequence[Refresh], *, named: bool = False) -> list[Result]:
    """All are made before the first is taken into use: when one cannot be made, nothing of any has changed.

    `named`: the target was named by --into, so undo has to name it too.
    """
    for name in session.scratch.sweep():
        session.tell(Swept(session.project, "", f"the scratch folder {name}"))
    with ExitStack() as stack:
        for refresh in refreshes:
            stack.enter_context(refresh)
        for refresh in refreshes:
            refresh.make()
        taken: list[Refresh] = []

        def back(refresh: Refresh) -> str:
            return undo_command(session, refresh.backup.source, refresh.target.url if named else "")

        for refresh in refreshes:
            try:
                refresh.take()
            except BaseException:
                for each in taken:
                    said = f"it is in use already; to undo it: {back(each)}"
                    session.tell(Warned(session.project, each.backup.source, said))
                raise
            taken.append(refresh)
        return [refresh.finish(back(refresh)) for refresh in refreshes]


def undo_command(session: Session, source: str, into: str) -> str:
    """As short as it can be. `into` is a target's own URL, which holds no password, or ""."""
    words = ["killick", "restore", "--undo"]
    if len(session.settings.sources) > 1 and not into:
        words += ["--source", source]
    return shlex.join([*words, *(["--into", into] if into else [])])


def _agree(refresh: Refresh, given: Consent) -> None:
    """Asks what is still to be asked. Raises Refused where there is nobody to ask, or another name was typed."""
    target = refresh.target
    wanted = allow(target, refresh.standing, given)
    if not wanted:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise unasked(target, wanted)
    if wanted == "yes":
        if not click.confirm(f"Replace {target.name} at {target.host}?", err=True):
            raise Aborted("nothing was changed")
    elif click.prompt(f"To replace it, type its name ({target.name})", err=True).strip() != target.name:
        raise Refused(f"that is not the name of {target.url}; nothing was changed")
