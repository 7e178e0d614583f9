"""What the file says of one verification: sentences for whoever decides, figures for whoever checks."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from killick.contents import Table
from killick.figures import age, size
from killick.manifest import Manifest
from verify.html.climbed import HELD, Step, steps
from verify.html.took import Stretch, lasting, stretches
from verify.report import FAILED, PASSED, THINGS, UNVERIFIABLE, Report, counted

_WORDS = {PASSED: "passed", FAILED: "failed", UNVERIFIABLE: "could not be verified"}
_MARKS = {PASSED: "✓", FAILED: "✗", UNVERIFIABLE: "?"}
_FAILED_AT = {
    5: "can be restored, but its data does not make sense",
    6: "can be restored, but the project's own command does not work with it",
}
_MOST = 1000  # tables that are listed: a folder may hold a million files, and nobody reads them


def worst(reports: Sequence[Report]) -> str:
    """The result that the whole is to be judged by."""
    results = {report.result for report in reports}
    return next(result for result in (FAILED, UNVERIFIABLE, PASSED) if result in results)


def counts(reports: Sequence[Report]) -> str:
    """2 of 3 passed, 1 failed."""
    results = [report.result for report in reports]
    rest = [f"{results.count(r)} {_WORDS[r]}" for r in (FAILED, UNVERIFIABLE) if r in results]
    return ", ".join([f"{results.count(PASSED)} of {len(results)} passed", *rest])


@dataclass(frozen=True)
class Line:
    """One table, collection or file. `differs`: how it does, "" where it is equal."""

    name: str
    rows: int
    differs: str


@dataclass(frozen=True)
class Sheet:
    """`anchor` is unique within the file."""

    report: Report
    anchor: str

    @property
    def word(self) -> str:
        return _WORDS[self.report.result]

    @property
    def mark(self) -> str:
        return _MARKS[self.report.result]

    @property
    def headline(self) -> str:
        """What a manager needs; no more than was proven."""
        level = self.report.level
        if self.report.result == FAILED:
            return _FAILED_AT.get(self.report.failed_level or 0, "is not what it promises")
        if self.report.result == UNVERIFIABLE:
            return "could not be verified"
        if level >= 4:
            return "can be restored, and its data is the same"
        return "can be restored; its data was not compared" if level >= 2 else "is whole; a restore was not tried"

    @property
    def lead(self) -> str:
        report = self.report
        if report.result == FAILED and report.failed_level is not None:
            proves = report.proves(report.failed_level)
            return f"Level {report.failed_level} was not reached: it does not hold that {proves}."
        if report.result == UNVERIFIABLE:
            return "This says nothing about the backup. An earlier result still holds."
        done = f"Level {report.level} was reached: {report.proves(report.level)}."
        if report.level < 4:
            return done
        every = f"every {self.things[0]} was compared with what the source held when it was dumped"
        return f"It was restored into an empty throwaway, and {every}. {done}"

    @property
    def restore(self) -> str:
        """How long one takes; "" where it was not measured."""
        took = self.report.restore_seconds
        return "" if took is None else f"{lasting(took)}{self.report.against_target}"

    @property
    def data_of(self) -> datetime | None:
        """The moment that the data is of; None where that is not known, or no moment: a manifest may be anybody's."""
        try:
            moment = datetime.fromisoformat(self.report.manifest.snapshot if self.report.manifest else "")
        except ValueError:
            return None
        return moment if moment.tzinfo else None

    @property
    def age(self) -> str:
        return age(self.report.when, self.data_of) if self.data_of else ""

    @property
    def steps(self) -> list[Step]:
        return steps(self.report)

    @property
    def reached(self) -> str:
        """3 of 4."""
        held = [step.level for step in self.steps if step.state == HELD]
        return f"{max(held) if held else 'none'} of {self.report.wanted}"

    @property
    def stretches(self) -> list[Stretch]:
        return stretches(self.report.seconds)

    @property
    def whole(self) -> str:
        return lasting(sum(self.report.seconds.values()))

    @property
    def things(self) -> tuple[str, str]:
        """What it is made of, and what is counted in it: ("table", "rows"); of a file the bytes."""
        thing, row = THINGS.get(self.report.manifest.engine if self.report.manifest else "", ("table", "row"))
        return thing, f"{row}s" if row else "bytes"

    @property
    def compared(self) -> bool:
        """Whether the data was: table by table."""
        return self.report.wanted >= 4 and (self.report.level >= 3 or bool(self.report.mismatches))

    @cached_property
    def lines(self) -> list[Line]:
        """By name; where there are too many those that differ, and the largest."""
        differing: dict[str, list[str]] = {}
        tables = dict(self._tables)
        for mismatch in self.report.mismatches:
            if mismatch.level == 4:
                told = f"{mismatch.what} {mismatch.got}, not {mismatch.expected}"
                differing.setdefault(mismatch.table, []).append(told)
                if mismatch.what == "table":
                    tables.setdefault(mismatch.table, Table(0))
        every = [Line(name, table.rows, "; ".join(differing.get(name, ()))) for name, table in tables.items()]
        every.sort(key=lambda line: (not line.differs, -line.rows, line.name))
        return sorted(every[:_MOST], key=lambda line: line.name)

    @property
    def unlisted(self) -> int:
        return max(0, len(self._tables) - _MOST)

    @property
    def _tables(self) -> dict[str, Table]:
        manifest = self.report.manifest
        return dict(manifest.contents.tables) if manifest and manifest.contents else {}

    @property
    def backup(self) -> Iterator[tuple[str, str]]:
        """What was restored."""
        yield "project", self.report.project
        yield "source", self.report.source
        yield "backup", self.report.id
        if self.report.manifest is not None:
            yield from _made(self.report.manifest)

    @property
    def place(self) -> Iterator[tuple[str, str]]:
        """Where, when and by what."""
        report, copy = self.report, self.report.copy
        if copy is not None:
            yield "restored into", f"a throwaway {copy.where}"
            yield "its server", copy.version or "none is needed: a folder"
            yield "proven empty before", report.empty or "no"
            yield "network", copy.network
            yield "files", copy.files
            yield "user", copy.user
        if report.command is not None:
            yield "command", f"ended with {report.command.status}, {report.command.where}"
            yield "its network", report.command.network
            yield "its files", report.command.files
        yield "verified", f"{report.when:%Y-%m-%d %H:%M:%S} UTC"
        yield "level asked for", f"{report.wanted}: {report.proves(report.wanted)}"

    @property
    def again(self) -> str:
        """The command that does the same once more."""
        where = ["--in", self.report.copy.where] if self.report.copy else []
        return shlex.join(["killick", "verify", self.report.id, "--level", str(self.report.wanted), *where])

    @property
    def key(self) -> str:
        """Where the record stands in the store, "" where it could not be written."""
        return self.report.record.key if self.report.record else ""

    @property
    def signed_by(self) -> str:
        """The public key of the record's signature, "" where it has none."""
        data = self.report.record.data if self.report.record else {}
        return str(data["signature"]["key"]) if "signature" in data else ""

    @property
    def record(self) -> str:
        """The whole record as JSON, its signature included."""
        data = self.report.record.data if self.report.record else self.report.to_record()
        return json.dumps(data, ensure_ascii=False, indent=1)

    @property
    def differences(self) -> str:
        return counted(len(self.report.mismatches), "difference")


def _made(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What the manifest says of the backup. Not said: checksums of rows, from which those of a small table can be
    guessed."""
    yield "database", manifest.database
    yield "cluster's identity", manifest.identity
    yield "server", f"{manifest.engine} {manifest.server_version}".strip()
    yield "dumped with", f"version {manifest.client_version}" if manifest.client_version else ""
    yield "data of", manifest.snapshot
    yield "made", f"{manifest.started} to {manifest.finished}" if manifest.finished else manifest.started
    yield "by", f"killick {manifest.killick}" if manifest.killick else ""
    archive = manifest.archive
    if archive is not None:
        yield "archive", archive.key
        yield "its SHA-256", archive.sha256
        yield "its size", f"{size(archive.bytes)} ({archive.bytes:,} bytes), {archive.codec}"
        yield "SHA-256 of the tar", archive.raw_sha256
        if archive.raw_bytes:
            yield "size of the tar", f"{size(archive.raw_bytes)} ({archive.raw_bytes:,} bytes)"
    yield "encrypted to", ", ".join(manifest.recipients)
