"""`killick verify`."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import click

from verify.choose import ALL


@click.command()
@click.argument("which", default="latest", metavar="[ID|latest|random|all]")
@click.option("--source", default="", help="The source's name, where there are several.")
@click.option("--level", type=click.IntRange(0, 6), help="How far to go; default VERIFY_LEVEL.")
@click.option(
    "--in", "where", type=click.Choice(["process", "container", "auto"]), help="Where to restore; default VERIFY_IN."
)
@click.option("--json", "as_json", is_flag=True, help="One document on stdout; an array for all.")
def verify(which: str, source: str, level: int | None, where: str | None, as_json: bool) -> None:
    """Restore a backup into a throwaway and compare it with its manifest.

    \b
    WHICH  an id, the newest (latest), the one not verified for longest
           (random), or the newest of every source (all)
    LEVEL  0 there and whole        3 + the same schema
           1 + decodes              4 + the same rows and checksums
           2 + restores
    Ends with 0 (passed), 1 (failed) or 6 (could not verify: that says
    nothing about the backup). The result is recorded beside the backup.

    \b
    Examples:
      killick verify
      killick verify 20261123T030000Z-db --level 2
      killick verify all --json
    """
    reports = _reports(which, source, level, where)
    document: Any = [r.to_json() for r in reports] if which == ALL else reports[0].to_json()
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    else:
        click.echo("\n\n".join(report.text() for report in reports))
    sys.exit(exit_code([report.result for report in reports]))


verbs = [verify]


def exit_code(results: list[str]) -> int:
    """Of several: failed outweighs unverifiable, which outweighs passed."""
    from verify.report import EXIT, FAILED, UNVERIFIABLE

    return next((EXIT[result] for result in (FAILED, UNVERIFIABLE) if result in results), 0)


def _reports(which: str, source: str, level: int | None, where: str | None) -> list[Any]:
    """Imported here: `killick --help` loads neither the engines nor the stores."""
    from killick import catalog, settings, stores, throwaway
    from killick.events import Swept, VerifyFinished
    from killick.observers import emitter
    from verify import verify as run
    from verify.choose import choose, unfinished

    given = settings.load(os.environ, "project")
    emit = emitter(given)
    store = stores.connect(given.store, given.access)
    options = run.Options(
        scratch=given.scratch,
        level=given.verify.level if level is None else level,
        where=where or given.verify.where,
        identity=given.identity,
        jobs=given.jobs,
        timeout=given.verify.timeout,
    )
    for name in throwaway.sweep(given.scratch):
        emit(Swept(given.project, "", f"a throwaway that an earlier verification left: {name}"))
    known = catalog.read(store, given.project, given.zone)
    lost = unfinished(known, which)
    reports = []
    for backup in [lost] if lost else choose(known, which, source):
        start = time.monotonic()
        report = run.without_manifest(backup, options.level) if lost else run.verify(store, backup, options)
        reports.append(run.record(store, report))
        took = round(time.monotonic() - start, 3)
        emit(
            VerifyFinished(
                given.project, report.source, report.id, report.result, report.level, took, report.error, report.hint
            )
        )
    return reports
