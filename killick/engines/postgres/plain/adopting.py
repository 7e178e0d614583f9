"""A plain dump that others made: what Contents say of it, and what a person should know."""

from __future__ import annotations

from pathlib import Path

from killick.contents import Contents, Table
from killick.engines import Adopted
from killick.engines.postgres import roles
from killick.engines.postgres.plain import text
from killick.engines.postgres.plain.reading import Dump, Section, read
from killick.engines.postgres.plain.text import Part, Preamble
from killick.errors import Refused
from killick.older.said import quoted
from killick.watch import Watch

_LOOK = "psql, or the server, would do what it says: look at it first (killick fetch)"


def adopt(found: Path, preamble: Preamble, folder: Path, wanted: str, watch: Watch) -> Adopted:
    """Moves the file into `folder`, with what is needed to load one database out of it. See killick.engines.adopt."""
    part = preamble.part
    dump = read(text.chunks(found, part), part.line, found.stat().st_size, watch)
    forbidden = [(line, "a backslash command") for line in preamble.commands] + dump.forbidden
    section = only(dump, wanted)
    if forbidden:
        line, what = forbidden[0]
        more = f", and {len(forbidden) - 1} more" if len(forbidden) > 1 else ""
        raise Refused(f"line {line:,} of the dump holds {what}{more}, which pg_dump never writes", _LOOK)
    found.rename(folder / text.FILE)
    Part(part.skip, part.terminal, section.begin, section.end, section.line).write(folder)
    notes = [*_about(preamble, section), *_of(dump, section)]
    return adopted(dump, section, folder, notes)


def only(dump: Dump, wanted: str) -> Section:
    """The one database in a dump; of several the one called `wanted`. Raises Refused, with their names."""
    filled = dump.filled or dump.sections[-1:]
    named = [section for section in filled if section.database == wanted]
    if len(filled) == 1:
        return filled[0]
    if named:
        return named[0]
    names = ", ".join(section.database or "one without a name" for section in filled)
    raise Refused(
        f"it holds several databases: {names}",
        "restore into a database that is called like the one you want",
    )


def adopted(dump: Dump, section: Section, folder: Path, notes: list[str]) -> Adopted:
    """Writes the roles that it names beside the dump, as killick's own have them. Raises Refused for rows alone."""
    rows = sum(section.tables.values())
    if rows and not section.made and not section.extensions:
        raise Refused(
            "it holds rows, but none of the tables that they belong to",
            "it was made with --data-only: load it by hand, into a database that has the tables",
        )
    if not section.tables:
        notes.append("the dump is whole, and there is no table in it")
    elif not rows:
        notes.append("there is no row in it: was it made with --schema-only?")
    named = tuple(sorted(section.roles | section.required.keys()))
    if named:
        (folder / roles.FILE).write_text(roles.of_names(named), encoding="utf-8")
    contents = Contents(
        tables={key: Table(count) for key, count in sorted(section.tables.items())},
        groups={"extensions": dict(section.extensions), "required roles": dict(section.required)},
        loose={
            "versions": {"server": _major(dump.server_version), "client": _major(dump.client_version)},
            "tablespaces": {name: name for name in section.tablespaces},
        },
        roles=named,
        notes=tuple(notes),
    )
    return Adopted(contents, dump.server_version, dump.client_version, section.database, tuple(notes))


def _about(preamble: Preamble, section: Section) -> list[str]:
    """How it came here."""
    notes = []
    if preamble.text.strip():
        lines = preamble.text.count(b"\n")
        notes.append(f"{lines} line{'s' if lines > 1 else ''} before the dump skipped: {quoted(preamble.text)}")
    if preamble.part.terminal:
        notes.append("every line ended in CR LF, as a terminal makes them (docker exec -t): the CRs are taken out")
        if section.inserts:
            notes.append(
                "its rows are INSERT statements: a line break in a value is LF now, and if the CR LF came from another"
                " program than a terminal, values may have been altered for good"
            )
    elif preamble.mixed:
        notes.append("its lines end in CR LF here and in LF there: text in quotes is kept as it stands, CRs too")
    return notes


def _of(dump: Dump, section: Section) -> list[str]:
    notes = []
    others = [s.database for s in dump.filled if s is not section]
    if others:
        notes.append(f"of the databases in it {section.database} was taken, not {', '.join(others)}")
    if dump.of_server:
        left = ", ".join([*dump.of_server, *(["\\connect"] if len(dump.sections) > 1 else [])])
        notes.append(f"left out, so that all goes into the chosen database and no further: {left}")
    if dump.said:
        notes.append(f"after the dump stands: {dump.said}")
    return notes


def _major(version: str) -> str:
    """ "15" of 15.20, "9" of 9.6.24; "0" where it is not told."""
    return version.partition(".")[0] if version[:1].isdigit() else "0"
