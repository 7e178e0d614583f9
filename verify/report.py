"""What a verification found: for a person, for a program, and for the record beside the backup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from killick import __version__, layout, older
from killick.compare import Mismatch
from killick.figures import size, span
from killick.manifest import Manifest
from killick.names import escaped
from killick.records import Record
from killick.throwaway import Copy, Ended

PASSED, FAILED, UNVERIFIABLE = "passed", "failed", "unverifiable"
EXIT = {PASSED: 0, FAILED: 1, UNVERIFIABLE: 6}
LEVELS = (
    "the archive is there, whole",
    "it decodes to what was dumped",
    "it restores without an error",
    "the schema is the same",
    "the data is the same",
    "the data makes sense",
    "the project's own command works with it",
)
"""What each level proves; the rest of a sentence that begins with its number."""

LEVELS_OLDER = {1: "it decodes to a whole dump", 3: "all tables that the dump names are there, with its rows"}
"""What they prove of a script's archive, where that is less."""

RESTORING = ("download", "check", "decrypt", "decode", "inspect", "restore")
THINGS = {"mongodb": ("collection", "document"), "files": ("file", "")}
_SHOWN = 20  # differences that a person is shown; the record has them all


@dataclass(frozen=True)
class Report:
    """`level` is the highest that was reached; 0 also where none was: then `failed_level` is 0, or it is unverifiable.

    `wanted` is the level that was asked for; `failed_level` the first that did not hold, None where all did or where
    it could not be tried. `reason` is a slug for `error` (docs/verify.md), `hint` its cure. `manifest` and `copy` are
    None where it did not come so far. `notes` are the load's, for the record only. `examined` are sentences about
    what was found sound beside the comparison. `empty`: how the throwaway was proven empty. `phase` is where it
    ended, "" where it passed. `command` is how level 6's ended; `target` how many seconds a restore may take, 0: any.
    `record`: as it was written beside the backup, None where it was not.
    """

    project: str
    id: str
    when: datetime
    result: str
    level: int
    wanted: int
    failed_level: int | None = None
    error: str = ""
    hint: str = ""
    reason: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    tables: int = 0
    rows: int = 0
    mismatches: tuple[Mismatch, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    examined: tuple[str, ...] = ()
    empty: str = ""
    phase: str = ""
    manifest: Manifest | None = None
    copy: Copy | None = None
    command: Ended | None = None
    target: float = 0.0
    record: Record | None = None

    @property
    def source(self) -> str:
        key = layout.parse(self.project, layout.manifest(self.project, self.id))
        return key.source if key else older.SOURCE

    @property
    def older(self) -> bool:
        """A script's archive: without a manifest."""
        return layout.parse(self.project, layout.manifest(self.project, self.id)) is None

    @property
    def at(self) -> str:
        """Where it ended, for an alert: "level 4 (compare)"; the phase alone where it could not be tried."""
        if self.failed_level is None:
            return self.phase
        return f"level {self.failed_level}" + (f" ({self.phase})" if self.phase else "")

    @property
    def first_error(self) -> str:
        """The error, or the first difference at the level that failed, and how many more."""
        if not self.mismatches:
            return self.error
        first = min(self.mismatches, key=lambda mismatch: mismatch.level)
        more = f", and {len(self.mismatches) - 1:,} more" if len(self.mismatches) > 1 else ""
        return escaped(str(first)) + more

    def proves(self, level: int) -> str:
        return LEVELS_OLDER.get(level, LEVELS[level]) if self.older else LEVELS[level]

    @property
    def restore_seconds(self) -> float | None:
        """From the download to the last index: the recovery time that was measured; None where it was not."""
        if "restore" not in self.seconds or self.level < 2:
            return None
        return round(sum(self.seconds.get(phase, 0.0) for phase in RESTORING), 3)

    @property
    def slow(self) -> bool:
        """A restore takes longer than the project wants. That is a warning: whatever is slow can still be restored."""
        return bool(self.target) and (self.restore_seconds or 0.0) > self.target

    def noting(self, warning: str) -> Report:
        return replace(self, warnings=(*self.warnings, warning))

    def to_json(self) -> dict[str, Any]:
        """The stable document of `killick verify --json`."""
        return {
            "id": self.id,
            "result": self.result,
            "level": self.level,
            "failed_level": self.failed_level,
            "error": self.error or None,
            "seconds": dict(self.seconds),
            "tables": self.tables,
            "mismatches": [mismatch.to_json() for mismatch in self.mismatches],
        }

    def to_record(self) -> dict[str, Any]:
        """The evidence beside the backup: the same, and how and where. Never a row's content."""
        data = {
            **self.to_json(),
            "source": self.source,
            "time": layout.rfc3339(self.when),
            "wanted": self.wanted,
            "reason": self.reason or None,
            "hint": self.hint or None,
            "restore_seconds": self.restore_seconds,
            "rto": self._rto(),
            "rows": self.rows,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "examined": list(self.examined),
            "killick": __version__,
        }
        if self.manifest is not None:
            data |= {"engine": self.manifest.engine, "snapshot": self.manifest.snapshot}
            if self.manifest.archive is not None and self.manifest.archive.sha256:
                data["sha256"] = self.manifest.archive.sha256
        if self.copy is not None:
            data["where"] = {
                "kind": self.copy.where, "version": self.copy.version, "network": self.copy.network,
                "files": self.copy.files, "user": self.copy.user, "empty": self.empty,
            }  # fmt: skip
        if self.command is not None:
            data["command"] = asdict(self.command)
        return data

    def text(self) -> str:
        """For a person who has not run it."""
        return "\n".join([self._headline(), "", *(f"  {name:<10} {line}".rstrip() for name, line in self._lines())])

    def _headline(self) -> str:
        if self.result == PASSED:
            return f"✓ {self.id} can be restored: level {self.level}, {self.proves(self.level)}"
        if self.result == FAILED and self.failed_level is not None:
            proves = self.proves(self.failed_level)
            return f"✗ {self.id} FAILED at level {self.failed_level}: it does not hold that {proves}"
        return f"? {self.id} could not be verified; this says nothing about the backup"

    def _lines(self) -> Iterator[tuple[str, str]]:
        if self.error:
            yield "why", self.error
            if self.hint:
                yield "what to do", self.hint
        if self.manifest is not None:
            yield "backup", self._backup(self.manifest)
        if self.copy is not None:
            yield from _place(self.copy, self.empty)
        if self.level >= 3 or self.mismatches:
            yield "compared", self.compared()
        yield from _worked(self.command)
        for i, mismatch in enumerate(self.mismatches[:_SHOWN]):
            yield "differs" if i == 0 else "", str(mismatch)
        if len(self.mismatches) > _SHOWN:
            yield "", f"and {len(self.mismatches) - _SHOWN} more: killick show {self.id} --json"
        for i, sentence in enumerate(self.examined):
            yield "examined" if i == 0 else "", sentence
        for i, warning in enumerate(self.warnings):
            yield "note" if i == 0 else "", warning
        if self.seconds:
            each = ", ".join(f"{phase} {took:.1f}" for phase, took in self.seconds.items())
            whole = self.restore_seconds
            if whole is not None:
                yield "duration", f"a restore takes {whole:.1f} s here{self.against_target} ({each})"
            else:
                yield "duration", f"{sum(self.seconds.values()):.1f} s ({each})"
        yield "verified", f"{self.when:%Y-%m-%d %H:%M:%S} UTC by killick {__version__}"

    def _backup(self, manifest: Manifest) -> str:
        stored = f", {size(manifest.archive.bytes)} stored" if manifest.archive else ""
        server = f"{manifest.engine} {manifest.server_version}".strip()
        return f"{manifest.source} of {manifest.project} ({server}), its data of {manifest.snapshot}{stored}"

    def _rto(self) -> dict[str, Any] | None:
        """`met` is null where no restore was measured."""
        if not self.target:
            return None
        return {"target": self.target, "met": None if self.restore_seconds is None else not self.slow}

    @property
    def against_target(self) -> str:
        """What follows on how long a restore takes."""
        if not self.target:
            return ""
        return f", {'longer than' if self.slow else 'within'} the target of {span(self.target)}"

    def compared(self) -> str:
        thing, row = THINGS.get(self.manifest.engine if self.manifest else "", ("table", "row"))
        things = counted(self.tables, thing)
        if self.mismatches and self.level < 4:
            return f"{things}: {counted(len(self.mismatches), 'difference')}"
        if self.older:
            return f"{things}, {counted(self.rows, row)}: as many as the dump holds"
        if self.level < 4:
            return "the schema: all is equal"
        return f"{things}{f', {counted(self.rows, row)}' if row else ''}: every checksum is equal"


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _worked(command: Ended | None) -> Iterator[tuple[str, str]]:
    if command is not None:
        yield "command", f"ended with {command.status} {command.where}"
        yield "", f"network: {command.network}; files: {command.files}"


def _place(copy: Copy, empty: str) -> Iterator[tuple[str, str]]:
    what = f"a server of version {copy.version}" if copy.version else "an empty folder"
    proven = f", proven empty before ({empty})" if empty else ""
    yield "restored", f"into {what}, a throwaway {copy.where}{proven}"
    yield "cut off", f"network: {copy.network}; files: {copy.files}" + (f"; user {copy.user}" if copy.user else "")
