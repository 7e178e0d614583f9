"""Dumps as SQL text, as `pg_dump > app.sql` writes them: read, and loaded without psql.

psql runs backslash commands: a \\! in a dump would be run on this machine, with our secrets. So the text is cut as
psql would cut it, and each statement is sent to the server by the driver: nothing here knows what a command does. Those
that pg_dump writes are left out, any other is refused before a target is touched.

text        which part of the file is the dump, and how its lines end
window, lexer   the text as events: statements, rows, commands
statements  what a statement is: rows, a setting, ownership
reading     is it whole, what is in it
adopting    what another's dump holds, and how it is laid into a folder
loading     into an empty database
"""

from __future__ import annotations

from pathlib import Path

from killick.engines.postgres.plain.text import FILE


def there(folder: Path) -> bool:
    return (folder / FILE).is_file()


def inspect(folder: Path) -> None:
    """Reads all of it. Raises Corrupt, Refused."""
    from killick.engines.postgres.plain.reading import read
    from killick.engines.postgres.plain.text import Part, chunks, part

    whole = part(folder)
    read(chunks(folder / FILE, Part(whole.skip, whole.terminal)))
