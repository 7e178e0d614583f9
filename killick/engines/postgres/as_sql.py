"""A dump as SQL, for psql or for a person to read. No server is asked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from killick import process
from killick.engines.postgres import commands, demands, listing, neutral, part
from killick.engines.postgres.failures import restore_error
from killick.engines.postgres.listing import Listing
from killick.errors import CommandFailed, Corrupt

_LIKE_A_COPY = ("--no-owner", "--no-acl", "--no-subscriptions", "--no-tablespaces", "--no-security-labels")
_HEAD = 4096  # bytes; it is shorter


@contextmanager
def text(folder: Path, only: Collection[str] | None, rows: bool) -> Iterator[Iterator[bytes]]:
    """Chunks of a script that fills an empty database, in the dump's encoding. The end of it means success.

    As a copy is: without owners, grants, subscriptions, tablespaces, security labels, user mappings (they hold
    passwords) and jobs of pg_cron. Roles that policies name must be there: globals.sql makes them. It is for a psql of
    August 2025 or later, which knows \\restrict.

    Raises Corrupt, Unsupported without a pg_restore, NotFound for a table of `only` that the dump has not;
    RestoreError, also from the iteration, for a dump that is not whole.
    """
    dump = folder / commands.FOLDER
    if not (dump.is_file() or (dump / "toc.dat").is_file()):
        raise Corrupt(f"{folder / commands.FOLDER} holds no dump of Postgres", "was another engine's archive meant?")
    client = commands.reader()
    try:
        whole = listing.read(process.run(client.listing(folder, "--verbose")).stdout)
        wanted = whole if only is None else part.of(whole, client, folder, only).listing
    except CommandFailed as error:
        raise restore_error(error) from None
    wanted, triggers = neutral.harmless(wanted if rows else wanted.schema()).apart("EVENT TRIGGER")
    ordered = Listing({**wanted, **triggers})  # filling a materialized view would fire them
    flags = _LIKE_A_COPY if rows else (*_LIKE_A_COPY, "--schema-only")
    with ordered.file() as chosen, process.read_from(client.text(folder, *flags, f"--use-list={chosen}")) as chunks:
        yield _told(chunks, client.major >= demands.TIMEOUTS)


def _told(chunks: Iterator[bytes], timeouts: bool) -> Iterator[bytes]:
    """Without the setting of the head that servers before 17 do not know."""
    head = b""
    try:
        while timeouts and len(head) < _HEAD and (chunk := next(chunks, b"")):
            head += chunk
        if head:
            yield head.replace(b"SET transaction_timeout = 0;\n", b"", 1)
        yield from chunks
    except CommandFailed as error:
        raise restore_error(error) from None
