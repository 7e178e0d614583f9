"""The verbs that change a database or a folder: restore, seed, snapshot, reset."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from killick.errors import SettingsError

if TYPE_CHECKING:  # `killick --help` loads neither engines nor stores
    from restore.result import Result

_SOURCE = click.option("--source", default="", help="The source's name, where there are several.")
_INTO = click.option(
    "--into", metavar="URL", help="The database or folder; default RESTORE_URL, else the source's own."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One document on stdout.")
_PRODUCTION = click.option(
    "--yes-overwrite-production", "production", default="", metavar="HOST",
    help="Disaster recovery: replace production itself, at this very host.",
)  # fmt: skip
_YES = click.option(
    "--yes", is_flag=False, flag_value=".", default="", metavar="[NAME]",
    help="Do not ask; the target's NAME where it holds data that is no copy of killick's. Put it last.",
)  # fmt: skip


@click.command()
@click.argument("id", default="latest")
@_INTO
@_SOURCE
@click.option("--at", default="", metavar="TIME", help="The newest up to a day's end or a time: 2026-11-22.")
@click.option("--all", "everything", is_flag=True, help="Every source of one run: ID is its stamp, or latest.")
@click.option("--table", "tables", multiple=True, metavar="NAME", help="This table alone; may be given several times.")
@click.option("--schema-only", is_flag=True, help="No rows.")
@click.option("--to-sql", is_flag=True, help="A script on stdout, into no database.")
@click.option("--undo", is_flag=True, help="Put back what the last restore replaced; twice: as it was.")
@click.option("--in-place", is_flag=True, help="For a server without room for two: the old data goes first.")
@click.option(
    "--require-mask", is_flag=True, help="Refuse while a column that looks personal is neither masked nor kept."
)
@click.option("--adopt", is_flag=True, help="It is production from now on: owners and grants, no mark of a copy.")
@click.option("--look", is_flag=True, hidden=True, help="Read back all that is there in the end: for `killick move`.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@_PRODUCTION
@_YES
@_JSON
def restore(
    id: str, into: str | None, source: str, at: str, everything: bool, tables: tuple[str, ...], schema_only: bool,
    to_sql: bool, undo: bool, in_place: bool, require_mask: bool, adopt: bool, look: bool, dry_run: bool,
    production: str, yes: str, as_json: bool,
) -> None:  # fmt: skip
    """Restore a backup into a database or a folder, without losing what is there.

    It is brought beside what is in use and takes its place at the end, in one moment; what was in use is kept, and
    --undo brings it back. A damaged archive is refused before the target is touched (4), and so is production (5),
    by its identity, whatever its host is called. A target that holds data of somebody else's needs its name typed.

    \b
    Examples:
      killick restore                                  the newest, into the project's own database
      killick restore --at 2026-11-20 --dry-run        what would be done
      killick restore --undo
      killick restore --table orders --table customers --into postgres://dev@localhost/copy
      killick restore --to-sql >shop.sql
      killick restore --all --yes                      databases and files of one run
      killick restore 20261123T030000Z-uploads --into file:///srv/copy
    """  # fmt: skip
    from killick.session import begin
    from restore import local, script
    from restore import restore as work
    from restore.conditions import Options
    from restore.guards import Consent

    if into is not None and not into.strip():
        raise SettingsError("--into is empty: is the variable that it is given set?", "leave it out, or name a target")
    _agree(locals(), id)
    options = Options(tables, not schema_only, in_place, adopt, require_mask, look)
    session = begin("project")
    if undo:
        _tell(local.undo(session, source, into or ""), "undone", as_json)
    elif to_sql:
        script.to_sql(session, id, source, at, options)
    else:
        wanted = work.Wanted(id, source, at, into or "", everything)
        given = Consent(yes, production)
        if dry_run:
            foreseen = work.foresee(session, wanted, options, given)
            if not as_json:
                click.echo("\n".join(each.text() for each in foreseen))
            documents = [each.to_json() for each in foreseen]
        else:
            documents = [each.to_json() for each in work.restore(session, wanted, options, given, quiet=as_json)]
        if as_json:
            click.echo(json.dumps(documents if everything else documents[0], ensure_ascii=False, indent=1))


def _agree(given: dict[str, Any], id: str) -> None:
    """Options that say two things at once."""

    def on(*names: str) -> list[str]:
        return [f"--{name.replace('everything', 'all').replace('_', '-')}" for name in names if given[name]]

    part = ["--table" if name == "--tables" else name for name in on("tables", "schema_only")]
    exclusive = {
        "--undo": (on("everything", "to_sql", "in_place", "require_mask", "adopt", "at", "dry_run") + part
                   + ([id] if id != "latest" else [])) if given["undo"] else [],
        "--to-sql": on("everything", "into", "in_place", "adopt", "require_mask", "dry_run", "as_json")
        if given["to_sql"] else [],
        "--all": on("into", "source", "at") + part if given["everything"] else [],
    }  # fmt: skip
    for name, others in exclusive.items():
        if others:
            raise SettingsError(
                f"{name} and {others[0]} do not go together".replace("as-json", "json"), "leave one of them out"
            )


@click.command()
@_JSON
def seed(as_json: bool) -> None:
    """Fill what is empty from SEED (latest, a run's stamp or an id), before the app starts.

    A database that has tables, or a folder that has files, is never touched. SEED=off does nothing.

    \b
    Example, in a compose file:
      seed:
        extends: {service: sidecar}
        command: seed
        environment: {SEED: "${SEED:-off}"}
      app:
        depends_on: {seed: {condition: service_completed_successfully}}
    """
    from killick.session import begin
    from restore import seed as work

    done = work.seed(begin("project", "sources"), say=lambda text: click.echo(text, err=as_json))
    if as_json:
        click.echo(json.dumps([each.to_json() for each in done], ensure_ascii=False, indent=1))


@click.command()
@_INTO
@_SOURCE
@_JSON
def snapshot(into: str | None, source: str, as_json: bool) -> None:
    """Keep a copy of the local database or folder as it is now, for `killick reset`; one is kept.

    Its sessions are ended for that moment. Production is refused (5).

    \b
    Example:
      killick snapshot     before the experiments
      killick reset        after them
    """
    from killick.session import begin
    from restore import local

    _tell(local.snapshot(begin("project"), source, into or ""), "kept: killick reset comes back to it", as_json)


@click.command()
@_INTO
@_SOURCE
@_JSON
def reset(into: str | None, source: str, as_json: bool) -> None:
    """Back to what `killick snapshot` kept, in a second; `killick restore --undo` takes that back."""
    from killick.session import begin
    from restore import local

    _tell(local.reset(begin("project"), source, into or ""), "reset", as_json)


def _tell(result: Result, done: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(result.to_json(), ensure_ascii=False, indent=1))
    else:
        click.echo(result.text(f"{result.into}: {done}"))


verbs: list[click.Command] = [restore, seed, snapshot, reset]
