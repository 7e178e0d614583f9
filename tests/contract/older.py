"""Older archives as tests take them: listed from a folder, opened, loaded into a database of their own."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from killick import catalog
from killick.bring import Opened
from killick.catalog import Backup
from killick.engines import Notes, Source, connect
from killick.older.opening import fetch_older, open_older
from killick.stores.folder import Folder
from killick.watch import Phases, unwatched
from tests.lab.mongod import Mongod
from tests.lab.postgres import Postgres


def listed(store: Path, project: str) -> dict[str, Backup]:
    """Those without a manifest, by their keys."""
    found = catalog.read(Folder(store), project, UTC)
    return {backup.archive: backup for backup in found.backups if backup.older}


def opened(store: Path, key: str, folder: Path, wanted: str = "") -> Opened:
    backup = listed(store, key.partition("/")[0])[key]
    phases = Phases()
    return open_older(fetch_older(Folder(store), backup, folder, phases), backup, folder, phases, wanted)


def opened_file(path: Path, folder: Path, wanted: str = "") -> Opened:
    """The same of a file that was just made; it is left where it is."""
    archive = folder / "archive"
    archive.write_bytes(path.read_bytes())
    backup = Backup("app", path.name, "db", datetime(2026, 11, 23, tzinfo=UTC), path.stat().st_size, older=True)
    return open_older(archive, backup, folder, Phases(), wanted)


class Target:
    """A database that is not there yet."""

    def __init__(self, server: Postgres) -> None:
        self.server, self.name = server, f"older_{secrets.token_hex(4)}"

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    @property
    def source(self) -> Source:
        return Source("db", f"postgres://postgres@127.0.0.1:{self.server.port}/{self.name}", self.server.password)

    def load(self, opened: Opened, **more: Any) -> Notes:
        return connect(replace(self.source, **more)).load(opened.folder, 2, opened.contents, unwatched)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.server.execute(query, self.name)

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def there(self) -> bool:
        return bool(self.server.execute(f"SELECT 1 FROM pg_database WHERE datname = '{self.name}'"))

    def tables(self) -> dict[str, dict[str, Any]]:
        """Rows, and md5 of the rows as sorted text, as EXPECTED.json has them."""
        found = {}
        for schema, name in self.rows(f"SELECT nspname::text, relname::text FROM {_OWN} AND relkind = 'r'"):
            rows, md5 = self.rows(
                f"""SET timezone = 'UTC'; SELECT count(*), coalesce(md5(string_agg(r, E'\\n' ORDER BY r)), '-')
                FROM (SELECT t::text COLLATE "C" AS r FROM "{schema}"."{name}" t) s"""
            )[0]
            found[f"{schema}.{name}"] = {"rows": rows, "md5": md5}
        return found

    def sequences(self) -> dict[str, int]:
        query = "SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences WHERE last_value IS NOT NULL"
        return dict(self.rows(query))

    def objects(self) -> dict[str, int]:
        return {what: self.value(query) for what, query in _OBJECTS.items()}


_OWN = """
    pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname NOT LIKE 'pg\\_%'
    AND nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"""
_ROUTINES = """
    pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE nspname NOT LIKE 'pg\\_%'
    AND nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"""
_USER = "nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
_OBJECTS = {
    "primary_keys": f"SELECT count(*) FROM pg_constraint x JOIN pg_namespace n ON n.oid = connamespace"
    f" WHERE contype = 'p' AND {_USER}",
    "foreign_keys": f"SELECT count(*) FROM pg_constraint x JOIN pg_namespace n ON n.oid = connamespace"
    f" WHERE contype = 'f' AND {_USER}",
    "indexes": f"SELECT count(*) FROM pg_indexes WHERE {_USER.replace('nspname', 'schemaname')}",
    "functions": f"SELECT count(*) FROM {_ROUTINES}",
    "functions_with_cr": f"SELECT count(*) FROM {_ROUTINES} AND prosrc LIKE '%' || chr(13) || '%'",
    "comments_with_cr": "SELECT count(*) FROM pg_description WHERE description LIKE '%' || chr(13) || '%'",
    "views": f"SELECT count(*) FROM {_OWN} AND relkind = 'v'",
    "matviews": f"SELECT count(*) FROM {_OWN} AND relkind = 'm'",
    "triggers": "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal",
    "large_objects": "SELECT count(*) FROM pg_largeobject_metadata",
}


@contextmanager
def emptied(server: Mongod, database: str) -> Iterator[Source]:
    """A database of a server, as a target, that is gone afterwards."""
    url = server.url(database).replace(f":{quote(server.password, safe='')}@", "@")
    try:
        yield Source("db", url, server.password)
    finally:
        with server.client() as client:
            client.drop_database(database)


def run(*argv: str | Path, env: dict[str, str] | None = None, input: bytes | None = None) -> bytes:
    done = subprocess.run([str(word) for word in argv], env=env, input=input, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout
