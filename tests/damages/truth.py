"""A database, its sound backup, and dumps of damaged copies of it under that backup's manifest."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from killick.engines import Source, connect
from killick.watch import Phases, unwatched
from tests.contract.postgres.conftest import script
from tests.damages.table import caught
from tests.end_to_end.backups import Backups
from tests.lab import postgres
from tests.lab.postgres import Postgres
from verify.options import Options
from verify.report import Report
from verify.verify import verify

# What a clone lacks of the hard database; and what keeps rows from being changed, away while that is done.
_AFAR = "CREATE SUBSCRIPTION afar CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE)"
_QUIET = "SET allow_system_table_mods = on; DROP PUBLICATION everything_there"
_LOUD = "CREATE PUBLICATION everything_there FOR ALL TABLES"
_GONE = "SET default_transaction_read_only = off; DROP SUBSCRIPTION IF EXISTS afar"


@dataclass(frozen=True)
class Truth:
    """`id` is the backup of the database `truth`, on `server`. `before`, `after`: done to a clone around a damage."""

    server: Postgres
    backups: Backups
    id: str
    before: str
    after: str

    @property
    def major(self) -> int:
        return self.server.major

    def copied(self, to: Path) -> Backups:
        """Its backups, to be damaged."""
        return self.backups.copied(to)

    def damaged(self, to: Path, *statements: str) -> Backups:
        """The same, but the dump is one of a clone to which that was done."""
        backups = self.copied(to)
        with self.clone(*statements) as source:
            dump_of(source, backups, self.id)
        return backups

    @contextmanager
    def clone(self, *statements: str) -> Iterator[Source]:
        self.server.execute('CREATE DATABASE "clone" TEMPLATE "truth"')
        try:
            script(self.server, "clone", ";\n".join([self.before, *statements, self.after]))
            yield Source("db", self.server.url("clone"))
        finally:
            script(self.server, "clone", _GONE)
            self.server.execute('DROP DATABASE "clone" WITH (FORCE)')


def truth(server: Postgres, folder: Path) -> Truth:
    """Of the hard database, which is there as `truth`. Subscriptions do not let it be cloned: they are dropped."""
    far = subscribes(server.major)
    if not far:
        script(server, "truth", _GONE)
    id = backed_up(server, folder)
    script(server, "truth", _GONE)
    return Truth(server, Backups(folder), id, f"{_AFAR}; {_QUIET}" if far else _QUIET, _LOUD)


def backed_up(server: Postgres, folder: Path) -> str:
    folder.mkdir()
    return Backups(folder).make(Source("db", server.url("truth")))


def subscribes(major: int) -> bool:
    """Whether a throwaway can make a subscription: the wheel's server does not find a library that this needs."""
    return major not in postgres.IN_WHEEL or postgres.programs(major).is_relative_to(postgres.DEBIAN)


def dump_of(source: Source, backups: Backups, id: str) -> None:
    """Backup `id` gets a dump of that database; what its manifest promises stays."""
    with tempfile.TemporaryDirectory() as place:
        connect(source).dump(Path(place), 2, unwatched)

        def instead(dump: Path) -> None:
            shutil.rmtree(dump)
            shutil.copytree(place, dump)

        backups.remake(id, instead)


def verified(backups: Backups, id: str, options: Options) -> Report:
    report = verify(backups.store, backups.find(id), options, Phases())
    assert not list(options.scratch.glob("run-*"))
    return report


def said(report: Report) -> str:
    """Reason and error without ids and figures, which are others in another run."""
    figures = re.compile(r'(?<=")/[^"]*(?=")|[0-9]{8}T[0-9]{6}Z-\w+|\b[0-9]+\b')
    return f"{report.reason}: {figures.sub('…', report.error)}"


def failed_at(backups: Backups, id: str, options: Options, damage: str, level: int, named: str = "") -> None:
    """It fails at that level, and `named` stands in a mismatch or in the error; what is told is kept (table.py)."""
    report = verified(backups, id, options)
    assert (report.result, report.failed_level) == ("failed", level), report.text()
    told = [f"{m.table}: {m.what}" for m in report.mismatches] or [said(report)]
    (about, *_) = [text for text in told if named in text] or [""]
    assert about, report.text()
    caught("Postgres", damage, level, about)
