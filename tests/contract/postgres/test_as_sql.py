"""A dump as SQL: psql makes of it what a restore makes."""

from pathlib import Path

import pytest

from killick.compare import OWNERSHIP, compare
from killick.contents import Contents
from killick.engines import pick
from killick.engines.postgres import script as plain
from killick.errors import Corrupt, NotFound, RestoreError
from tests.contract.postgres.conftest import Backup, Pair, backup, engine, hard, script
from tests.lab.postgres import Postgres

_NEVER = {*OWNERSHIP, "settings", "required roles"}
"""What no text says: settings belong to ALTER DATABASE, and user mappings are left out."""


@pytest.fixture(scope="module")
def hardest(pair: Pair, tmp_path_factory: pytest.TempPathFactory, programs_path: str) -> Backup:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROGRAMS", programs_path)
        if not pair.source.execute("SELECT 1 FROM pg_database WHERE datname = 'spoken'"):
            hard(pair.source, "spoken")
        return backup(engine(pair.source, "spoken"), tmp_path_factory.mktemp("spoken"))


def text(saved: Backup, only: frozenset[str] | None = None, rows: bool = True) -> bytes:
    with plain(saved.folder, only, rows) as chunks:
        return b"".join(chunks)


def made(pair: Pair, name: str, sql: bytes, like: Contents) -> Contents:
    """On the source's own server, where the roles are that policies name."""
    pair.source.create(name)
    script(pair.source, name, sql)
    return engine(pair.source, name).contents(like)


def differences(expected: Contents, got: Contents) -> list[str]:
    groups = expected.groups.keys() - _NEVER
    return [str(m) for m in compare(expected, got, groups=groups) if not m.table.startswith("USER MAPPING")]


def test_psql_makes_the_same_database_of_it(pair: Pair, hardest: Backup) -> None:
    sql = text(hardest)
    assert differences(hardest.contents, made(pair, "spoken_whole", sql, hardest.contents)) == []
    for never in (b"OWNER TO", b"GRANT ", b"REVOKE ", b"CREATE SUBSCRIPTION", b"DROP ", b"CREATE DATABASE"):
        assert b"\n" + never not in sql
    assert b"transaction_timeout" not in sql
    assert b"USER MAPPING" not in sql and b"SERVER far" in sql


def test_of_single_tables(pair: Pair, hardest: Backup) -> None:
    only = pick("postgres", hardest.contents, ["orders", "events"])
    got = made(pair, "spoken_part", text(hardest, only), hardest.contents)
    expected = hardest.contents
    assert set(got.tables) == {key for key in expected.tables if key == "public.orders" or "events" in key}
    assert all(got.tables[key] == expected.tables[key] for key in got.tables)
    assert got.sequences["public.orders_id_seq"] == expected.sequences["public.orders_id_seq"]


def test_of_the_schema_alone(pair: Pair, hardest: Backup) -> None:
    got = made(pair, "spoken_schema", text(hardest, rows=False), hardest.contents)
    assert got.rows == 0 and got.tables.keys() == hardest.contents.tables.keys()
    assert [line for line in differences(hardest.contents, got) if ": schema is" in line] == []
    assert set(got.groups["materialized views"].values()) == {"empty"}
    assert got.groups["large objects"]["all"].startswith("0 ")


def test_event_triggers_come_last(postgres16: Postgres, tmp_path: Path) -> None:
    postgres16.create("told_last")
    script(
        postgres16,
        "told_last",
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS i; CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'it fired'; END $$; CREATE EVENT TRIGGER never ON ddl_command_end EXECUTE FUNCTION f()",
    )
    saved = backup(engine(postgres16, "told_last"), tmp_path)
    postgres16.create("told_last_copy")
    script(postgres16, "told_last_copy", text(saved))
    assert postgres16.execute("SELECT i FROM m", "told_last_copy") == [(1,)]


def test_a_text_that_looks_like_the_head_stays(postgres16: Postgres, tmp_path: Path) -> None:
    """Only the head's own SET transaction_timeout goes, which servers before 17 do not know."""
    postgres16.create("headlike")
    body = "SET transaction_timeout = 0;\n"
    script(postgres16, "headlike", f"CREATE TABLE t AS SELECT 1; COMMENT ON TABLE t IS '\n{body}'")
    saved = backup(engine(postgres16, "headlike"), tmp_path)
    assert text(saved).count(body.encode()) == 1


def test_what_cannot_be_told(postgres16: Postgres, tmp_path: Path) -> None:
    postgres16.create("telling")
    script(postgres16, "telling", "CREATE TABLE t AS SELECT repeat('x', 100) AS t FROM generate_series(1, 9000) i")
    saved = backup(engine(postgres16, "telling"), tmp_path)
    with pytest.raises(NotFound, match=r"public\.nothing"):
        text(saved, frozenset({"public.nothing"}))
    with pytest.raises(Corrupt, match="no dump of Postgres"):
        text(Backup(tmp_path / "elsewhere", saved.contents))
    with plain(saved.folder, None, True) as chunks:
        assert next(chunks)  # reading may stop early
    (data,) = (tmp_path / "postgres").glob("[0-9]*.dat")
    data.unlink()
    with pytest.raises(RestoreError) as caught:
        text(saved)
    assert caught.value.reason == "truncated"
