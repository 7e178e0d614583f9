"""Why a restore stopped, without a row's content: names of the schema stay, values go."""

import pytest

from killick.engines.postgres.failures import restore_error, statement_error, without_content
from killick.errors import CommandFailed

SECRET = "Anna Smith"
QUOTED = {
    'invalid input syntax for type money: "Anna Smith"': "invalid input syntax for type money: …",
    'value "Anna Smith" is out of range for type integer': "value … is out of range for type integer",
    '"Anna Smith" is out of range for type double precision': "… is out of range for type double precision",
    'time zone "Anna Smith" not recognized': "time zone … not recognized",
}
OF_ROWS = {
    **QUOTED,
    'syntax error in tsquery: "Anna Smith"': "syntax error in tsquery: …",
    '"Anna Smith" is not a valid binary digit': "…",
    'value "a" relation "Anna Smith" is out of range for type integer': "value … is out of range for type integer",
    'new row for relation "t" violates check constraint "c"': 'new row for relation "t" violates check constraint "c"',
    'column "Anna': "column …",  # the value, or the name, goes on in the next line
    'null value in column "a" of relation "t" violates not-null constraint': (
        'null value in column "a" of relation "t" violates not-null constraint'
    ),
    'invalid byte sequence for encoding "UTF8": 0xe4 0x62': 'invalid byte sequence for encoding "UTF8": …',
}
OF_NO_ROWS = (
    'could not access file "$libdir/postgis-3": No such file or directory',
    'security label provider "anon" is not loaded',
    'unrecognized configuration parameter "transaction_timeout"',
    'syntax error at or near "NULLS"',
)


def restored(said: str, kind: str = "TABLE DATA public t", context: str = "COPY t, line 1") -> str:
    told = f"pg_restore: from TOC entry 7; 0 1 {kind} app\npg_restore: error: could not: ERROR:  {said}\n"
    return restore_error(CommandFailed("pg_restore", 1, f"{told}CONTEXT:  {context}, column a: {SECRET!r}\n")).message


@pytest.mark.parametrize(("said", "told"), QUOTED.items())
def test_a_value_that_the_server_quotes_is_left_out(said: str, told: str) -> None:
    assert without_content(said) == told
    assert told in restored(said, "VIEW public v")


@pytest.mark.parametrize(("said", "told"), OF_ROWS.items())
def test_where_rows_are_read_only_names_are_told(said: str, told: str) -> None:
    for kind in (
        "TABLE DATA public t",
        "INDEX public i",
        "FK CONSTRAINT public t k",
        "MATERIALIZED VIEW DATA public v",
    ):
        message = restored(said, kind)
        assert f": {told} (7; 0 1 {kind} app)" in message
        assert "Anna" not in message
    assert statement_error("line 7 of the dump", said).message == f"line 7 of the dump: {told}"
    copied = CommandFailed("pg_restore", 1, f'pg_restore: error: COPY failed for table "t": ERROR:  {said}\n')
    assert restore_error(copied).message.endswith(f': {told} (table "t")')


@pytest.mark.parametrize("said", OF_NO_ROWS)
def test_what_speaks_of_the_server_or_the_schema_is_told_as_it_is(said: str) -> None:
    assert said in restored(said, "FUNCTION public f()", "a statement")


@pytest.mark.parametrize("kind", ["TABLE DATA public t", "FUNCTION public f()"])
def test_the_text_of_a_function_of_the_database_s_own_is_not_told(kind: str) -> None:
    for context in (
        "PL/pgSQL function public.f(text) line 1 at RAISE\nCOPY t, line 1",
        'PL/pgSQL function public.f(text) line 1 at ASSERT\nSQL function "g"',
        'PL/Python function "f"\nCOPY t, line 1',
    ):
        message = restored(f"no customer {SECRET}", kind, context)
        assert "Anna" not in message and "a function of the database's own raised an error" in message
    found = statement_error("line 7 of the dump", f"no customer {SECRET}", "P0001")
    assert found.message == "line 7 of the dump: a function of the database's own raised an error"
