"""What was read while pg_dump wrote, and the rest, are the whole: however it was written and whenever it was read."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from killick.engines.postgres import follow, tally
from killick.engines.postgres.follow import Followed

LINES = st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=30)
END = b"\\.\n\n\n"


def written(path: Path, data: bytes, cuts: list[int]) -> Iterator[None]:
    """Appends to `path`, a piece at each step."""
    for begin, end in pairwise([0, *sorted(cuts), len(data)]):
        with path.open("ab") as file:
            file.write(data[begin:end])
        yield


def followed(folder: Path, writer: Iterator[None], looks: int = 100) -> dict[str, Followed]:
    """Each time that it is asked whether it is over, another piece is there; then it may look some more times."""
    left = looks

    def ended(_seconds: float) -> bool:
        nonlocal left
        if next(writer, writer) is writer:
            left -= 1
        return left == 0

    return follow.follow(folder, ended)


@given(
    lines=LINES,
    cuts=st.lists(st.integers(0, 400), max_size=8),
    least=st.integers(1, 30),
    most=st.integers(1, 200),
    looks=st.integers(1, 50),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_and_the_rest_are_the_whole(
    lines: list[bytes],
    cuts: list[int],
    least: int,
    most: int,
    looks: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(follow, "_LEAST", least)
    monkeypatch.setattr(follow, "_MOST", most)
    path = tmp_path / "1.dat"
    path.unlink(missing_ok=True)
    data = b"".join(line + b"\n" for line in lines) + END
    begun = followed(tmp_path, written(path, data, [min(cut, len(data)) for cut in cuts]), looks).get("1.dat")
    begin, first = begun or Followed()
    rest = tally.of_pieces(tally.cut("t", path, 2, begin))
    assert tally.plus([("t", first), *rest.items()]) == tally.of_pieces(tally.cut("t", path, 1))


def test_only_the_files_of_tables_are_read_and_each_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"  # as yet pg_dump has not made it
    line = b"x" * 99 + b"\n"

    def dump() -> Iterator[None]:
        yield
        folder.mkdir()
        for name in ("1.dat", "23.dat", "blob_4.dat", "toc.dat", "5.dat.gz"):
            (folder / name).write_bytes(line * 20_000 + END)
        yield

    seen = followed(folder, dump())
    assert seen.keys() == {"1.dat", "23.dat"}
    for begin, (rows, _) in seen.values():
        assert (begin, rows) == (rows * len(line), 19_999), "the last lines wait for the end"


def test_it_is_over_before_all_is_read(tmp_path: Path) -> None:
    for name in ("1.dat", "2.dat"):
        (tmp_path / name).write_bytes(b"x\n" * follow._MOST + END)
    assert [begin for begin, _ in followed(tmp_path, iter(()), 2).values()] == [follow._MOST]


def test_a_line_longer_than_what_is_read_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "1.dat").write_bytes(b"x" * (follow._MOST + 1) + b"\n" + END)
    assert followed(tmp_path, iter(()), 5) == {}


def test_a_file_that_became_shorter_is_not_whole(tmp_path: Path) -> None:
    (tmp_path / "1.dat").write_bytes(b"a\nb\n" + END)
    assert tally.of_pieces(tally.cut("t", tmp_path / "1.dat", 2, 4))["t"][0] == 0
    with pytest.raises(ValueError, match="became shorter"):
        tally.cut("t", tmp_path / "1.dat", 2, 6)
