"""`killick move`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # `killick --help` loads nothing of it
    from collections.abc import Callable

    from deploy.move.journal import Journal
    from deploy.move.plan import Plan
    from deploy.move.runner import Ending

_spec = click.argument("spec", type=click.Path(dir_okay=False, exists=True, path_type=Path))
_site = click.argument("site", metavar="SITE|SPEC")
_json = click.option("--json", "as_json", is_flag=True, help="One document on stdout.")


def _given(command: Callable[..., None]) -> Callable[..., None]:
    yes = click.option("--yes", "yes", multiple=True, metavar="SITE", help="The site's name, typed beforehand.")
    done = click.option("--done", multiple=True, metavar="WORD", help="What was done by hand, confirmed beforehand.")
    return yes(done(command))


@click.group()
def move() -> None:
    """Move a site to another server; no write that was acknowledged is lost.

    A spec (TOML) says what moves from where to where: docs/move.md. The point of no return is the first write on the
    new server; before it every failure is taken back by itself.

    \b
    Examples:
      killick move plan shop.toml            what would be done, and what is in the way
      killick move rehearse shop.toml        all of it but the switch, timed
      killick move run shop.toml             the move; asks for the site's name
      killick move status shop.example       how far it is
      killick move resume shop.example       after whatever stopped it
      killick move rollback shop.example     before the point of no return
      killick move report shop.example       what happened, as Markdown
    """  # fmt: skip


@move.command()
@_spec
@_json
def plan(spec: Path, as_json: bool) -> None:
    """Say what a move would do, how long, and what is in its way. Changes nothing; exit 5 with something in the way."""
    from deploy.move import go

    _show(go.planned(spec), as_json)


@move.command()
@_spec
@_given
@_json
def rehearse(spec: Path, yes: tuple[str, ...], done: tuple[str, ...], as_json: bool) -> None:
    """Carry the data, start the app on the new server, compare, measure; then empty it again. Nothing that serves is
    touched."""
    _begin(spec, (*yes, *done), rehearsal=True, as_json=as_json)


@move.command()
@_spec
@click.option("--dry-run", is_flag=True, help="The plan only.")
@_given
@_json
def run(spec: Path, dry_run: bool, yes: tuple[str, ...], done: tuple[str, ...], as_json: bool) -> None:
    """Move the site.

    \b
    Examples:
      killick move run shop.toml --dry-run
      killick move run shop.toml
      killick move run shop.toml --yes shop.example      nobody is asked: from a job
    """  # fmt: skip
    if dry_run:
        from deploy.move import go

        _show(go.planned(spec), as_json)
        return
    _begin(spec, (*yes, *done), rehearsal=False, as_json=as_json)


@move.command()
@_site
@_json
def status(site: str, as_json: bool) -> None:
    """Say how far the open, or else the newest, move of a site is, and the next command."""
    from deploy.move import report
    from deploy.move.state import State

    state: State = _found(site)
    if as_json:
        click.echo(json.dumps(report.to_json(state), ensure_ascii=False, indent=1))
        return
    click.echo("\n".join([f"{state.id} of {state.site}: {state.outcome}", *report.headline(state)]))
    for step in report.to_json(state)["steps"]:
        more = step["error"] or step["says"]
        click.echo(f"  {step['name']:<10} {step['status'] or '-':<10} {step['seconds']:6.1f} s  {more}".rstrip())


@move.command()
@_site
@_given
@_json
def resume(site: str, yes: tuple[str, ...], done: tuple[str, ...], as_json: bool) -> None:
    """Go on with a move that was stopped or killed: what is done is not done again."""
    from deploy.move import go

    _end(*go.go_on(go.site_of(site), (*yes, *done), back=False), as_json)


@move.command()
@_site
@_given
@_json
def rollback(site: str, yes: tuple[str, ...], done: tuple[str, ...], as_json: bool) -> None:
    """Take the open move back, up to the point of no return: the old server serves as before."""
    from deploy.move import go

    _end(*go.go_on(go.site_of(site), (*yes, *done), back=True), as_json)


@move.command()
@_site
@_json
def report(site: str, as_json: bool) -> None:
    """Tell what a move did: steps, downtime against the prediction, rows and checksums, what remains by hand."""
    from deploy.move import report as reports

    state = _found(site)
    click.echo(json.dumps(reports.to_json(state), ensure_ascii=False, indent=1) if as_json else reports.markdown(state))


def _found(site: str) -> Any:
    from deploy.move import go
    from deploy.move import journal as journals

    return journals.look(journals.latest(go.site_of(site))).state


def _show(made: Plan, as_json: bool) -> None:
    click.echo(json.dumps(made.to_json(), ensure_ascii=False, indent=1) if as_json else "\n".join(made.lines()))
    _refuse(made)


def _refuse(made: Plan) -> None:
    from killick.errors import Refused

    if made.in_the_way:
        count = len(made.in_the_way)
        raise Refused(
            f"{count} {'thing is' if count == 1 else 'things are'} in the way of a move of {made.site}",
            "each has its cure above; then plan again",
        )


def _begin(spec: Path, given: tuple[str, ...], *, rehearsal: bool, as_json: bool) -> None:
    from deploy.move import go

    with go.begun(spec, rehearsal=rehearsal) as (read, made):
        click.echo("\n".join(made.lines()), err=True)
        _refuse(made)
        ending, journal = go.start(spec, read, made, given, rehearsal=rehearsal)
    _end(ending, journal, as_json)


def _end(ending: Ending, journal: Journal, as_json: bool) -> None:
    """The exit code is the one of what went wrong; 1 where something is left by hand."""
    from deploy.move import report as reports

    state = journal.state
    if as_json:
        click.echo(json.dumps(reports.to_json(state), ensure_ascii=False, indent=1))
    else:
        click.echo("\n".join(reports.headline(state)))
    for name, error in ending.left:
        click.echo(f"killick: {name} could not be undone: {error}", err=True)
    if ending.error is not None:
        raise ending.error
    if ending.left:
        click.get_current_context().exit(1)
