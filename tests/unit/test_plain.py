"""The text of a plain dump: cut as psql cuts it, however it comes in pieces; what stands in it; what is left out."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killick.contents import Contents
from killick.engines.postgres.plain import statements
from killick.engines.postgres.plain.choice import Choice
from killick.engines.postgres.plain.events import Command, Comment, End, Event, Rows, RowsEnd, Statement
from killick.engines.postgres.plain.lexer import Lexer
from killick.engines.postgres.plain.reading import Dump, read
from killick.engines.postgres.plain.statements import Kind
from killick.errors import Corrupt, Refused

HEADER = b"--\n-- PostgreSQL database dump\n--\n\n"
FOOTER = b"\n--\n-- PostgreSQL database dump complete\n--\n\n"


def events(*chunks: bytes, escapes: bool = False, keep: int = 0) -> list[Event]:
    lexer = Lexer(chunks, keep=keep)
    lexer.escapes = escapes
    return joined(lexer)


def joined(lexer: Iterable[Event]) -> list[Event]:
    """Pieces of rows put together: where they are cut is the only thing that chunks may change."""
    found: list[Event] = []
    for event in lexer:
        if isinstance(event, Rows) and found and isinstance(found[-1], Rows):
            found[-1] = Rows(found[-1].data + event.data, found[-1].line)
        else:
            found.append(event)
    return found


def commands(text: bytes, **more: bool) -> list[bytes]:
    found = [event.text for event in events(text, **more) if isinstance(event, Command)]
    return [text for text in found if not text.startswith(b"\\.")]


def texts(text: bytes) -> list[bytes]:
    return [event.text for event in events(text) if isinstance(event, Statement)]


def dump(text: bytes) -> Dump:
    return read([HEADER + text])


HIDDEN = {
    "on a line of its own": b"\\! id\n",
    "behind a statement": b"SELECT 1; \\! id\n",
    "in the middle of one": b"SELECT 1 \\! id\n;",
    "in parentheses": b"CREATE TABLE t (a int, \\! id\n b int);",
    "behind a string with two quotes": b"SELECT 'a''b' \\! id\n;",
    "behind a string that ends in a backslash": b"SELECT 'a\\' \\! id\n;",
    "behind an escape string": b"SELECT E'a\\'' \\! id\n;",
    "behind an escape string's doubled quote": b"SELECT E'a''\\'' \\! id\n;",
    "behind an escape string that goes on behind a CR": b"SELECT E'a'\r  '\\'' \\! id\n;",
    "behind one that goes on behind a comment": b"SELECT E'a' -- x\r  '\\'' \\! id\n;",
    "behind the string after an escape string": b"SELECT E'a'\n '\\' \\! id\n;",
    "behind a word that ends in e": b"SELECT date'\\' \\! id\n;",
    "behind a quoted name": b'SELECT "a""\\" \\! id\n;',
    "behind a dollar quote": b"SELECT $$ ' $$ \\! id\n;",
    "behind a tagged dollar quote": b"SELECT $a$ $$ $b$ $a$ \\! id\n;",
    "behind a dollar in a name": b"SELECT a$$ \\! id\n;",
    "behind a parameter": b"SELECT $1 \\! id\n;",
    "behind a dollar quote behind a number": b"SELECT 1$$ ' $$ \\! id\n;",
    "behind a dollar quote behind another": b"SELECT $$x$$$$ ' $$ \\! id\n;",
    "behind a CR": b"\\. \r '\n\\! id\n",
    "behind an escape string behind a dollar quote": b"SELECT $$x$$E'a\\'' \\! id\n;",
    "behind a comment": b"SELECT 1 -- '\n\\! id\n;",
    "behind a comment that ends in CR": b"-- x\r\\! id\n",
    "behind a block comment": b"SELECT 1 /* ' */ \\! id\n;",
    "behind a block comment in another": b"/* /* */ ' */ \\! id\n",
    "behind a comment that looks like an operator": b"SELECT 1 +/* ' */ \\! id\n;",
    "behind the rows": b"COPY t FROM stdin;\n1\n\\.\n\\! id\n",
    "behind COPY in its line": b"COPY t FROM stdin; \\! id\n1\n\\.\n",
    "behind a COPY that is none": b"SELECT 'COPY t FROM stdin;'\\! id\n;",
    "behind a body of SQL": b"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; END \\! id\n;",
    "at the end, without a line's end": b"SELECT 1;\\! id",
}


@pytest.mark.parametrize("text", HIDDEN.values(), ids=HIDDEN.keys())
def test_a_command_is_seen_wherever_psql_would_run_it(text: bytes) -> None:
    assert [command.strip() for command in commands(text)] == [b"\\! id"]


HARMLESS = {
    "in a string": b"SELECT '\n\\! id\n';",
    "in a string behind two quotes": b"SELECT '''\n\\! id\n';",
    "in an escape string": b"SELECT E'\\'\n\\! id\n';",
    "in an escape string that goes on": b"SELECT E'a'\r'\\'\n\\! id\n';",
    "in a string of code points": b"SELECT U&'\n\\! id\n';",
    "in a quoted name": b'SELECT "\n\\! id\n";',
    "in a dollar quote": b"SELECT $$\n\\! id\n$$;",
    "in a tagged dollar quote": b"SELECT $a$ $b$ $$\n\\! id\n$a$;",
    "in a tag with letters of two bytes": "SELECT $é$ $e$\n\\! id\n$é$;".encode(),
    "in a comment": b"-- \\! id\nSELECT 1;",
    "in a block comment": b"/* /* */ \n\\! id\n*/ SELECT 1;",
    "in rows": b"COPY t FROM stdin;\n\\! id\n\\.\n",
    "in rows that hold what looks like their end": b"COPY t FROM stdin;\n\\.x\n\\\\.\n \\.\n\\! id\n\\.\n",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_only_looks_like_a_command_is_none(text: bytes) -> None:
    assert commands(text) == []
    assert events(text)[-1].inside == ""


def test_without_standard_strings_a_backslash_escapes() -> None:
    text = b"SELECT 'a\\' \\! id\n';"
    assert commands(text) == [b"\\! id"]
    assert commands(text, escapes=True) == []


STATEMENTS = [
    b"SELECT 1;",
    b"SELECT ';';",
    b'SELECT ";";',
    b"SELECT $$;$$;",
    b"SELECT 1 /* ; */;",
    b"CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);",
    b"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END;",
    b"create or replace procedure p() begin atomic insert into t values (1); end;",
    b"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ BEGIN; $$;",
    b"CREATE TABLE beginning (the_end int);",
    b"SELECT 1 - -1;",
    b"SELECT a/b;",
]


def test_a_statement_ends_where_psql_ends_it() -> None:
    assert texts(b"\n".join(STATEMENTS)) == STATEMENTS
    assert texts(b" ".join(STATEMENTS)) == STATEMENTS


def test_lines_are_counted() -> None:
    found = events(b"-- one\nSELECT '\n';\n\nCOPY t (a) FROM stdin;\n1\n2\n\\.\n\\connect x\nSELECT 1;\n")
    assert [(type(event), event.line) for event in found if not isinstance(event, RowsEnd)] == [
        (Comment, 1),
        (Statement, 2),
        (Statement, 5),
        (Rows, 6),
        (Command, 9),
        (Statement, 10),
        (End, 11),
    ]


@pytest.mark.parametrize("end", [b"\\.\n", b"\\.\r\n", b"\\.", b"\\.\r"], ids=repr)
def test_rows_end_at_a_backslash_and_a_dot(end: bytes) -> None:
    assert events(b"COPY t FROM stdin;\na\tb\n" + end) == [
        Statement(b"COPY t FROM stdin;", 1, 18, 0, b"t"),
        Rows(b"a\tb\n", 2),
        RowsEnd(),
        End(4 if end.endswith(b"\n") else 3),
    ]


def test_rows_have_no_cr_at_their_ends() -> None:
    (rows,) = (e for e in events(b"COPY t FROM stdin;\r\na\\r\r\nb\r\n\\.\r\n") if isinstance(e, Rows))
    assert rows.data == b"a\\r\nb\n"


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (b"SELECT 1", "a statement"),
        (b"SELECT 'x", "a string"),
        (b"SELECT E'x\\", "a string"),
        (b"SELECT $a$ x $", "a string"),
        (b'SELECT "x', "a quoted name"),
        (b"/* x", "a comment"),
        (b"SELECT 1 -- x", "a statement"),
        (b"COPY s.t (a) FROM stdin;", "the rows of s.t"),
        (b"COPY s.t (a) FROM stdin;\n1\t2", "the rows of s.t"),
        (b"COPY s.t (a) FROM stdin;\n1\t2\n\\", "the rows of s.t"),
        (b"SELECT 1;\n", ""),
        (b"", ""),
    ],
)
def test_where_a_text_ends_is_told(text: bytes, inside: str) -> None:
    end = events(text)[-1]
    assert isinstance(end, End)
    assert end.inside == inside


def test_of_a_long_statement_no_more_is_kept_than_was_asked_for() -> None:
    rows = b",".join(b"('x')" for _ in range(10_000))
    chunks = [b"INSERT INTO t VALUES ", *(rows[i : i + 100] for i in range(0, len(rows), 100)), b";"]
    (statement, _) = events(*chunks, keep=1000)
    assert isinstance(statement, Statement)
    assert len(statement.text) < 1200
    assert (statement.size, statement.groups) == (len(b"INSERT INTO t VALUES ") + len(rows) + 1, 10_000)


def test_nul_is_no_text() -> None:
    with pytest.raises(Corrupt, match="NUL"):
        events(b"SELECT 1;\0")


BITS = [
    *(b"'", b"''", b'"', b"$$", b"$a$", b"$", b"\\", b"\\.", b"\n\\.\n", b"--", b"-", b"/*", b"*/", b"/", b"*", b";"),
    *(b"(", b")", b"\n", b"\r\n", b"\r", b" ", b"E", b"e'", b" E'", b"x", b"\xc3\xa9", b"1", b"begin", b"END", b"case"),
    *(
        b"COPY t FROM stdin;",
        b"COPY t FROM stdin;\n",
        b"CREATE FUNCTION ",
        b"INSERT INTO t VALUES (1);\n",
        b"\t",
        b"$b$",
    ),
    *(b"INSERT INTO t VALUES (", b"VALUES", b"('--', ", b"-1)", b"INSERT INTO t (a) VALUES (-1, '\\'), (2, E'');\n"),
]
TEXTS = st.lists(st.sampled_from(BITS), max_size=40).map(b"".join)


@given(TEXTS, st.data())
def test_chunks_make_no_difference(text: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8).map(sorted))
    whole = events(text)
    assert events(*(text[a:b] for a, b in pairwise([0, *cuts, len(text)]))) == whole
    assert events(*(bytes([byte]) for byte in text)) == whole


KINDS = [
    ("INSERT INTO t VALUES (1);", Kind.ROWS),
    ("SELECT pg_catalog.setval('s', 1, true);", Kind.ROWS),
    ("SELECT setval('s', 1, true);", Kind.ROWS),
    ("SELECT pg_catalog.lo_create('1');", Kind.ROWS),
    ("COMMENT ON LARGE OBJECT 1 IS 'x';", Kind.ROWS),
    ("SET statement_timeout = 0;", Kind.SETTING),
    ("SET search_path = a, pg_catalog;", Kind.SETTING),
    ("SET SESSION AUTHORIZATION 'x';", Kind.OWNER),
    ('ALTER TABLE ONLY a.b OWNER TO "Odd Role";', Kind.OWNER),
    ("ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b;", Kind.OWNER),
    ("GRANT SELECT(a),UPDATE(b) ON TABLE t TO r;", Kind.OWNER),
    ("REVOKE ALL ON SCHEMA public FROM PUBLIC;", Kind.OWNER),
    ("GRANT a TO b GRANTED BY c;", Kind.SERVER),
    ("GRANT CONNECT ON DATABASE d TO r;", Kind.SERVER),
    ("CREATE DATABASE d WITH TEMPLATE = template0;", Kind.SERVER),
    ("ALTER DATABASE d OWNER TO r;", Kind.SERVER),
    ("DROP DATABASE IF EXISTS d;", Kind.SERVER),
    ("CREATE ROLE r;", Kind.SERVER),
    ("CREATE USER r;", Kind.SERVER),
    ("ALTER SYSTEM SET a = b;", Kind.SERVER),
    ("COMMENT ON DATABASE d IS 'x';", Kind.SERVER),
    ("SECURITY LABEL FOR x ON ROLE r IS 'y';", Kind.SERVER),
    ("CREATE USER MAPPING FOR r SERVER s;", Kind.OTHER),
    ("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false);", Kind.SUBSCRIPTION),
    ("ALTER SUBSCRIPTION s OWNER TO r;", Kind.SUBSCRIPTION),
    ("BEGIN;", Kind.TRANSACTION),
    ("COMMIT;", Kind.TRANSACTION),
    ("COMMIT PREPARED 'x';", Kind.FORBIDDEN),
    ("ROLLBACK;", Kind.FORBIDDEN),
    ("COPY t FROM PROGRAM 'id';", Kind.FORBIDDEN),
    ("copy (select 1) to program 'id';", Kind.FORBIDDEN),
    ("COPY /* x */ t FROM '/etc/passwd';", Kind.FORBIDDEN),
    ("COPY t FROM stdin WITH (FORMAT csv);", Kind.FORBIDDEN),
    ("CREATE SCHEMA public;", Kind.GIVEN),
    ("CREATE OR REPLACE PROCEDURAL LANGUAGE plpgsql;", Kind.GIVEN),
    ("COMMENT ON EXTENSION plpgsql IS 'x';", Kind.GIVEN),
    ("CREATE SCHEMA shop;", Kind.OTHER),
    ("ALTER TABLE t ALTER COLUMN c SET DEFAULT 'x OWNER TO y';", Kind.OTHER),
    ("DO $$ BEGIN DROP TABLE x; END $$;", Kind.OTHER),
    ("DROP TABLE t;", Kind.OTHER),
]


@pytest.mark.parametrize(("text", "kind"), KINDS)
def test_the_kind_of_a_statement(text: str, kind: Kind) -> None:
    assert statements.kind(statements.words(text.encode()), clearing=False) is kind


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE t;",
        "ALTER TABLE IF EXISTS ONLY t DROP CONSTRAINT c;",
        "CREATE OR REPLACE VIEW v AS SELECT NULL::integer AS a;",
        "SELECT pg_catalog.lo_unlink('1');",
    ],
)
def test_what_clean_drops_first(text: str) -> None:
    assert statements.kind(statements.words(text.encode()), clearing=True) is Kind.CLEARING


@pytest.mark.parametrize(
    ("text", "roles"),
    [
        ('ALTER TABLE t OWNER TO "Odd ""Role";', {'Odd "Role'}),
        ("ALTER SCHEMA s OWNER TO Shop;", {"shop"}),
        ('GRANT ALL ON FUNCTION f(a integer) TO a, "b c" WITH GRANT OPTION GRANTED BY d;', {"a", "b c", "d"}),
        ("REVOKE ALL ON TABLE role FROM PUBLIC;", set()),
        ("GRANT SELECT ON TABLE public.role TO x;", {"x"}),
        ("ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA s GRANT SELECT ON TABLES TO b;", {"a", "b"}),
        ("CREATE POLICY p ON t AS PERMISSIVE FOR SELECT TO a, b USING ((x = CURRENT_USER));", {"a", "b"}),
        ("CREATE USER MAPPING FOR a SERVER s;", {"a"}),
        ("CREATE USER MAPPING FOR PUBLIC SERVER s;", set()),
        ("GRANT pg_monitor TO a;", {"a"}),
        ("GRANT SELECT ON t TO pg_monitor;", set()),
    ],
)
def test_the_roles_that_a_statement_names(text: str, roles: set[str]) -> None:
    assert statements.roles(statements.words(text.encode()), "utf-8") == roles


def test_a_dump_is_read_through() -> None:
    found = dump(
        b"""-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.18
