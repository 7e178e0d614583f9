"""One source's way back into a database or a folder that may be in use: its steps, as they are shown and done."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from killick import __version__, layout, records
from killick.bring import Opened, check_room
from killick.catalog import Backup
from killick.contents import Contents
from killick.engines import Engine, Facts, Replaceable, Settling, connect
from killick.errors import AccessDenied, KillickError, NoSpace, RestoreError, StoreError
from killick.figures import age, size
from killick.manifest import Manifest
from killick.masking import Mask
from killick.plan import Plan, Step, timed
from killick.session import Session
from killick.watch import Phases, Watch
from restore.archives import Brought, bring
from restore.conditions import Conditions, Options
from restore.guards import Standing
from restore.hooks import Hooks
from restore.look import look
from restore.result import Result
from restore.target import Target

T = TypeVar("T")
LEVEL = 2
"""What a refresh proves: it restored without an error. Its contents are not compared, for the sake of time."""

_IN_PLACE = "--in-place does without the room for both, and without a way back"


class Refresh:
    """`making` brings the backup beside what is in use, `taking` takes it into use: no step of the first is seen by
    anybody. As a context it holds the target against a second restore, and removes what it left when it fails."""

    def __init__(
        self, session: Session, backup: Backup, manifest: Manifest, target: Target, standing: Standing, options: Options
    ) -> None:
        """Changes nothing. Raises Refused, SettingsError, NotFound for a table."""
        self.session, self.backup, self.manifest, self.target = session, backup, manifest, target
        self.standing, self.options = standing, options
        self.conditions = Conditions(backup, manifest.engine, target, standing, options)
        self.phases = Phases()
        self.notes: list[str] = []
        self.swapped = self.kept = False
        self._archive: Brought | None = None
        self._opened: Opened | None = None
        self._seen: Mapping[str, Any] | None = None
        self._beside: Engine | None = None
        self._stack = ExitStack()
        self.conditions.same_kind(manifest)
        self._mask = self._masked(manifest.contents)
        self.engine = self._engine(self._mask)
        if manifest.contents is not None:
            self.conditions.hold(self.engine, manifest.contents)
        self.hooks = Hooks.of(session.settings.hooks, backup.source, self.engine)
        self.making = Plan.of(self._making())
        self.taking = Plan.of(self._taking())

    # What will be done

    @property
    def copy(self) -> bool:
        return self.conditions.copy

    @property
    def plan(self) -> Plan:
        return Plan.of([*self.making.steps, *self.taking.steps])

    @property
    def beside(self) -> bool:
        """Whether it is made beside what is there, and then swapped."""
        return isinstance(self.engine, Replaceable) and not self.options.in_place

    def _making(self) -> list[Step]:
        made = self.manifest
        archive = made.archive
        raw = f" to {size(archive.raw_bytes)}" if archive and archive.raw_bytes else ""
        steps = [
            Step(
                "download", f"{size(self.backup.bytes)} into the cache, compared with what was stored", self._download
            ),
            Step(
                "decode",
                f"{archive.codec if archive and archive.codec else 'whatever it is packed with'}{raw}",
                self._open,
            ),
        ]
        if self.options.in_place:
            steps.append(
                timed("clear", f"! all that {self.target.name} holds is removed, without a way back", self._clear)
            )
        where = f"beside {self.target.name}, which stays in use" if self.beside else f"into {self.target.name}"
        steps.append(timed("restore", f"{where}, with {self.session.settings.jobs} jobs{self._part()}", self._load))
        if self.hooks.scripts or self.hooks.left:
            steps.append(timed("hooks", str(self.hooks), self._run_hooks))
        if isinstance(self.engine, Settling):
            steps.append(timed("analyze", "statistics, so that the copy is quick from the start", self._settle))
        return steps

    def _taking(self) -> list[Step]:
        seen = timed("look", "every row that is there is read back", self._look)
        return [*self._swapping(), *([seen] if self.options.look else [])]

    def _swapping(self) -> list[Step]:
        if not self.beside:
            return []
        kept = self.standing not in (Standing.NEW, Standing.EMPTY)
        says = (
            "sessions are ended and the copy takes its place; what was in use is kept"
            if kept
            else "the copy gets its name"
        )
        return [timed("swap", says, self._swap)]

    def _part(self) -> str:
        told = ""
        if self.options.tables:
            told += f"; nothing but {', '.join(self.options.tables)}"
        if not self.options.rows:
            told += "; the schema alone"
        if self._mask is not None:
            told += f"; {len(self._mask.rules)} columns masked"
        return told

    def text(self) -> str:
        made, facts = self.manifest, self.target.facts
        server = f"{made.engine} {made.server_version}".strip()
        lines = [
            f"restore {self.backup.id}: " + ", ".join(filter(None, [server, made.database])),
            f"  data of  {made.snapshot or layout.rfc3339(self.backup.time)}, {self.age} old"
            + (f"; {amount(made)}" if made.contents else ""),
            f"  into     {self.target.url} ({_what(facts, self.standing)})",
        ]
        lines += [f"  {line}" for line in self.plan.lines()]
        return "\n".join([*lines, *(f"  ! {warning}" for warning in self.warnings())])

    def warnings(self) -> list[str]:
        found = []
        if self.target.server and self.target.server == self.manifest.identity:
            found.append("this is the very server that the backup was made on: its disk and memory are production's")
        if self.options.tables and self.standing not in (Standing.NEW, Standing.EMPTY):
            found.append("the database will hold these tables alone; all others stay in what is kept")
        if self.options.in_place:
            found.append("if it fails midway, neither the old data nor the new is there: run it again")
        return found

    @property
    def age(self) -> str:
        return age(datetime.now(UTC), self.backup.time)

    # Doing it

    def __enter__(self) -> Self:
        token = hashlib.sha256(f"{self.target.host}/{self.target.url.rpartition('@')[2]}".encode()).hexdigest()[:12]
        self._stack.enter_context(self.session.owner.alone("restore", token))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._beside is not None and not self.swapped and isinstance(self.engine, Replaceable):
                with suppress(KillickError):  # the first error is the one to tell; the next run sweeps what is left
                    self.engine.sweep()
        finally:
            self._stack.close()
            if self._mask is not None and self._archive is not None:
                self._archive.forget()  # nobody holds it any more: it goes at once, also after an error

    def make(self) -> None:
        with self.session.phases(self.backup.source) as phases:
            phases.seconds = self.phases.seconds
            self.making.execute(phases)

    def take(self) -> None:
        with self.session.phases(self.backup.source) as phases:
            phases.seconds = self.phases.seconds
            self.taking.execute(phases)

    def finish(self, undo: str) -> Result:
        """Records the evidence, and tells; `undo` is the command that takes it back."""
        opened = _there(self._opened)
        if self.options.whole:
            self._record(opened)
        rows = opened.contents.rows if self.options.whole else 0
        return Result(
            self.backup.id, self.target.url, dict(self.phases.seconds), rows,
            amount(opened.manifest) if self.options.whole else _of_part(self.options),
            self.age, undo if self.kept else None, tuple(dict.fromkeys(self.notes)),
            self._seen,
        )  # fmt: skip

    def _download(self, phases: Phases) -> None:
        if not self.backup.older:
            check_room(self.manifest, self.session.scratch)
        self._archive = self._stack.enter_context(bring(self.session, self.backup, self.manifest, phases))

    def _open(self, phases: Phases) -> None:
        folder = self._stack.enter_context(self.session.scratch.folder())
        opened = self._opened = _there(self._archive).open(folder, phases, self.target.name)
        self.conditions.same_kind(opened.manifest)
        self.notes += opened.manifest.warnings if self.backup.older else ()
        if self._mask is None:  # contents that were encrypted are known only now
            self._mask = self._masked(opened.contents)
            self.engine = self._engine(self._mask)
        self.conditions.hold(self.engine, opened.contents, opened.folder)

    def _load(self, watch: Watch) -> None:
        opened = _there(self._opened)
        contents = opened.contents
        engine = self._place(opened)
        only = self.conditions.only(contents)
        try:
            notes = engine.load(opened.folder, self.session.settings.jobs, contents, watch, only)
        except RestoreError as error:
            if error.reason == "out-of-space" and self.beside and self.standing not in (Standing.NEW, Standing.EMPTY):
                raise NoSpace(
                    f"{self.target.url} has no room for the old data and the new at once: {error.message}",
                    f"give it more; or {_IN_PLACE}",
                ) from None
            raise
        self.notes += notes

    def _place(self, opened: Opened) -> Engine:
        """Beside what is in use; where the role may make nothing there and nothing can be lost, right into it."""
        if not self.beside or not isinstance(self.engine, Replaceable):
            return self.engine
        archive = opened.manifest.archive
        try:
            self._beside = self.engine.beside(self.backup.id, archive.raw_bytes if archive else 0)
        except AccessDenied as error:
            if self.standing is not Standing.EMPTY:
                raise
            self.notes.append(
                f"it was restored right into {self.target.name}, without the mark of a copy: {error.message}"
            )
            return self.engine
        return self._beside

    @property
    def _made(self) -> Engine:
        return self._beside if self._beside is not None and not self.swapped else self.engine

    def _clear(self, _watch: Watch) -> None:
        if isinstance(self.engine, Replaceable):
            self.engine.clear(self.backup.id, copy=self.conditions.marked)

    def _run_hooks(self, _watch: Watch) -> None:
        about = {
            "PROJECT": self.session.project, "SOURCE": self.backup.source, "BACKUP": self.backup.id,
            "TARGET": self.target.name,
        }  # fmt: skip
        self.hooks.run(self._made, about)

    def _settle(self, _watch: Watch) -> None:
        if isinstance(self._made, Settling):
            self._made.settle()

    def _look(self, _watch: Watch) -> None:
        """By the source's own settings, whatever the target's are."""
        self._seen = look(self.session, self.backup.source, self.backup.id)

    def _swap(self, _watch: Watch) -> None:
        if self._beside is None or not isinstance(self.engine, Replaceable):
            return
        done = self.engine.swap(self.backup.id, copy=self.conditions.marked)
        self.swapped, self.kept = True, done.kept
        self.notes += done.notes

    # What was asked for

    def _masked(self, contents: Contents | None) -> Mask | None:
        mask, note = self.conditions.masked(self.session.settings.mask, contents)
        self.notes += [note] if note else []
        return mask

    def _engine(self, mask: Mask | None) -> Engine:
        source = replace(self.target.source, owners=not self.copy, rows=self.options.rows, mask=mask)
        return connect(source)

    def _record(self, opened: Opened) -> None:
        """A refresh is a restore test: its record lies beside the backup, where the credentials allow."""
        made = opened.manifest
        data = {
            "id": self.backup.id,
            "killick": __version__,
            "seconds": dict(self.phases.seconds),
            "rows": opened.contents.rows,
            "tables": len(opened.contents.tables),
            "into": f"{made.engine} {self.target.facts.server_version}".strip() if self.target.facts else made.engine,
            "masked": self._mask is not None,
            "sha256": self.manifest.archive.sha256 if self.manifest.archive else "",
        }
        try:
            records.record(
                self.session.store, self.session.project, self.backup.id, datetime.now(UTC), "refresh", "passed", LEVEL,
                data, self.session.settings.verify.evidence_key,
            )  # fmt: skip
        except StoreError as error:
            self.notes.append(f"no evidence of this restore is kept beside the backup: {error.message}")


def _there(what: T | None) -> T:
    """What an earlier step made."""
    if what is None:
        raise KillickError(
            "the steps of a restore ran in another order", "this is a fault of killick: please report it"
        )
    return what


def amount(manifest: Manifest) -> str:
    """How much is in a backup. A file's `rows` are its bytes."""
    contents = manifest.contents or Contents()
    if manifest.engine == "files":
        return f"{len(contents.tables):,} files, {size(contents.rows)}"
    return f"{contents.rows:,} {'documents' if manifest.engine == 'mongodb' else 'rows'}"


def _of_part(options: Options) -> str:
    return ", ".join(options.tables) or "its schema"


def _what(facts: Facts | None, standing: Standing) -> str:
    if facts is None:
        return "a new database"
    if standing is Standing.EMPTY:
        return "empty"
    sessions = f", {facts.sessions} sessions" if facts.sessions else ""
    return f"{standing.value}: {size(facts.bytes)}{sessions}"
