"""The sidecar's verbs."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from killick.errors import KillickError, Stopped

if TYPE_CHECKING:
    from killick.session import Session
    from killick.state import State


@click.command()
def run() -> None:
    """The sidecar: backups, pruning and verifications by schedule; metrics and health over HTTP.

    It is what the image does by default. It ends by SIGTERM, with status 0: a backup that is being made then is
    aborted cleanly within 5 seconds.
    """
    from killick import settings as configuration  # not a session: the loop needs no store
    from killick.observers.log import Log
    from sidecar import night as nights
    from sidecar.loop import Loop, Processes
    from sidecar.server import Board, Site, serve

    settings = configuration.load(os.environ, "project")
    if not settings.schedule.off:
        settings.require("sources")
    telling = settings.telling
    log = Log(telling.log_format, telling.log_level, sys.stderr)
    board = Board()
    children = Processes(board.beat)
    site = Site(board, nights.by_child(children.answer), telling.page)
    with ExitStack() as stack:
        if telling.metrics_port:
            stack.enter_context(serve(site, telling.metrics_port, telling.page_password))
        log.line("info", "sidecar-started", {"project": settings.project, "schedule": settings.schedule.text})
        try:
            Loop(settings, board, log, children).forever()
        except Stopped as stopped:
            log.line("info", "sidecar-stopped", {"message": str(stopped)})


@click.command()
@click.option("--live", is_flag=True, help="Ask the running sidecar's /healthz instead: does its loop live?")
def health(live: bool) -> None:
    """Is the newest backup of every source as fresh as its schedule allows? Exit 0 or 1.

    \b
    Examples:
      killick health           reads the store
      killick health --live    what the image's HEALTHCHECK asks
    """
    from killick.session import begin
    from sidecar.server import readiness

    session = begin("project")
    if live:
        well, text = _live(session.settings.telling.metrics_port)
    else:
        well, text = readiness((_state(session),), time.time())
    click.echo(text)
    sys.exit(0 if well else 1)


@click.command(hidden=True)
@click.option("--json", "as_json", is_flag=True, help="For the sidecar's loop; not a stable format.")
def state(as_json: bool) -> None:
    """What metrics, health and page know, read from the store."""
    from killick.session import begin

    found = _state(begin("project"))
    if as_json:
        click.echo(found.dumps())
        return
    for source in found.sources:
        click.echo(source)


@click.command(hidden=True)
@click.argument("source")
@click.argument("day")
def night(source: str, day: str) -> None:
    """What the page shows of one local day, as JSON; not a stable format."""
    from killick.session import begin
    from sidecar import night as nights

    session = begin("project")
    wanted = date.fromisoformat(day)
    document = nights.read(session.store, session.project, source, wanted, session.settings.zone)
    click.echo(json.dumps(document, ensure_ascii=False))


@click.command()
@click.argument("store", required=False)
@click.option("--expect", type=click.Path(path_type=Path), help="A file of projects that must be there, one a line.")
@click.option("--port", type=click.IntRange(0, 65535), help="Where to answer; default: METRICS_PORT. 0: a free one.")
@click.option("--json", "as_json", is_flag=True, help="One document on stdout, and no server.")
def fleet(store: str | None, expect: Path | None, port: int | None, as_json: bool) -> None:
    """All projects of a store, for whoever has dozens: one page, /metrics, /state.json.

    STORE is s3://bucket/prefix or file:///folder; default: the variable of that name. It needs rights to list and to
    read, and nothing else: it also sees projects whose server is dead. It ends by SIGTERM, with status 0.

    \b
    Examples:
      killick fleet s3://bucket/backups                  http://localhost:9187/
      killick fleet --expect projects.txt                also those that have no backup at all
      killick fleet s3://bucket/backups --json           for a program to read
    """
    from killick import settings as configuration
    from killick import stores
    from killick.observers.log import Log
    from sidecar import fleet as fleets
    from sidecar.night import read
    from sidecar.report import document
    from sidecar.server import Board, Site, serve

    settings = configuration.load({**os.environ, **({"STORE": store} if store else {})})
    telling = settings.telling
    place = stores.connect(settings.store, settings.access)
    found = fleets.Fleet(place, settings, fleets.expected(expect) if expect else ())
    if as_json:
        now = datetime.now(UTC)
        click.echo(json.dumps(document(found.read(now), now.timestamp()), ensure_ascii=False, indent=1))
        return
    if port is None and not telling.metrics_port:
        raise KillickError("METRICS_PORT is off, and a fleet has nothing else to do", "give --port, or --json")
    board = Board()
    site = Site(board, lambda project, source, day: read(place, project, source, day, settings.zone), telling.page)
    log = Log(telling.log_format, telling.log_level, sys.stderr)
    with serve(site, telling.metrics_port if port is None else port, telling.page_password) as answered:
        log.line("info", "fleet-started", {"store": settings.store, "port": answered})
        try:
            fleets.watch(found, board, log)
        except Stopped as stopped:
            log.line("info", "fleet-stopped", {"message": str(stopped)})


@click.command(hidden=True)
@click.option("--source", required=True)
def overdue(source: str) -> None:
    """For the sidecar's loop: raise the alarm of VERIFY_MAX_AGE, unless it was."""
    from killick.session import begin
    from sidecar.overdue import alarm

    alarm(begin("project"), source, datetime.now(UTC))


