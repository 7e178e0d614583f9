"""Rows and checksums of a table's file do not depend on how the work was shared."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from killick.engines.postgres import tally

LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=30)
END = b"\\.\n\n\n"


@given(lines=LINES, count=st.integers(1, 6), chunk=st.integers(1, 50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cut_and_any_chunk_give_the_same(
    lines: list[bytes], count: int, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "1.dat"
    path.write_bytes(b"".join(line + b"\n" for line in lines) + END)
    whole = tally.of_pieces(tally.cut("t", path, 1))
    monkeypatch.setattr(tally, "CHUNK", chunk)
    pieces = tally.cut("t", path, count)
    assert tally.of_pieces(pieces) == whole
    assert whole["t"][0] == len(lines)
    assert [piece.begin for piece in pieces[1:]] == [piece.end for piece in pieces[:-1]]


def test_the_order_of_rows_does_not_matter_and_each_of_them_does(tmp_path: Path) -> None:
    def of(text: bytes) -> tally.Tally:
        path = tmp_path / "1.dat"
        path.write_bytes(text + END)
        return tally.of_pieces(tally.cut("t", path, 2))["t"]

    assert of(b"a\nb\nc\n") == of(b"c\na\nb\n")
    assert len({of(b"a\nb\n"), of(b"a\nc\n"), of(b"a\n"), of(b"a\nb\nb\n"), of(b""), of(b"\n")}) == 6


@pytest.mark.parametrize("text", [b"", b"a\nb\n", b"a\nb\n\\."])
def test_a_file_without_its_end_is_not_whole(text: bytes, tmp_path: Path) -> None:
    path = tmp_path / "1.dat"
    path.write_bytes(text)
    with pytest.raises(ValueError, match="has no end"):
        tally.cut("t", path, 2)
