"""The sidecar's verbs."""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime

import click

from killick import settings as configuration
from killick import state as states
from killick import stores
from killick.errors import Aborted, KillickError


@click.command()
def run() -> None:
    """The sidecar: backups, pruning and verifications by schedule; metrics and health over HTTP.

    It is what the image does by default. It ends by SIGTERM, with status 0: a backup that is being made then is
    aborted cleanly within 5 seconds.
    """
    from killick.observers.log import Log
    from sidecar.loop import Loop, Processes
    from sidecar.server import Board, serve

    settings = configuration.load(os.environ, "project")
    if not settings.schedule.off:
        settings.require("sources")
    telling = settings.telling
    log = Log(telling.log_format, telling.log_level, sys.stderr)
    board = Board()
    with ExitStack() as stack:
        if telling.metrics_port:
            stack.enter_context(serve(board, telling.metrics_port, telling.page_password))
        log.line("info", "sidecar-started", {"project": settings.project, "schedule": settings.schedule.text})
        try:
            Loop(settings, board, log, Processes(board.beat)).forever()
        except Aborted as stopped:
            log.line("info", "sidecar-stopped", {"message": stopped.message})


@click.command()
@click.option("--live", is_flag=True, help="Ask the running sidecar's /healthz instead: does its loop live?")
def health(live: bool) -> None:
    """Is the newest backup of every source as fresh as its schedule allows? Exit 0 or 1.

    \b
    Examples:
      killick health           reads the store
      killick health --live    what the image's HEALTHCHECK asks
    """
    from sidecar.server import readiness

    settings = configuration.load(os.environ, "project")
    if live:
        well, text = _live(settings.telling.metrics_port)
    else:
        well, text = readiness(_state(settings), time.time())
    click.echo(text)
    sys.exit(0 if well else 1)


@click.command(hidden=True)
@click.option("--json", "as_json", is_flag=True, help="For the sidecar's loop; not a stable format.")
def state(as_json: bool) -> None:
    """What metrics, health and page know, read from the store."""
    found = _state(configuration.load(os.environ, "project"))
    if as_json:
        click.echo(found.dumps())
        return
    for source in found.sources:
        click.echo(source)


def _state(settings: configuration.Settings) -> states.State:
    return states.read(stores.connect(settings.store, settings.access), settings, datetime.now(UTC))


def _live(port: int) -> tuple[bool, str]:
    if not port:
        raise KillickError("METRICS_PORT is off, so nobody answers", "leave --live out, or set a port")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=4) as answer:
            return True, answer.read(200).decode().strip()
    except urllib.error.HTTPError as error:
        return False, error.read(200).decode(errors="replace").strip()
    except OSError as error:
        return False, f"nobody answers on port {port}: {error}"


verbs: list[click.Command] = [run, health, state]