def _state(session: Session) -> State:
    from killick import state as states

    return states.read(session.store, session.settings, datetime.now(UTC))


def _live(port: int) -> tuple[bool, str]:
    import urllib.error
    import urllib.request

    if not port:
        raise KillickError("METRICS_PORT is off, so nobody answers", "leave --live out, or set a port")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=4) as answer:
            return True, answer.read(200).decode().strip()
    except urllib.error.HTTPError as error:
        return False, error.read(200).decode(errors="replace").strip()
    except OSError as error:
        return False, f"nobody answers on port {port}: {error}"


@click.command()
@click.argument("source", nargs=-1)
@click.option("--adopt", is_flag=True, help="Accept that a source is another cluster than its newest backup's.")
@click.option("--json", "as_json", is_flag=True, help="One document on stdout: a list of what became of each source.")
def backup(source: tuple[str, ...], adopt: bool, as_json: bool) -> None:
    """Back up all sources, or those named, once, now.

    \b
    Ends with 0 (all made), 1 (one failed), 5 (refused: a copy, or another
    cluster), 7 (another run holds the lock: it says who, since when).

    \b
    Examples:
      killick backup               every source
      killick backup db --json     one, for a program to read
      killick backup --adopt       after a move or an upgrade of the database
    """
    from killick.session import begin
    from sidecar.backup import back_up, exit_code

    session = begin("project", "sources")
    wanted = [session.settings.source(name) for name in dict.fromkeys(source)] or session.settings.sources
    outcomes = back_up(session, wanted, adopt=adopt)
    if as_json:
        click.echo(json.dumps([outcome.to_json() for outcome in outcomes], ensure_ascii=False, indent=1))
    sys.exit(exit_code(outcomes))


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would be kept and dropped, and why; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One document on stdout.")
def prune(dry_run: bool, as_json: bool) -> None:
    """Remove the backups that retention (KEEP_…) no longer keeps.

    Never the newest of a source, nor its newest proven one; never what killick did not write.

    \b
    Examples:
      killick prune --dry-run      a table with the reason for each
    """
    from killick.session import begin
    from sidecar import prune as retention

    decisions = retention.prune(begin("project"), dry_run=dry_run)
    if as_json:
        click.echo(json.dumps([retention.to_json(each) for each in decisions], ensure_ascii=False, indent=1))
    else:
        click.echo(retention.table(decisions))


@click.command()
@click.option("--send", "sends", is_flag=True, help="Send it to NOTIFY_URLS instead of printing it.")
@click.option("--due", is_flag=True, help="Only the one that DIGEST planned last, unless somebody sent it.")
def digest(sends: bool, due: bool) -> None:
    """The last seven nights: how many were verified, how old the proven data is, how long a restore takes.

    \b
    Examples:
      killick digest                 shows it
      killick digest --send          tells everybody, now
      killick digest --send --due    what the sidecar does; for a cron job
    """
    from killick.session import begin
    from sidecar import digest as digests

    session, now = begin("project"), datetime.now(UTC)
    if due and not sends:
        raise click.UsageError("--due goes with --send")
    if due:
        digests.send_due(session, now)
        return
    found = digests.read(session, now, now)
    if sends:
        digests.send(session, found)
    else:
        click.echo(f"{found.title}\n{found.text}")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One document on stdout: a list of checks.")
def doctor(as_json: bool) -> None:
    """Check settings, sources, store, scratch, programs and clock; say how to mend each. Exit 0 or 1."""
    from killick.doctor import examine
    from killick.session import begin

    checks = list(examine(begin("project", "sources")))
    if as_json:
        click.echo(json.dumps([check.__dict__ for check in checks], ensure_ascii=False, indent=1))
    else:
        for check in checks:
            click.echo(f"{'✓' if check.ok else '✗'} {check.what}" + ("" if check.ok else f"\n    {check.cure}"))
    sys.exit(0 if all(check.ok for check in checks) else 1)


verbs: list[click.Command] = [run, backup, prune, digest, doctor, health, fleet, state, night, overdue]
