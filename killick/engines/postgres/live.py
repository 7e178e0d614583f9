"""The same facts as a dump's, read from a live database: a copy, or production before a move."""

from __future__ import annotations

from dataclasses import replace

from killick.contents import Contents, Table
from killick.engines.postgres import catalog, commands, inventory, routed, rows, schema
from killick.engines.postgres import roles as cluster
from killick.engines.postgres.address import Address
from killick.engines.postgres.catalog import Relation
from killick.engines.postgres.dump import freeze
from killick.engines.postgres.rows import Measured
from killick.engines.postgres.session import pinned
from killick.engines.postgres.tally import Tally
from killick.errors import SourceError

_BLIND = (
    "views, rules, foreign tables and grants were compared by existence only: "
    "Postgres {} writes them in another way than {}"
)


def contents(address: Address, evidence: str, like: Contents | None) -> Contents:
    """`like` is the source's: its order of columns, its encoding, its client for the schema's text."""
    theirs = like or Contents()
    encoding = theirs.groups.get("database", {}).get("encoding", "")
    server = evidence == "server" or any(table.server for table in theirs.tables.values())
    versions = theirs.loose.get("versions", {})
    with pinned(address) as session:
        client = commands.client_for(session.version, int(versions.get("client", 0)))
        frozen = freeze(session)
        inventory.refuse_unreadable(session, frozen.tables, frozen.numbers)
        values = catalog.sequence_values(session, frozen.numbers)
        if moved := [sequence.key for sequence in frozen.numbers if sequence.key not in values]:
            raise SourceError(f"the sequence {moved[0]} was set back while it was read", "look again")
        tables = [_alike(table, theirs.tables.get(table.key)) for table in frozen.tables]
        copies = {table.key: (table.copy(table.columns), table.bytes) for table in tables}
        lines = rows.of_database(
            address, encoding or session.encoding, frozen.snapshot, copies, rows.jobs_here(), lambda: None
        )
        measured = inventory.measure(session, tables, frozen.numbers, server, lambda _done: None, every=False)
        found = {table.key: _table(table, lines[table.key], measured.get(table.key)) for table in tables}
        found, settled = routed.settled(found, theirs.tables, routed.roots(session))
        groups, loose, notes = inventory.taken(session)
        named = cluster.role_names(session, cluster.named(session))
        text = schema.fingerprint(client.dump_schema(address, session.encoding))
        loose["versions"] = inventory.versions(session, client)
        if versions and versions.get("server") != str(session.major):
            text = schema.of_another_major(text, theirs.groups)
            notes.append(_BLIND.format(session.major, versions.get("server")))
    return Contents(
        tables=found,
        sequences=inventory.covering(values, frozen.numbers, tables, measured),
        groups={**text, **groups},
        loose=loose,
        roles=named,
        notes=tuple(dict.fromkeys([*client.warnings, *frozen.notes, *settled, *notes])),
        snapshot=frozen.moment,
    )


def _alike(table: Relation, before: Table | None) -> Relation:
    """Read as the source was: in its order of columns, and under the condition of its version of the extension."""
    if before is None:
        return table
    columns = before.columns if set(before.columns) == set(table.columns) else table.columns
    return replace(table, columns=columns, condition=before.condition)


def _table(table: Relation, lines: Tally, seen: Measured | None) -> Table:
    rows, checksum = lines
    return Table(
        rows,
        checksum,
        table.columns,
        table.condition,
        seen.server if seen else "",
        seen.generated if seen else "",
        ancestors=table.ancestors,
    )
