"""A backup into an empty or new place: what will be done, said before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

from killick import bring, engines, records
from killick.catalog import Backup
from killick.contents import Contents
from killick.engines import Engine, Facts, Source, connect
from killick.errors import Corrupt, DatabaseMissing, NotFound, Refused, SettingsError
from killick.figures import size
from killick.manifest import Manifest
from killick.session import Session
from killick.settings import target
from restore.listing import age


@dataclass(frozen=True)
class Result:
    """`notes` are sentences of the load; `rows` those of the manifest, all of which went in without an error.

    `amount` says the same to a person, in the source's own words.
    """

    id: str
    into: str
    seconds: Mapping[str, float]
    rows: int
    amount: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {"id": self.id, "into": self.into, "seconds": dict(self.seconds), "rows": self.rows, "undo": None}

    def text(self) -> str:
        took = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        lines = [f"✓ {self.id} is in {self.into}: {self.amount} in {sum(self.seconds.values()):.1f} s ({took})"]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


@dataclass(frozen=True)
class Plan:
    """`facts` is what the target is now, None where it is not there yet."""

    session: Session
    backup: Backup
    manifest: Manifest
    into: Source
    engine: Engine
    facts: Facts | None

    @classmethod
    def of(cls, session: Session, backup: Backup, into: str) -> Plan:
        """Reads the manifest and looks at the target; changes nothing.

        Raises Corrupt without a manifest, Refused for a newer format, SettingsError, Unreachable, AccessDenied.
        """
        if not backup.manifest:
            raise Corrupt(f"{backup.id} has no manifest", "killick list shows those that have one")
        manifest = records.manifest(session.store, backup)
        source = _target(session, backup, into)
        _same_kind(manifest, source)
        engine = connect(source)
        try:
            facts = engine.facts()
        except (DatabaseMissing, NotFound):
            facts = None
        return cls(session, backup, manifest, source, engine, facts)

    def text(self) -> str:
        manifest, archive = self.manifest, self.manifest.archive
        there = "a new database" if self.facts is None else "empty" if self.facts.empty else size(self.facts.bytes)
        server = f"{manifest.engine} {manifest.server_version}".strip()
        return "\n".join(
            [
                f"restore {manifest.id}: {server}, {manifest.database}",
                f"  data of  {manifest.snapshot}, {age(datetime.now(UTC), self.backup.time)} old; {_amount(manifest)}, "
                f"{size(archive.bytes if archive else 0)} to download",
                f"  into     {self.into.url} ({there})",
                "  steps    download, check, decode, restore",
                *self._warnings(),
            ]
        )

    def _warnings(self) -> list[str]:
        if self.facts is not None and self.facts.identity and self.facts.identity == self.manifest.identity:
            return ["  ! this is the very server that the backup was made on: its disk and memory are production's"]
        return []

    def guard(self, yes: str) -> None:
        """Raises Refused where the target holds something, or is where the backup came from and nobody said yes."""
        if self.facts is None:
            return
        if not self.facts.empty:
            raise Refused(
                f"{self.into.url} is not empty: it holds {size(self.facts.bytes)}",
                "name an empty or a new database with --into",
            )
        same = (self.facts.identity, self.facts.database) == (self.manifest.identity, self.manifest.database)
        if same and self.facts.identity and yes != self.facts.database:
            raise Refused(
                f"{self.into.url} is the very database that this backup was made of",
                f"to bring it back after a disaster: --yes {self.facts.database}",
            )

    def execute(self) -> Result:
        """Nothing of the target is touched before the archive was checked and decoded."""
        session, manifest = self.session, self.manifest
        with session.scratch.folder() as folder, session.phases(self.backup.source) as phases:
            archive = bring.fetch(session.store, manifest, folder, phases)
            opened = bring.open_archive(archive, manifest, folder, phases, session.settings.identity)
            with phases.phase("restore") as watch:
                notes = self.engine.load(opened.folder, session.settings.jobs, opened.contents, watch)
            rows, amount = opened.contents.rows, _amount(opened.manifest)
            return Result(manifest.id, self.into.url, dict(phases.seconds), rows, amount, tuple(notes))


def _amount(manifest: Manifest) -> str:
    """How much is in a backup. A file's `rows` are its bytes."""
    contents = manifest.contents or Contents()
    if manifest.engine == "files":
        return f"{len(contents.tables):,} files, {size(contents.rows)}"
    return f"{contents.rows:,} rows"


def _target(session: Session, backup: Backup, into: str) -> Source:
    """--into, else RESTORE_URL, else the source itself. A password is never shown: the URL holds none from here on."""
    given = session.settings
    own = next((source for source in given.sources if source.name == backup.source), None)
    if into:
        named = target(into)
        if not named.password:
            beside = [s for s in (given.restore_to, own) if s and s.password and _place(s.url) == _place(named.url)]
            named = replace(named, password=beside[0].password if beside else "")
        return named
    found = given.restore_to or own
    if found is None:
        raise SettingsError("nothing says where to restore to", "name it with --into, or set RESTORE_URL")
    return found


def _place(url: str) -> tuple[str | None, str | None, int | None]:
    parts = urlsplit(url)
    return parts.username, parts.hostname, parts.port


def _same_kind(manifest: Manifest, into: Source) -> None:
    if engines.name(into.url) != manifest.engine:
        raise SettingsError(
            f"{manifest.id} is a backup of {manifest.engine}, and {into.url} is something else",
            "name a target of the same kind with --into",
        )
