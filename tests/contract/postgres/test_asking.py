"""A project's questions about its data, on real servers: one value, and nothing written."""

import pytest

from killick.engines import Answer, Askable
from killick.errors import SourceError, Unreachable
from tests.contract.postgres.conftest import engine
from tests.lab.postgres import Postgres

MOMENT = "2026-11-23T03:00:00Z"
CANARY = "a row that nobody may read"


@pytest.fixture(scope="module")
def server(postgres16: Postgres) -> Postgres:
    postgres16.create("asked")
    postgres16.execute(
        f"CREATE TABLE people (id int PRIMARY KEY, name text); INSERT INTO people VALUES (1, '{CANARY}'), (2, 'Ωmega');"
        f"CREATE FUNCTION says() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{CANARY}'; END $$",
        "asked",
    )
    return postgres16


def ask(server: Postgres, question: str, seconds: float = 60.0) -> Answer:
    asked = engine(server, "asked")
    assert isinstance(asked, Askable)
    return asked.ask(question, MOMENT, seconds)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("SELECT true", True),
        ("SELECT bool_and(id > 1) FROM people", False),
        ("-- a comment\n\nSELECT count(*) FROM people;\n-- and another", 2),
        ("SELECT 1.5::numeric", 1.5),
        ("SELECT 12345678901234567890123::numeric", 12345678901234567890123),
        ("SELECT 'infinity'::float", float("inf")),
        ("WITH p AS (SELECT * FROM people) SELECT count(*) > 1 FROM p", True),
        ("VALUES (7)", 7),
        ("SELECT count(*) FROM people WHERE name LIKE 'Ω%'", 1),
        ("SELECT extract(epoch FROM current_setting('killick.snapshot')::timestamptz)", 1795402800),
        ("SELECT 100 % 7", 2),
    ],
)
def test_a_value(server: Postgres, question: str, answer: Answer) -> None:
    found = ask(server, question)
    assert (found, type(found)) == (answer, type(answer))


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("", "Postgres refuses it: syntax error at end of input"),
        ("SELECT true WHERE false", "it gives no row"),
        ("SELECT true FROM people", "it gives more than one row"),
        ("SELECT true, false", "it gives 2 columns"),
        ("SELECT", "it gives 0 columns"),
        ("SELECT NULL::boolean", "it gives NULL"),
        ("SELECT max(id) FROM people WHERE id > 5", "it gives NULL"),
        ("SELECT name FROM people LIMIT 1", "it gives neither a boolean nor a number"),
        ("SELECT now() - now()", "it gives neither a boolean nor a number"),
        ("SELECT true; SELECT false", "it holds more than one statement"),
        ("SELEC true", 'Postgres refuses it: syntax error at or near "SELEC"'),
        ("SELECT nothing FROM people", 'Postgres refuses it: column "nothing" does not exist'),
        ("DELETE FROM people", 'Postgres refuses it: syntax error at or near "DELETE"'),
        ("WITH d AS (DELETE FROM people RETURNING 1) SELECT true", "Postgres refuses it: DECLARE CURSOR must not"),
        ("SELECT nextval('nobodys') > 0", 'Postgres refuses it: relation "nobodys" does not exist'),
        ("SELECT lo_create(4711) > 0", "Postgres refuses it: cannot execute lo_create() in a read-only transaction"),
        ("SELECT 1 / 0", "Postgres cannot answer it: DivisionByZero, SQLSTATE 22012"),
        ("SELECT name::int FROM people", "Postgres cannot answer it: InvalidTextRepresentation, SQLSTATE 22P02"),
        ("SELECT says()", "Postgres cannot answer it: RaiseException, SQLSTATE P0001"),
    ],
)
def test_what_has_no_value(server: Postgres, question: str, sentence: str) -> None:
    with pytest.raises(SourceError) as raised:
        ask(server, question)
    assert raised.value.message.startswith(sentence)
    assert raised.value.hint
    assert CANARY not in str(raised.value)


def test_one_that_is_too_slow(server: Postgres) -> None:
    with pytest.raises(TimeoutError):
        ask(server, "SELECT pg_sleep(300) IS NULL", 0.2)


def test_one_that_may_take_longer_than_postgres_can_wait(server: Postgres) -> None:
    assert ask(server, "SELECT current_setting('statement_timeout') = '2147483647ms'", 30 * 86400) is True


def test_of_a_table_without_an_end_two_rows_are_read(server: Postgres) -> None:
    with pytest.raises(SourceError, match="more than one row"):
        ask(server, "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g) SELECT true FROM g")


def test_nothing_was_written(server: Postgres) -> None:
    for write in ("SELECT set_config('transaction_read_only', 'off', true); DELETE FROM people", "TRUNCATE people"):
        with pytest.raises(SourceError):
            ask(server, write)
    assert server.execute("SELECT count(*) FROM people", "asked") == [(2,)]


def test_of_every_major(any_postgres: Postgres) -> None:
    assert isinstance(asked := engine(any_postgres, "postgres"), Askable)
    assert asked.ask("SELECT current_setting('killick.snapshot') = '2026-11-23T03:00:00Z'", MOMENT, 60) is True


def test_a_server_that_went_away(postgres16: Postgres) -> None:
    asked = engine(postgres16, "asked")
    assert isinstance(asked, Askable)
    with pytest.raises(Unreachable):
        asked.ask("SELECT pg_terminate_backend(pg_backend_pid())", MOMENT, 60)
