"""A backup as a script on stdout."""

from __future__ import annotations

import sys

from killick import engines
from killick.errors import SettingsError
from killick.masking import must_apply
from killick.session import Session
from restore import listing
from restore.archives import bring, outline
from restore.conditions import Options


def to_sql(session: Session, id: str, source: str, at: str, options: Options) -> None:
    """Its end means that all of it was written. Raises SettingsError for an engine whose dumps are no script."""
    backup = listing.pick(session, id, source, at)
    manifest = outline(session.store, backup)
    if not backup.older and not engines.writes_script(manifest.engine):
        raise SettingsError(
            f"{backup.id} is a backup of {manifest.engine}, which is no SQL", "killick fetch gives its files"
        )
    if session.settings.mask is not None:
        must_apply(manifest.engine, script=True)
    with (
        session.phases(backup.source) as phases,
        bring(session, backup, manifest, phases) as brought,
        session.scratch.folder() as folder,
    ):
        opened = brought.open(folder, phases)
        kind = opened.manifest.engine
        only = engines.pick(kind, opened.contents, options.tables) if options.tables else None
        with (
            phases.phase("script"),
            engines.script(kind, opened.folder, only, options.rows) as chunks,
        ):
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
