"""The schema's text cut into its objects: what pg_dump writes between two of them is of neither."""

import pytest

from killick.engines.postgres.schema import entries

COMMENT = "COMMENT ON TABLE public.t IS 'first\n{}';"
FUNCTION = "CREATE FUNCTION public.f() RETURNS void\n    LANGUAGE sql\n    AS $$SELECT 1;\n{}$$;"
BETWEEN = (
    "SET default_tablespace = '';",
    "SET default_tablespace = fast;",
    'SET default_tablespace = "of O\'Brien";',
    "SET default_table_access_method = heap;",
    "SET default_with_oids = false;",
    "-- *not* creating schema, since initdb creates it",
    "-- Completed on 2026-11-23 03:00:00 UTC",
    "\\unrestrict BjpZLc2eDwtUjKtzkoJKYYi1hn2oSg5Z0SbM0i8RArHRgUfanEt77GholTMaerB",
)


def dumped(*bodies: str, end: str = "") -> str:
    """As pg_dump writes it: each entry has its heading, and its whole has an end."""
    text = "".join(
        f"--\n-- Name: o{i}; Type: TABLE; Schema: public; Owner: app\n--\n\n{body}\n\n\n"
        for i, body in enumerate(bodies)
    )
    return f"{text}--\n-- PostgreSQL database dump complete\n--\n\n{end}\n"


@pytest.mark.parametrize("last", ["-- {}", "--{}", "SET default_tablespace = {}", "\\unrestrict {}"])
@pytest.mark.parametrize("body", [COMMENT, FUNCTION])
@pytest.mark.parametrize("after", [(), ("CREATE TABLE public.last ();",)], ids=["last", "another after it"])
def test_the_last_line_of_an_object_s_own_text_counts(body: str, last: str, after: tuple[str, ...]) -> None:
    one, other = (entries(dumped(body.format(last.format(said)), *after)) for said in ("b", "c"))
    assert one["schema"]["TABLE public.o0"] != other["schema"]["TABLE public.o0"]
    assert one["schema"].get("TABLE public.o1") == other["schema"].get("TABLE public.o1")


@pytest.mark.parametrize("line", BETWEEN)
def test_what_stands_between_two_objects_is_of_neither(line: str) -> None:
    one, other = "CREATE TABLE public.o0 ();", "CREATE TABLE public.o1 ();"
    assert entries(dumped(f"{one}\n\n{line}", other)) == entries(dumped(one, other))
    assert entries(dumped(one, end=line)) == entries(dumped(one))
