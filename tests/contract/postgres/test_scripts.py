"""Scripts of a restore: .sql by psql, and what a shell script is told."""

import subprocess
from pathlib import Path

import pytest

from killick.engines import Scripted, Source
from killick.engines.postgres import Postgres as Engine
from killick.engines.postgres.address import parse
from killick.errors import AccessDenied, RestoreError, SourceError
from tests.contract.postgres.conftest import Pair, engine, script
from tests.lab.postgres import Postgres
from tests.lab.server import free_ports

ODD = "scripted a=b postgres://x \"q\" 'a' %s \\ 🎈"


@pytest.fixture(scope="module")
def server(postgres16: Postgres) -> Postgres:
    postgres16.create("scripted")
    script(
        postgres16,
        "scripted",
        "CREATE TABLE people (id int PRIMARY KEY, name text, age text);"
        " INSERT INTO people VALUES (1, 'private name', 'private age')",
    )
    return postgres16


def written(folder: Path, text: str, name: str = "10 clean up.sql") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_it_runs_inside_the_database_of_every_major(pair: Pair, tmp_path: Path) -> None:
    pair.other.execute('CREATE DATABASE "{}" TEMPLATE template0'.format(ODD.replace('"', '""')))
    copy = engine(pair.other, ODD)
    assert isinstance(copy, Scripted) and copy.SCRIPTS == (".sql",)
    written(tmp_path, "INSERT INTO done VALUES (2);", "more.inc")
    copy.script(
        written(
            tmp_path,
            "\\set one 1\nCREATE TABLE done (i int);\nINSERT INTO done VALUES (:one);\n\\ir more.inc\n",
        )
    )
    assert pair.other.execute("SELECT i FROM done ORDER BY 1", ODD) == [(1,), (2,)]


def test_it_runs_in_the_place_beside_and_not_in_what_is_in_use(server: Postgres, tmp_path: Path) -> None:
    server.create("in_use")
    script(server, "in_use", "CREATE TABLE t (i int)")
    place = engine(server, "in_use").beside("20261123T030000Z-db", 0)
    assert isinstance(place, Scripted)
    place.script(written(tmp_path, "CREATE TABLE made_by_a_script (i int);"))
    assert shell(place.environment(), "psql -XAtc 'SELECT count(*) FROM made_by_a_script'") == "0"
    assert server.execute("SELECT to_regclass('made_by_a_script')", "in_use") == [(None,)]


def test_times_are_as_the_database_has_them(server: Postgres, tmp_path: Path) -> None:
    server.create("zoned")
    server.execute("ALTER DATABASE zoned SET timezone = 'Asia/Kathmandu'")
    engine(server, "zoned").script(written(tmp_path, "CREATE TABLE t AS SELECT current_setting('timezone') AS zone;"))
    assert server.execute("SELECT zone FROM t", "zoned") == [("Asia/Kathmandu",)]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("SELECT 1;\n\nSELECT nonsense;\nSELECT 2;\n", 3, 'column "nonsense" does not exist'),
        ("INSERT INTO people VALUES (2, 'private');\nINSERT INTO people VALUES (1, 'private');\n", 2, "people_pkey"),
        ("SELECT age::int FROM people;\n", 1, "invalid input syntax for type integer: …"),
        ("DO $$ BEGIN RAISE NOTICE 'psql:x:1: ERROR: no'; RAISE 'two are left'; END $$;\n", 1, "two are left"),
        ("DO $$ BEGIN RAISE 'too long' USING DETAIL = repeat('private ', 999); END $$;\n", 1, "too long"),
        ("SELECT 1;\n\\nonsense\n", 2, "invalid command"),
        ("BEGIN;\nSELECT 1;\nSELECT (;\n", 3, "syntax error"),
    ],
)  # fmt: skip
def test_a_failure_names_file_and_line_and_no_row(
    server: Postgres, tmp_path: Path, text: str, line: int, said: str
) -> None:
    path = written(tmp_path, f"CREATE TABLE left_over (i int); {text}")
    with pytest.raises(RestoreError) as caught:
        engine(server, "scripted").script(path)
    assert f"{path}, line {line}: " in caught.value.message and said in caught.value.message
    assert "private" not in str(caught.value) and server.password not in str(caught.value)
    assert caught.value.reason == "script"
    assert not server.execute("SELECT to_regclass('left_over')", "scripted")[0][0]


