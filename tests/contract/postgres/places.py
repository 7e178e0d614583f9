"""Databases to be replaced, and what can be seen of them from outside."""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2

from killick.engines.postgres import Postgres as Engine
from killick.engines.postgres import marks
from tests.contract.postgres.conftest import engine, quoted, script
from tests.lab.postgres import Postgres

ORIGIN = "20261123T030000Z-db"
AROUND = ("", marks.NEW, marks.OLD, marks.SNAPSHOT, marks.COMING, marks.GONE)


def fill(server: Postgres, database: str, version: int) -> None:
    script(server, database, f"CREATE TABLE version AS SELECT {version} AS v")


def version(server: Postgres, database: str) -> int:
    ((found,),) = server.execute("SELECT v FROM version", database)
    return int(found)


def made(server: Postgres, database: str, version: int) -> Engine:
    """An engine beside whose database a new one of that version stands, as after a load."""
    target = engine(server, database)
    target.beside(ORIGIN, 0).settle()
    fill(server, marks.beside(database, marks.NEW), version)
    return target


def databases(server: Postgres, database: str) -> list[str]:
    """The ends of what stands beside it; "" for itself."""
    names = {name for (name,) in server.execute("SELECT datname FROM pg_database")}
    return [end for end in AROUND if marks.beside(database, end) in names]


def about(server: Postgres, database: str) -> tuple[Any, ...]:
    """Owner, grants, limit, comment, settings."""
    name = database.replace("'", "''")
    row = server.execute(
        "SELECT pg_get_userbyid(datdba), coalesce(datacl, acldefault('d', datdba))::text, datconnlimit,"
        " shobj_description(oid, 'pg_database'), ARRAY(SELECT coalesce(r.rolname, '') || ' ' || s.setconfig::text"
        " FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = setrole WHERE setdatabase = d.oid ORDER BY 1)"
        f" FROM pg_database d WHERE datname = '{name}'"
    )[0]
    return (row[0], sorted(row[1].strip("{}").split(",")), *row[2:])


@contextmanager
def database(server: Postgres, name: str = "", version: int = 1) -> Iterator[str]:
    """One of that version, and none of those around it afterwards."""
    name = name or f"app_{secrets.token_hex(4)}"
    server.create(name.replace('"', '""'))
    fill(server, name, version)
    try:
        yield name
    finally:
        remove(server, name)


def remove(server: Postgres, name: str) -> None:
    for end in AROUND:
        server.execute(f"DROP DATABASE IF EXISTS {quoted(marks.beside(name, end))} WITH (FORCE)")


@contextmanager
def session(
    server: Postgres, database: str, *, user: str = "postgres", password: str = "", application: str = ""
) -> Iterator[Any]:
    connection = psycopg2.connect(
        host="127.0.0.1",
        port=server.port,
        dbname=database,
        user=user,
        password=password or server.password,
        application_name=application,
    )
    connection.autocommit = True
    try:
        yield connection
    finally:
        connection.close()


def alive(connection: Any) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except psycopg2.Error:
        return False
    return True


@contextmanager
def standing_still(connection: Any) -> Iterator[int]:
    """Its server process does nothing, not even end, as in a bad library or on a dead disk; gives its pid."""
    pid = connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)
