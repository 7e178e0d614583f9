"""The verbs that look into the store; restoring.py has those that change a database or a folder."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import click

from restore import restoring

_SOURCE = click.option("--source", default="", help="The source's name, where there are several.")
_AT = click.option("--at", default="", metavar="TIME", help="The newest up to a day's end or a time: 2026-11-22.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One document on stdout.")


@click.command("list")
@_SOURCE
@_JSON
def list_(source: str, as_json: bool) -> None:
    """What is in the store, newest first: age, size, verified when and to what level.

    \b
    Examples:
      killick list
      killick list --source db --json
    """
    from killick.session import begin
    from restore.listing import entries, table

    session = begin("project")
    found = session.catalog()
    listed = entries(session, found, source)
    if as_json:
        click.echo(json.dumps(listed, ensure_ascii=False, indent=1))
    else:
        click.echo(table(listed, found, datetime.now(UTC), source))


@click.command()
@click.argument("id", default="latest")
@_SOURCE
@_AT
@_JSON
def show(id: str, source: str, at: str, as_json: bool) -> None:
    """One backup: its manifest, and the evidence that it can be restored.

    Signatures are checked with the public keys of EVIDENCE_KEY and EVIDENCE_PUBLIC_KEY. Ends with 4 when one is bad.

    \b
    Examples:
      killick show 20261123T030000Z-db
      killick show latest --json
    """
    from killick import records
    from killick.session import begin
    from killick.signing import trusted
    from restore.listing import pick, portrait
    from restore.signatures import doubted

    session = begin("project")
    given = session.settings.verify
    backup = pick(session, id, source, at)
    document = {
        **(records.manifest(session.store, backup).to_json() if backup.manifest else {"id": backup.id}),
        "evidence": records.evidence(session.store, backup, trusted(given.evidence_key, given.evidence_public_keys)),
    }
    click.echo(json.dumps(document, ensure_ascii=False, indent=1) if as_json else portrait(document))
    doubted(document)


@click.command()
@click.argument("id", default="latest")
@click.option("-o", "output", default="", help="Where to; default: <ID>.tar in this folder.")
@_SOURCE
@_AT
def fetch(id: str, output: str, source: str, at: str) -> None:
    """Download a backup, check, decrypt and decompress it.

    Gives one tar, as `lrzip -d` would. A folder that exists, or a path that ends in /, gets what is in the tar.
    Nothing is written before size and SHA-256 were compared; a damaged one is refused with exit code 4. An archive
    that a script left comes out as it went in: SQL text, a dump, a tar.

    \b
    Examples:
      killick fetch latest -o backup.tar
      killick fetch 20261123T030000Z-db -o backup/
    """
    from killick.older.names import unpacked
    from killick.session import begin
    from restore.fetch import fetch as bring
    from restore.listing import pick

    session = begin("project")
    backup = pick(session, id, source, at)
    path = Path(output or (unpacked(backup.id) if backup.older else f"{backup.id}.tar"))
    into_folder = output.endswith("/") or os.path.isdir(path)  # noqa: PTH112  # Path.is_dir raises where we may not look
    click.echo(bring(session, backup, path, into_folder=into_folder))


@click.command(hidden=True)
@click.argument("source")
@click.option("--like", default="", metavar="ID", help="Columns and checksums as this backup has them.")
@click.option("--facts", is_flag=True, help="Read no contents.")
def look(source: str, like: str, facts: bool) -> None:
    """What a source is and holds now, as JSON; for `killick move`, not a stable format."""
    from killick.session import begin
    from restore.look import look as work

    click.echo(json.dumps(work(begin("project"), source, like, facts_only=facts), ensure_ascii=False))


verbs: list[click.Command] = [list_, show, fetch, look, *restoring.verbs]