SET client_encoding = 'LATIN1';
SET search_path = shop, pg_catalog;
SET default_tablespace = '';
SET default_tablespace = fast;
CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;
CREATE EXTENSION postgis SCHEMA public;
CREATE TABLE caf\xe9 (a int);
CREATE TABLE public."Odd; Name" (a int);
CREATE UNLOGGED TABLE IF NOT EXISTS shop.none (a int);
CREATE TABLE parent (a int) PARTITION BY RANGE (a);
CREATE FOREIGN TABLE far (a int);
CREATE POLICY p ON shop.none TO app;
ALTER TABLE shop.none OWNER TO boss;
COPY caf\xe9 (a) FROM stdin;
1
2
\\.
INSERT INTO public."Odd; Name" (a, "VALUES") VALUES (1, 2), (3, 4);
INSERT INTO public."Odd; Name" VALUES (')');
INSERT INTO public."Odd; Name" DEFAULT VALUES;
"""
        + FOOTER
    )
    (section,) = found.sections
    assert (found.server_version, found.client_version) == ("15.20", "15.18")
    assert section.tables == {'shop."café"': 2, 'public."Odd; Name"': 4, "shop.none": 0}
    assert section.extensions == {"plpgsql": "pg_catalog", "postgis": "public"}
    assert (section.roles, section.required) == ({"boss"}, {"app": "policy"})
    assert section.tablespaces == {"fast"}
    assert found.forbidden == []


@pytest.mark.parametrize(
    "text",
    [
        b"COPY t FROM stdin;\n-- %b\n",
        b"COPY t FROM stdin;\n-- %b\n\\.\n",
        b"SELECT '\n-- %b\n",
        b"SELECT '\n-- %b\n';\n",
        b"/*\n-- %b\n*/",
        b"-- %b\nCREATE TABLE t (a int);\n",
        b"CREATE TABLE t (a int);\n",
    ],
)
def test_only_a_comment_of_its_own_at_the_end_makes_a_dump_complete(text: bytes) -> None:
    with pytest.raises(Corrupt, match="cut off"):
        dump(text.replace(b"%b", b"PostgreSQL database dump complete"))


def test_where_a_dump_is_cut_off_is_told_and_pg_dumps_last_words() -> None:
    with pytest.raises(Corrupt) as error:
        dump(b'CREATE TABLE t (a int);\nCOPY t FROM stdin;\n1\n2\npg_dump: error: Dumping of table "t" failed\n')
    assert "inside the rows of t, line 10" in error.value.message
    assert 'pg_dump: error: Dumping of table "t" failed' in error.value.message


def test_an_error_behind_a_whole_dump_speaks_against_it_and_a_warning_does_not() -> None:
    assert dump(FOOTER + b"pg_dump: warning: there are circular foreign keys").said.startswith("pg_dump: warning")
    with pytest.raises(Corrupt, match="could not write"):
        dump(FOOTER + b"pg_dump: error: could not write to output file")
    with pytest.raises(Corrupt) as error:
        dump(FOOTER + b"INSERT INTO t VALUES ('secret")
    assert "secret" not in error.value.message


def test_a_dump_of_a_cluster_ends_with_the_clusters_marker() -> None:
    begin = b"--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE app;\n\\connect template1\n" + HEADER + FOOTER
    one, two = (b"\\connect -reuse-previous=on \"dbname='%b'\"\n" % name + HEADER for name in (b"one", b"two"))
    made = b"CREATE TABLE t (a int);\n" + FOOTER
    end = b"--\n-- PostgreSQL database cluster dump complete\n--\n"
    found = read([begin + one + made + two + made + end])
    assert [section.database for section in found.filled] == ["one", "two"]
    assert found.of_server.keys() == {"CREATE ROLE"}
    with pytest.raises(Corrupt, match="cluster dump complete"):
        read([begin + one + made])


def test_lines_that_pg_dump_never_writes_are_told() -> None:
    text = b"\\connect x\n\\restrict a\n\\unrestrict a\n\\encoding UTF8\n\\.\n\\i /etc/passwd\nCOPY t TO PROGRAM 'x';\n"
    assert dump(text + FOOTER).forbidden == [(10, "\\i"), (11, "COPY")]
    hidden = b"\\connect `id`\n\\connect x \\! id\n\\copy t from program 'x'\nSELECT 1 \\g |id\n;"
    assert [what for _, what in dump(hidden + FOOTER).forbidden] == ["\\connect", "\\connect", "\\copy", "\\g"]


def test_an_encoding_whose_letters_look_like_quotes_is_refused() -> None:
    with pytest.raises(Refused, match="SJIS"):
        dump(b"SET client_encoding = 'SJIS';\n" + FOOTER)


def choice(**more: bool) -> Choice:
    return Choice(15, {"work_mem", "default_tablespace"}, {"pg_default"}, **{"owners": False, "rows": True, **more})


def taken(choice: Choice, text: str) -> bool:
    said = statements.words(text.encode())
    return choice.takes(choice.kind(said), said)


def test_a_copy_is_made_without_owners_and_says_so() -> None:
    copy, whole = choice(), choice(owners=True)
    for text in ("ALTER TABLE t OWNER TO boss;", "GRANT SELECT ON t TO r;", "CREATE SUBSCRIPTION s CONNECTION 'x';"):
        assert not taken(copy, text)
        assert taken(whole, text)
    notes = " ".join(copy.notes(Contents(roles=("boss", "r"))))
    assert "they name boss, r" in notes
    assert "subscriptions" in notes
    assert whole.notes(Contents(roles=("boss", "r"))) == []


def test_settings_and_tablespaces_that_the_server_lacks_are_left_out() -> None:
    server = choice()
    assert taken(server, "SET work_mem = 1;")
    assert taken(server, "SET default_tablespace = '';")
    assert not taken(server, "SET transaction_timeout = 0;")
    assert not taken(server, "SET default_tablespace = fast;")
    notes = server.notes(Contents(loose={"versions": {"server": "18"}}))
    assert "of Postgres 18" in notes[0]
    assert notes[1].endswith("transaction_timeout")
    assert "no tablespace fast" in notes[2]


def test_the_schema_alone_has_no_rows() -> None:
    schema = choice(rows=False)
    assert not taken(schema, "SELECT pg_catalog.setval('s', 3, true);")
    assert taken(schema, "CREATE TABLE t (a int);")


def test_what_clean_drops_is_left_out_until_something_is_made() -> None:
    server = choice()
    assert not taken(server, "DROP TABLE t;")
    server.clearing = False
    assert taken(server, "DROP TABLE t;")


SAID = [
    *[
        "CREATE",
        "TABLE",
        "EXTENSION",
        "SCHEMA",
        "POLICY",
        "USER",
        "MAPPING",
        "DATABASE",
        "INSERT",
        "INTO",
        "VALUES",
        "COPY",
        "FROM",
        "stdin",
        "GRANT",
    ],
    *[
        "ALTER",
        "OWNER",
        "SET",
        "search_path",
        "=",
        "SECURITY",
        "LABEL",
        "COMMENT",
        "ON",
        "TO",
        "SELECT",
        "setval",
        "REVOKE",
        "DROP",
        "BEGIN",
        "PARTITION",
        "BY",
    ],
    *("a", '"b"', "'c'", "(", ")", ",", ".", ";", ";\n", "\n", "-- Name: x; Type: y;\n", "\n\\connect d\n", "\n\\.\n"),
]


@given(st.lists(st.sampled_from(SAID), max_size=30))
def test_whatever_stands_in_a_text_it_is_read_or_refused(said: list[str]) -> None:
    text = " ".join(said).encode()
    try:
        found = dump(text + b"\n;" + FOOTER)
    except (Corrupt, Refused):
        return
    for event in Lexer([text + b"\n;"]):
        if isinstance(event, Statement):
            taken(choice(), event.text.decode())
    assert found.sections


@pytest.mark.parametrize("text", ["COPY t (%s) FROM nowhere;", "COPY %s FROM nowhere;", "INSERT INTO %s x;"])
def test_no_text_takes_long_to_be_told_apart(text: str) -> None:
    """Two quotes in a name can be read in two ways: trying all of them would take for ever."""
    assert len(events((text % ('"a"' * 5000)).encode())) == 2
