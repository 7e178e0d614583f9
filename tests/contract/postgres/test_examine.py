"""Damage that amcheck finds, and what it does not take for damage."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from killick.engines import Examinable, Examined
from killick.watch import unwatched
from tests.contract.postgres.conftest import engine, script
from tests.lab.postgres import Postgres

CANARY = "a row that nobody may read"
SCHEMA = f"""
    CREATE SCHEMA "Ünder scored";
    CREATE TABLE orders (id int PRIMARY KEY, said text);
    INSERT INTO orders SELECT g, '{CANARY}' FROM generate_series(1, 1000) g;
    CREATE TABLE "Ünder scored"."we ""ird" (x text, EXCLUDE USING hash (x WITH =));
    CREATE INDEX ON "Ünder scored"."we ""ird" (lower(x));
    CREATE MATERIALIZED VIEW many AS SELECT count(*) FROM orders;
    CREATE TABLE parted (id int PRIMARY KEY) PARTITION BY HASH (id);
    CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
"""
PARTS = "4 tables and 3 indexes"
READ_ONLY = "current_setting('transaction_read_only') = 'on'"


@pytest.fixture(scope="module", params=[15, 16, 18])
def server(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """With the contrib modules, amcheck among them."""
    with Postgres(request.param, contrib=True) as server:
        yield server


@pytest.fixture
def database(server: Postgres, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"examined_{abs(hash(request.node.name))}"
    server.create(name)
    script(server, name, SCHEMA)
    yield name
    server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def examine(server: Postgres, database: str) -> Examined:
    examined = engine(server, database)
    assert isinstance(examined, Examinable)
    found = examined.examine(unwatched)
    assert CANARY not in str(found)
    return found


def test_what_is_sound(server: Postgres, database: str) -> None:
    assert examine(server, database) == Examined(PARTS)
    assert examine(server, database) == Examined(PARTS), "the extension is there already"


def test_amcheck_of_the_databases_own(server: Postgres, database: str) -> None:
    """Wherever it is installed; and a dump's event trigger cannot keep it out."""
    script(
        server,
        database,
        'CREATE EXTENSION amcheck SCHEMA "Ünder scored";'
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
        "CREATE EVENT TRIGGER no ON ddl_command_start EXECUTE FUNCTION no()",
    )
    assert examine(server, database) == Examined(PARTS)


def test_an_order_that_changed_its_meaning(server: Postgres, database: str) -> None:
    script(
        server,
        database,
        "CREATE FUNCTION unlike(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        f" $$ BEGIN RETURN CASE WHEN {READ_ONLY} THEN -1 ELSE 1 END * ($1 - $2); END $$;"
        "CREATE OPERATOR CLASS unlike FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,"
        " OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 unlike(int, int);"
        'CREATE INDEX "Un like" ON orders (id unlike)',
    )
    (damage,) = examine(server, database).damages
    assert damage.part == 'public."Un like"'
    assert damage.said == 'item order invariant violated for index "Un like"'


def test_a_row_that_its_index_does_not_have(server: Postgres, database: str) -> None:
    script(
        server,
        database,
        "CREATE FUNCTION unlike(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        f" $$ BEGIN RETURN $1 + CASE WHEN {READ_ONLY} THEN 5000 ELSE 0 END; END $$;"
        "CREATE INDEX unlike ON orders (unlike(id))",
    )
    (damage,) = examine(server, database).damages
    assert damage.part == "public.unlike"
    assert "lacks matching index tuple" in damage.said


def test_an_error_that_is_no_damage(server: Postgres, database: str) -> None:
    """An index whose own function fails: nothing is known about it, and that is told."""
    script(
        server,
        database,
        "CREATE FUNCTION fails(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        f" $$ BEGIN IF {READ_ONLY} THEN RAISE EXCEPTION '{CANARY}'; END IF; RETURN $1; END $$;"
        "CREATE INDEX fails ON orders (fails(id))",
    )
    found = examine(server, database)
    assert found.damages == ()
    assert found.looked == PARTS, "and not one more"
    assert found.notes == ("public.fails was not looked through: amcheck ends with SQLSTATE P0001",)


def test_a_table_that_is_damaged(server: Postgres, database: str) -> None:
    """The first line pointer of its first page points into the page's head."""
    path = server.folder / "data" / str(server.execute("SELECT pg_relation_filepath('orders')", database)[0][0])
    script(server, database, "CHECKPOINT")
    server.stop()
    flip(path)
    server.start()
    found = examine(server, database)
    assert any(d.part == "public.orders" and "block 0" in d.said for d in found.damages), found


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(24)
        file.write((8 | 1 << 15 | 32 << 17).to_bytes(4, "little"))  # lp_off 8, LP_NORMAL, lp_len 32


def test_a_server_without_it(postgres16: Postgres) -> None:
    postgres16.create("without_amcheck")
    found = examine(postgres16, "without_amcheck")
    assert found.looked == ""
    assert found.damages == ()
    (note,) = found.notes
    assert "amcheck is not in the throwaway's server" in note
