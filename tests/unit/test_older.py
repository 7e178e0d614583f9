"""Older archives: the names of what is in them, their layers, and words that are shown."""

import lzma
from pathlib import Path

import pytest

from killick.errors import Corrupt
from killick.older.layers import peel
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


TWO = lzma.compress(b"one ") + b"\0" * 8 + lzma.compress(b"two") + b"\0" * 4


@pytest.mark.parametrize(
    ("data", "inside"),
    [
        (TWO, b"one two"),
        (lzma.compress(b"\0" * (5 << 20)), b"\0" * (5 << 20)),
        (lzma.compress(b"one", lzma.FORMAT_ALONE), b"one"),
        (TWO[:-20], None),
        (TWO.replace(b"\0\0\0\0\xfd7zXZ", b"\0\0\0\0\xfd7zXX"), None),
        (lzma.compress(b"one") + b"more", None),
        (lzma.compress(b"one")[:8], None),
    ],
    ids=[
        "two streams",
        "much of little",
        "the older format",
        "cut",
        "the second is none",
        "more behind it",
        "its head",
    ],
)
def test_xz_is_read_to_its_last_byte(tmp_path: Path, data: bytes, inside: bytes | None) -> None:
    file = tmp_path / "app.sql.xz"
    file.write_bytes(data)
    if inside is None:
        with pytest.raises(Corrupt, match="does not decode: xz"):
            peel(file, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["app.sql.xz"]
    else:
        path, _ = peel(file, tmp_path)
        assert path.read_bytes() == inside
