"""`killick deploy`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from deploy.move.cli import move
from killick.errors import as_error

if TYPE_CHECKING:  # `killick --help` loads nothing of it
    from deploy.deploy import Deploy
    from killick.plan import Plan
    from killick.settings import Settings
    from killick.watch import Phases


def _seconds(_context: click.Context, _option: click.Parameter, value: str) -> float:
    from killick.settings import values

    if value == "0":
        return 0.0
    try:
        return values.duration(value if value[-1:].isalpha() else f"{value}s")
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _addresses(_context: click.Context, _option: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for url in value:
        if not _is_address(url):
            raise click.BadParameter(f"{url!r} is no address: write http://localhost:8000/")
    return value


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        return False
    return sound and url.isascii() and url.isprintable() and " " not in url


@click.command()
@click.argument("environment", metavar="ENV")
@click.option("--check", is_flag=True, help="Explain what would happen, and do nothing.")
@click.option("--url", "urls", multiple=True, callback=_addresses, metavar="URL", help="Has to answer afterwards.")
@click.option("--timeout", default="5m", show_default=True, callback=_seconds, help="For services and addresses.")
@click.option("--settle", default="10s", show_default=True, callback=_seconds, help="How long they have to stay well.")
@click.option("--wait", default="0", callback=_seconds, help="For another deploy of the project to end; else exit 7.")
@click.option("--sidecar", default="sidecar", show_default=True, help="killick's service in the project.")
@click.option("--no-backup", is_flag=True, help="Go without the backup before it.")
@click.option("--no-pull", is_flag=True, help="Use the images that are here.")
@click.option("--override", is_flag=True, help="Leave a copy of dc.ENV.yml as docker-compose.override.yml, too.")
@click.option("--project", default="", metavar="NAME", help="The project's name, where no file pins it.")
@click.option("--directory", default=".", type=click.Path(file_okay=False, exists=True), help="Where its files are.")
@click.option("--json", "as_json", is_flag=True, help="One document on stdout.")
def deploy(
    environment: str, check: bool, urls: tuple[str, ...], timeout: float, settle: float, wait: float, sidecar: str,
    no_backup: bool, no_pull: bool, override: bool, project: str, directory: str, as_json: bool,
) -> None:  # fmt: skip
    """Bring up a compose project with docker-compose.yml and dc.ENV.yml, safely.

    Images are fetched and built first, then every source is backed up, then what changed is started. It is a success
    when every service stays well for a while and the addresses answer; otherwise the exit code is 1, and it says what
    runs now and which command brings the data back.

    \b
    Examples:
      killick deploy prod --check
      killick deploy prod --url http://localhost:8000/health
      killick deploy stage --no-backup --timeout 10m
    """  # fmt: skip
    from deploy import compose
    from deploy.deploy import Deploy, Options
    from killick import settings as configuration

    if settle >= timeout:
        raise click.UsageError("--settle has to be shorter than --timeout: within that, all has to be well for so long")
    settings = configuration.load(os.environ)
    found = compose.find(Path(directory), environment, project)
    options = Options(sidecar, urls, timeout, settle, not no_backup, not no_pull, override)
    work = Deploy(found, found.config(), options)
    if check:
        _explain(work, as_json)
    else:
        _run(work, environment, settings, wait, as_json)


verbs = [deploy, move]


def _explain(work: Deploy, as_json: bool) -> None:
    from deploy import frozen

    frozen.refuse(work.compose.project)
    plan = work.plan()
    if as_json:
        steps = [{"name": step.name, "says": step.says} for step in plan.steps]
        click.echo(json.dumps({"project": work.compose.project, "steps": steps, "notes": work.notes()}, indent=1))
        return
    click.echo(f"A deploy of {work.compose.project} ({' and '.join(work.compose.files)}) would:")
    click.echo("\n".join([*plan.lines(), *(f"note: {note}" for note in work.notes())]))


def _run(work: Deploy, environment: str, settings: Settings, wait: float, as_json: bool) -> None:
    from deploy.turn import alone
    from killick import observers
    from killick.events import DeployFailed, DeployFinished, PhaseFinished
    from killick.watch import Phases

    project, tell = work.compose.project, observers.emitter(settings)
    start = time.monotonic()
    phases = Phases(ended=lambda name, took: tell(PhaseFinished(project, environment, name, round(took, 3))))
    with alone(project, wait):
        plan: Plan = work.plan()
        for note in work.notes():
            click.echo(f"note: {note}", err=True)
        try:
            plan.execute(phases)
        except BaseException as cause:  # whatever it was: what runs now, and what brings the data back, has to be told
            error = as_error(cause)
            click.echo("\n".join(work.failed()), err=True)
            tell(DeployFailed(project, environment, phases.current, error.message, error.hint, tuple(work.back())))
            if as_json:
                click.echo(_document(work, phases, error.message))
            raise
    took = round(time.monotonic() - start, 3)
    tell(DeployFinished(project, environment, took, tuple(saved.id for saved in work.saved)))
    click.echo(_document(work, phases, "") if as_json else f"{project} is deployed: {environment}, {took:.0f} s")
    sys.stdout.flush()


def _document(work: Deploy, phases: Phases, error: str) -> str:
    from deploy.outcome import Outcome

    compose, backups = work.compose, [saved.id for saved in work.saved]
    ended = Outcome(compose.project, error, work.changed, backups, phases.seconds, work.now())
    return json.dumps(ended.to_json(), ensure_ascii=False, indent=1)
