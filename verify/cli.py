"""`killick verify`."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from killick.errors import SettingsError, StoreError, Unverifiable

if TYPE_CHECKING:  # `killick --help` loads neither engines nor stores
    from pathlib import Path

    from killick.catalog import Backup, Catalog
    from killick.checks import Check
    from killick.session import Session
    from killick.settings import Verify
    from verify.options import Options
    from verify.report import Report


@click.command()
@click.argument("which", default="latest", metavar="[ID|latest|random|all]")
@click.option("--source", default="", help="The source's name, where there are several.")
@click.option("--level", type=click.IntRange(0, 6), help="How far to go; default VERIFY_LEVEL.")
@click.option(
    "--in", "where", type=click.Choice(["process", "container", "auto"]), help="Where to restore; default VERIFY_IN."
)
@click.option("--json", "as_json", is_flag=True, help="One document on stdout; an array for all.")
@click.option("--report", "file", default="", metavar="FILE", help="Also write one HTML file to send.")
def verify(which: str, source: str, level: int | None, where: str | None, as_json: bool, file: str) -> None:
    """Restore a backup into a throwaway and compare it with its manifest.

    \b
    WHICH  an id, the newest (latest), the one whose turn it is (random:
           none comes twice before all came once), or the newest of every
           source (all)
    LEVEL  0 there and whole        3 + the same schema
           1 + decodes              4 + the same rows and checksums
           2 + restores             5 + makes sense
                                    6 + VERIFY_COMMAND works with it
    Ends with 0 (passed), 1 (failed) or 6 (could not verify: that says
    nothing about the backup). The result is recorded beside the backup.

    \b
    Examples:
      killick verify
      killick verify 20261123T030000Z-db --level 2
      killick verify all --json
      killick verify all --report report.html
    """
    from verify.html.file import destination

    place = destination(file) if file else None
    reports = _reports(which, source, level, where)
    if as_json:
        documents = [report.to_json() for report in reports]
        click.echo(json.dumps(documents if which == "all" else documents[0], ensure_ascii=False, indent=1))
    else:
        click.echo("\n\n".join(report.text() for report in reports))
    code = exit_code([report.result for report in reports])
    sys.exit(_sent(place, reports, code) if place else code)


verbs = [verify]


def exit_code(results: list[str]) -> int:
    """Of several: failed outweighs unverifiable, which outweighs passed."""
    from verify.report import EXIT, FAILED, UNVERIFIABLE

    return next((EXIT[result] for result in (FAILED, UNVERIFIABLE) if result in results), 0)


def _sent(place: Path, reports: list[Report], code: int) -> int:
    """Writes the file; gives the exit code, which only a verification that passed leaves to a file that did not."""
    from killick.cli import told
    from verify.html import render
    from verify.html.file import write

    try:
        write(place, render(reports, datetime.now(UTC)))
    except SettingsError as error:
        failed = told(error)
        return code or failed
    return code


def _reports(which: str, source: str, level: int | None, where: str | None) -> list[Report]:
    from killick import throwaway
    from killick.events import Swept
    from killick.session import begin
    from verify.choose import choose, unfinished
    from verify.options import Options
    from verify.verify import without_manifest

    session = begin("project")
    given = session.settings
    asked = given.verify.level if level is None else level
    options = Options(
        scratch=given.scratch,
        level=asked,
        where=_where(where, given.verify, asked),
        identity=given.identity,
        jobs=given.jobs,
        timeout=given.verify.timeout,
        terms=throwaway.Terms(given.verify.memory, given.verify.cpus, given.verify.images),
        may_vanish=given.verify.may_vanish,
        commands=given.verify.commands,
        app_image=given.verify.app_image,
        rto=given.verify.rto,
    )
    for name in session.scratch.sweep():
        session.tell(Swept(session.project, "", f"the scratch folder {name}"))
    for name in throwaway.sweep(given.scratch):
        session.tell(Swept(session.project, "", f"a throwaway of a verification that was killed: {name}"))
    known = _catalog(session)
    lost = unfinished(known, which)
    if lost:
        return [_told(session, lost, without_manifest(lost, options.level), 0.0, known)]
    chosen = choose(known, which, source)
    options = replace(options, known=known, checks=_checks(session, options, chosen))
    return [_one(session, backup, options, known) for backup in chosen]


def _checks(session: Session, options: Options, chosen: list[Backup]) -> dict[str, tuple[Check, ...]]:
    """By source. Raises SettingsError before anything is restored."""
    from killick.checks import read

    if options.level < 5:
        return {}
    return {name: read(session.settings.verify.checks, name) for name in {backup.source for backup in chosen}}


def _where(wanted: str | None, given: Verify, level: int) -> str:
    """`off` means: not by schedule. By hand it is wanted. Raises SettingsError for a process beside an app's image."""
    from verify.options import HIGHEST

    if not given.app_image:
        return wanted or given.where.replace("off", "auto")
    if wanted == "process" and level == HIGHEST:
        raise SettingsError(
            "VERIFY_APP_IMAGE needs a throwaway in a container", "leave --in process out, or add --level 5"
        )
    return "process" if wanted == "process" else "container"


def _catalog(session: Session) -> Catalog:
    """Raises Unverifiable: a store that does not answer says nothing about its backups."""
    try:
        return session.catalog()
    except StoreError as error:
        raise Unverifiable(error.message, error.hint, reason="network") from None


def _one(session: Session, backup: Backup, options: Options, known: Catalog) -> Report:
    from killick.events import Warned
    from verify.verify import verify

    def say(sentence: str) -> None:
        session.tell(Warned(session.project, backup.source, sentence))

    start = time.monotonic()
    with session.phases(backup.source) as phases:
        report = verify(session.store, backup, options, phases, say)
    return _told(session, backup, report, time.monotonic() - start, known)


def _told(session: Session, backup: Backup, report: Report, seconds: float, known: Catalog) -> Report:
    """Recorded beside the backup, and told to whoever observes."""
    from killick.events import VerifyFinished
    from verify.change import change
    from verify.verify import record

    first, recovered = change(known, backup, report, session.settings.verify.level)
    report = record(session.store, report, session.settings.verify.evidence_key)
    session.tell(
        VerifyFinished(
            report.project, report.source, report.id, report.result, report.level, seconds, report.first_error,
            report.hint, first=first, at=report.at, recovered=recovered,
        )
    )  # fmt: skip
    return report