def test_a_failure_inside_a_file_that_is_included(server: Postgres, tmp_path: Path) -> None:
    written(tmp_path, "SELECT 1;\nSELECT nonsense;", "inner.inc")
    with pytest.raises(RestoreError, match=r"inner\.inc, line 2: "):
        engine(server, "scripted").script(written(tmp_path, "\\ir inner.inc\n"))


def test_the_password_is_on_no_command_line(server: Postgres, tmp_path: Path) -> None:
    engine(server, "scripted").script(
        written(tmp_path, f"\\! tr '\\\\0' ' ' < /proc/$PPID/cmdline > {tmp_path}/argv; env > {tmp_path}/env\n")
    )
    argv, env = (tmp_path / "argv").read_text(), (tmp_path / "env").read_text()
    assert "psql" in argv and server.password not in argv
    assert f"PGPASSWORD={server.password}" in env


def test_a_database_that_is_read_only_by_courtesy_is_written_into(server: Postgres, tmp_path: Path) -> None:
    server.create("courteous")
    server.execute("ALTER DATABASE courteous SET default_transaction_read_only = on")
    engine(server, "courteous").script(written(tmp_path, "CREATE TABLE t (i int);"))
    assert server.execute("SELECT to_regclass('t') IS NOT NULL", "courteous") == [(True,)]


def test_nobody_there_and_a_wrong_password(server: Postgres, tmp_path: Path) -> None:
    path = written(tmp_path, "SELECT 1;")
    (port,) = free_ports(1)
    with pytest.raises(SourceError):
        Engine(Source("db", f"postgres://u@127.0.0.1:{port}/d", "hush")).script(path)
    with pytest.raises(AccessDenied):
        engine(server, "scripted", password="hush").script(path)


def shell(environment: dict[str, str], text: str) -> str:
    """A hook, which is told nothing but the environment."""
    done = subprocess.run(["/bin/sh", "-ec", text], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("how", ["psql -XAt", 'psql -XAt "$DATABASE_URL"'])
def test_a_shell_script_reaches_the_database(pair: Pair, how: str) -> None:
    if not pair.other.execute("SELECT 1 FROM pg_database WHERE datname = 'a b'"):
        pair.other.create("a b")
    told = engine(pair.other, "a b").environment()
    assert shell(told, f"{how} -c 'SELECT current_database(), current_user'") == "a b|postgres"
    assert shell(told, "psql --version").split()[2].startswith(f"{pair.major}.")
    assert pair.other.password not in told["DATABASE_URL"]
    assert told["PGDATABASE"] == "a b" and told["PGPORT"] == str(pair.other.port)


@pytest.mark.parametrize(
    "place", ["127.0.0.1:{port}/{name}?sslmode=prefer&connect_timeout=7", "/{name}?host={socket}&port={port}"]
)
def test_the_url_says_what_ours_says(server: Postgres, place: str) -> None:
    folder = str(server.sockets).replace("/", "%2F")
    url = "postgis://postgres@" + place.format(port=server.port, name="scripted", socket=folder)
    one = Engine(Source("db", url, server.password))
    told = one.environment()
    assert parse(Source("db", told["DATABASE_URL"])).options == one.address.options
    assert shell(told, 'psql -XAt "$DATABASE_URL" -c "SELECT 1"') == "1"
    if "sslmode" in place:
        assert (told["PGSSLMODE"], told["PGCONNECT_TIMEOUT"]) == ("prefer", "7")
    else:
        assert told["PGHOST"] == str(server.sockets)
        assert "PGAPPNAME" not in told
