"""Older archives: the names of what is in them, and words that are shown."""

import pytest

from killick.older.names import unpacked
from killick.older.said import complaint, quoted


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("202611/app.20261106-020000.sql.lrz", "app.20261106-020000.sql"),
        ("app.sql.sql.ZST", "app.sql.sql"),
        ("app.sql.gz.gz", "app.sql"),
        ("20160504.tar.lrz", "20160504.tar"),
        ("app.dump", "app.dump"),
        ("app.tgz", "app.tgz"),
    ],
)
def test_the_name_of_what_is_inside(id: str, name: str) -> None:
    assert unpacked(id) == name


def test_words_are_shown_in_one_line_without_secrets() -> None:
    said = quoted(
        b'pg_dump: error:\r\n  connection to "postgres://app:hush@db/app" password=hush\x1b[31m \xff failed\n'
    )
    assert said == 'pg_dump: error: connection to "postgres://***@db/app" password=*** \ufffd failed'
    assert len(quoted(b"x" * 9999)) < 600


def test_only_a_short_text_that_speaks_of_trouble_is_shown() -> None:
    assert complaint(b"docker: Error response from daemon: No such container: db\n").startswith("docker: Error")
    assert complaint(b"Ada Lovelace, 10 Downing Street\n") == ""
    assert complaint(b"Ada\n" * 9999 + b"error") == ""
    assert complaint(b"error\0") == ""
