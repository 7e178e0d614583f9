"""What keeps a copy from acting in production's name. Not for a verification, nor for a disaster's recovery.

Jobs of pg_cron are made inactive, and credentials for foreign servers dropped; subscriptions are left out by
pg_restore itself. Connection strings inside functions are not looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from killick.engines.postgres import demands, names
from killick.engines.postgres.listing import Listing
from killick.engines.postgres.session import DatabaseError, Session
from killick.errors import AccessDenied

_JOBS = """
    SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname::text = 'pg_cron')
        AND pg_catalog.to_regclass('cron.job') IS NOT NULL"""
_STOP = """
    WITH stopped AS (UPDATE cron.job SET active = false WHERE active RETURNING jobid)
    SELECT count(*) FROM stopped"""
# The options of others' mappings are hidden from a role that is no superuser, who may drop them all the same.
_CREDENTIALS = """
    SELECT pg_catalog.format('USER MAPPING FOR %s SERVER %I',
            CASE umuser WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(usename::text) END, srvname),
        coalesce(umoptions, CASE pg_catalog.current_setting('is_superuser') WHEN 'off' THEN '{password}'::text[] END,
            '{}')
    FROM pg_catalog.pg_user_mappings
    UNION ALL SELECT pg_catalog.format('SERVER %I', srvname), coalesce(srvoptions, '{}')
    FROM pg_catalog.pg_foreign_server ORDER BY 1"""
_NO_SUCH_OPTION = "42704"
_SECRET = re.compile(r"passw|passphrase|pwd|secret|token|credential|(access|api|private)_?key", re.I)


def suited(listing: Listing, available: set[str]) -> tuple[Listing, list[str]]:
    """A dump's entries without what cannot or should not be in a copy; and notes. `available`: target.extensions.

    Left out are pg_cron where it cannot run, since its jobs must not, and the rows of materialized views over foreign
    tables: to fill them would be to ask production's neighbours.
    """
    notes = []
    cron = {number for number, name in demands.extensions(listing).items() if name == demands.CRON}
    if cron and available and demands.CRON not in available:
        lost = {number for number in listing if cron & listing.around((number,))} | set(_of_cron(listing))
        views = [entry.name for number, entry in listing.of("VIEW", "MATERIALIZED VIEW") if number in lost]
        also = f", and what needs it: {', '.join(views)}" if views else ""
        notes.append(f"pg_cron cannot run in this database: it was left out with its jobs{also}")
        listing = listing.without(lost)
    far = set(_far(listing))
    if far:
        notes.append(f"left empty, since it reads foreign tables: {', '.join(listing[n].name for n in sorted(far))}")
    return listing.without(far), notes


def harmless(listing: Listing) -> Listing:
    """A dump's entries without what would have to be calmed: for a text that goes who knows where."""
    mappings = {number for number, _ in listing.of("USER MAPPING")}
    return listing.without({*mappings, *_of_cron(listing), *_far(listing)})


def calm(server: Session) -> list[str]:
    """Of a copy that has its schema and the rows of its extensions' tables; gives a note for each thing done."""
    return [*_without_jobs(server), *_without_credentials(server)]


def _of_cron(listing: Listing) -> Iterator[int]:
    """Rows of the extension's tables: they do not name it as a need."""
    if demands.CRON in demands.extensions(listing).values():
        yield from (n for n, entry in listing.of("TABLE DATA", "SEQUENCE SET") if entry.title.startswith("cron "))


def _far(listing: Listing) -> Iterator[int]:
    """Rows of materialized views that foreign tables are behind."""
    foreign = {number for number, _ in listing.of("FOREIGN TABLE")}
    yield from (n for n, _ in listing.of("MATERIALIZED VIEW DATA") if foreign & listing.around((n,)))


def _without_jobs(server: Session) -> Iterator[str]:
    if server.value(_JOBS):
        stopped = server.value(_STOP)
        if stopped:
            yield f"jobs of pg_cron made inactive in this copy: {stopped} (UPDATE cron.job SET active = true)"


def _without_credentials(server: Session) -> Iterator[str]:
    for place, options in server.rows(_CREDENTIALS):
        for option in (option.partition("=")[0] for option in options):
            if not _SECRET.search(option):
                continue
            try:
                server.execute(f"ALTER {place} OPTIONS (DROP {names.sql(option)})")
                yield f"{place} has no {option} in this copy"
            except (AccessDenied, DatabaseError) as error:
                if not isinstance(error, DatabaseError) or error.code != _NO_SUCH_OPTION:
                    yield f"{place} keeps its {option}: {error.message}"
