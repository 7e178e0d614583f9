"""What of a backup somebody wants, and what must hold before anything is touched for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from killick import engines
from killick.catalog import Backup
from killick.contents import Contents
from killick.engines import Demanding, Engine
from killick.errors import Refused, SettingsError
from killick.manifest import Manifest
from killick.masking import ENGINE as MASKABLE
from killick.masking import Mask, must_apply, personal, tables
from restore.guards import Standing
from restore.target import Target

FILES = "files"


@dataclass(frozen=True)
class Options:
    """What of a backup is restored, and how. `tables` as a person types them; `adopt`: it is production from now on.

    `look`: in the end all that is there is read back.
    """

    tables: tuple[str, ...] = ()
    rows: bool = True
    in_place: bool = False
    adopt: bool = False
    require_mask: bool = False
    look: bool = False

    @property
    def whole(self) -> bool:
        return self.rows and not self.tables


@dataclass(frozen=True)
class Conditions:
    """`kind` is the backup's engine."""

    backup: Backup
    kind: str
    target: Target
    standing: Standing
    options: Options

    @property
    def copy(self) -> bool:
        """Whether it is a copy of production, and not production itself."""
        return not self.options.adopt and self.standing is not Standing.PRODUCTION

    @property
    def marked(self) -> bool:
        """Whether it bears the mark of a copy. A folder's is a file in it: only where a source could back it up."""
        return self.copy and (self.kind != FILES or self.target.own)

    def same_kind(self, manifest: Manifest) -> None:
        if manifest.engine != self.target.kind:
            raise SettingsError(
                f"{manifest.id} is a backup of {manifest.engine}, and {self.target.url} is something else",
                "name a target of the same kind with --into",
            )

    def hold(self, engine: Engine, contents: Contents, folder: Path | None = None) -> None:
        """Asked before anything is fetched, where the manifest tells, and once the dump is there in `folder`.

        A whole dump of nothing never replaces a full database silently. What will not fit there is refused before
        something is removed for it; single tables may need less, so their load finds out.
        Raises Refused, Unsupported, RestoreError, SettingsError, and what `only` raises.
        """
        if not contents.tables and self.standing not in (Standing.NEW, Standing.EMPTY):
            raise Refused(
                f"{self.backup.id} holds no table, and {self.target.url} is not empty",
                "was the backup made of the right database? restore it into an empty one with --into",
            )
        if self.kind == FILES and not self.options.rows:
            raise SettingsError("a folder has no schema", "leave --schema-only out, or name files with --table")
        self.only(contents)
        if isinstance(engine, Demanding) and not self.options.tables:
            engine.refuse_unfit(contents, folder)

    def only(self, contents: Contents) -> Collection[str] | None:
        """The keys that the names of tables mean, None for all. Raises NotFound, SettingsError."""
        return engines.pick(self.kind, contents, self.options.tables) if self.options.tables else None

    def masked(self, given: Mask | None, contents: Contents | None) -> tuple[Mask | None, str]:
        """The rules for this backup, and what is to be said of them. None also while its contents are not known.

        A copy only. Raises SettingsError, and Refused where what is asked cannot be: with --require-mask whatever is
        not masked, and with MASK a dump of Postgres that rules do not reach.
        """
        required = self.options.require_mask
        if required and not self.copy:
            raise SettingsError("--require-mask is for copies, and this is production itself", "leave it out")
        if not self.copy or not self.options.rows or (given is None and not required):
            return None, ""
        if not required and self.kind != MASKABLE:
            return None, f"MASK is for Postgres: this copy of {self.kind} is not masked"
        must_apply(self.kind, script=self.backup.older)
        if contents is None:
            return None, ""
        if required:
            personal.require(contents, given)
        return tables.resolve(given, contents) if given is not None else None, ""
