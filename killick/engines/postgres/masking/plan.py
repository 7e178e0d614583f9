"""Which columns of which files are masked by which rules, and every rule that cannot work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from killick import process
from killick.contents import Contents
from killick.engines.postgres import names
from killick.engines.postgres.address import Address
from killick.engines.postgres.commands import Client
from killick.engines.postgres.listing import Listing
from killick.engines.postgres.masking import checks, target
from killick.engines.postgres.masking.archived import Held, held
from killick.engines.postgres.masking.checks import Ruled
from killick.engines.postgres.masking.rewrite import Work
from killick.engines.postgres.masking.target import Table
from killick.engines.postgres.session import Session, pinned
from killick.errors import RestoreError, SettingsError
from killick.masking import Mask, Rule

_BYTES = "latin_1"  # each byte a character: for encodings that Python does not know


@dataclass(frozen=True)
class Planned:
    """`codec` is Python's name for the dump's encoding; `suffixed` as in killick.masking.keyed."""

    works: tuple[Work, ...]
    codec: str
    suffixed: bool


def plan(address: Address, client: Client, folder: Path, wanted: Listing, mask: Mask, contents: Contents) -> Planned:
    """Asks the target in one transaction, which the end of the session rolls back.

    Raises SettingsError, and RestoreError where a table is not in the target.
    """
    encoding = contents.groups.get("database", {}).get("encoding", "")
    with pinned(address, encoding) as session:
        codec = _codec(encoding or session.encoding)
        named = _codec(session.connection.encoding)
        files = held(client, folder, wanted, named)
        session.execute("BEGIN")
        tables = target.tables(session)
        _refuse_strangers(files, tables)
        rules = {key: spread for key, table in tables.items() if (spread := _spread(mask, key, table))}
        constraints = _constraints(wanted, {file.entry for key, file in files.items() if key in rules})
        with constraints.file() as chosen:
            flags = ("--no-owner", "--no-acl", "--no-tablespaces", f"--use-list={chosen}")
            target.constrain(session, process.run(client.text(folder, *flags)).stdout.decode(named, "surrogateescape"))
        ruled, problems = _ruled(session, tables, rules)
        rows = {key: table.rows for key, table in contents.tables.items()}
        problems += checks.problems(ruled, target.references(session, tables), rows)
        problems += _constants(session, ruled, codec)
    if problems:
        raise SettingsError([f"MASK: {problem}" for problem in problems], "docs/masking.md explains the rules")
    return Planned(tuple(_works(ruled, files)), codec, checks.suffixed(ruled))


def _refuse_strangers(files: Mapping[str, Held], tables: Mapping[str, Table]) -> None:
    """A table that has another name here, for its encoding is another, would be loaded as it is."""
    strange = sorted(files.keys() - tables.keys())
    if strange:
        raise RestoreError(
            f"the target has no table {', '.join(strange)} whose rows could be masked",
            "let the database be made with the source's encoding",
            "masking",
        )


def _codec(encoding: str) -> str:
    """Of Postgres's name. What stands in an SQL_ASCII database is UTF-8 mostly, and stays as it is where it is not."""
    from psycopg2.extensions import encodings

    return "utf_8" if encoding in ("SQL_ASCII", "SQLASCII") else encodings.get(encoding, _BYTES)


def _spread(mask: Mask, key: str, table: Table) -> Mapping[str, tuple[Rule, ...]]:
    """By column: its own rules, or else those of the nearest table that it is a partition of or inherits from."""
    rules: dict[str, tuple[Rule, ...]] = {}
    for of in (key, *table.ancestors):
        rules = {**mask.of(of), **rules}
    return rules


def _constraints(wanted: Listing, rows: Collection[int]) -> Listing:
    """The indexes and constraints of the tables whose rows are these entries, with those that they need themselves."""
    tables = {number for number in wanted.around(rows) if wanted[number].kind == "TABLE"}
    every = dict(wanted.of("INDEX", "INDEX ATTACH", "CONSTRAINT", "FK CONSTRAINT"))
    found: set[int] = set()
    todo = [number for number, entry in every.items() if tables.intersection(entry.needs)]
    while todo:
        number = todo.pop()
        if number not in found:
            found.add(number)
            todo += [need for need in every[number].needs if need in every]
    return wanted.only(found)


def _ruled(
    session: Session, tables: Mapping[str, Table], rules: Mapping[str, Mapping[str, tuple[Rule, ...]]]
) -> tuple[Ruled, list[str]]:
    """Columns with their rules; and those that a rule names and the table does not have."""
    facts = target.facts(session, [tables[key].oid for key in rules])
    ruled = {}
    problems = []
    for key, columns in rules.items():
        for column, its in columns.items():
            (name,) = names.parts(column)
            if found := facts.get((tables[key].oid, name)):
                ruled[key, name] = (found, its)
            elif its[0].table == key:
                problems.append(f"{its[0]}: the table has no such column")
    return ruled, problems


def _constants(session: Session, ruled: Ruled, codec: str) -> list[str]:
    """Those that their columns, or the dump's encoding, do not take."""
    problems = []
    for (table, column), (facts, rules) in ruled.items():
        for rule in rules:
            if rule.kind == "constant" and not facts.generated:
                problem = _unwritable(rule.argument, codec)
                if not problem and not rule.path:
                    problem = target.refused(session, facts.sql, rule.argument)
                if problem:
                    problems.append(f"{replace(rule, table=table, column=names.key(column))}: {problem}")
    return problems


def _unwritable(text: str, codec: str) -> str:
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return f"the dump is in {codec}, which has not all characters of the constant"
    return ""


def _works(ruled: Ruled, files: Mapping[str, Held]) -> list[Work]:
    works = []
    for key, file in files.items():
        masked = {}
        for at, name in enumerate(file.columns):
            if (key, name) in ruled:
                facts, rules = ruled[key, name]
                if any(rule.kind != "keep" for rule in rules):
                    masked[at] = (facts.column, rules)
        if masked:
            works.append(Work(key, str(file.path), file.columns, masked))
    return works
