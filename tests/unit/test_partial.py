"""A download's part and its record, without a store."""

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from killick.errors import StoreError
from killick.stores import _partial
from killick.stores._partial import Partial, Span, joined
from killick.stores._threads import Cancelled

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: Span(pair[0], sum(pair))))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def recorded(path: Path) -> object:
    return json.loads(path.with_name("file.part.json").read_text())["done"]


@given(SPANS)
def test_joined_spans_hold_the_same_bytes(spans: list[Span]) -> None:
    found = joined(spans)
    assert {byte for span in found for byte in range(span.start, span.end)} == {
        byte for span in spans for byte in range(span.start, span.end)
    }
    assert all(one.end < two.start for one, two in pairwise(found))


@given(SPANS, st.integers(1, 30))
def test_what_is_missing_is_what_did_not_come(spans: list[Span], most: int) -> None:
    partial = Partial(Path("nowhere"))
    partial.size, partial._done = 100, joined(spans)
    missing = [*partial.missing(most)]
    came = {byte for span in spans for byte in range(span.start, span.end)}
    assert [byte for span in missing for byte in range(span.start, span.end)] == sorted(set(range(100)) - came)
    assert all(0 < span.size <= most for span in missing)


def test_what_came_in_any_order_is_gone_on_with(path: Path) -> None:
    content = os.urandom(100)
    with Partial(path) as partial:
        partial.begin("etag", 100)
        for start in (50, 10, 60):
            partial.write(start, content[start : start + 10])
    assert recorded(path) == [[10, 20], [50, 70]]
    with Partial(path) as partial:
        assert (partial.etag, partial.size, partial.have) == ("etag", 100, 30)
        partial.begin("etag", 100)
        for span in partial.missing(1000):
            partial.write(span.start, content[span.start : span.end])
        partial.finish("key")
    assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["file"]


@pytest.mark.parametrize(("etag", "size"), [("other", 100), ("etag", 99)])
def test_a_part_of_another_object_is_dropped(path: Path, etag: str, size: int) -> None:
    with Partial(path) as partial:
        partial.begin("etag", 100)
        partial.write(0, b"x" * 100)
    with Partial(path) as partial:
        partial.begin(etag, size)
        assert partial.have == 0
        assert path.with_name("file.part").stat().st_size == 0
        assert not path.with_name("file.part.json").exists()


def test_nothing_is_recorded_before_it_is_on_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What power's loss would leave: the record, without those bytes that were never synced."""
    synced: list[object] = []

    def fdatasync(file: int) -> None:
        synced.append(recorded(path) if path.with_name("file.part.json").exists() else None)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    monkeypatch.setattr(_partial, "EVERY", 0)
    with Partial(path) as partial:
        partial.begin("etag", 100)
        for start in (0, 20, 40):
            partial.write(start, b"x" * 10)
            partial.keep()
        assert synced == [None, [[0, 10]], [[0, 10], [20, 30]]]
        assert recorded(path) == [[0, 10], [20, 30], [40, 50]]


def test_a_record_is_not_written_for_every_chunk(path: Path) -> None:
    """A manifest is a download too, and there are thousands of them."""
    with Partial(path) as partial:
        partial.begin("etag", 10)
        partial.write(0, b"x" * 10)
        partial.keep()
        assert not path.with_name("file.part.json").exists()
        partial.finish("key")


def test_what_is_not_whole_gets_no_name(path: Path) -> None:
    for come in (b"x" * 9, b"x" * 11):
        with Partial(path) as partial:
            partial.begin("etag", 10)
            partial.write(0, come)
            with pytest.raises(StoreError, match=f"key: {len(come)} bytes came, and the store said 10"):
                partial.finish("key")
        assert list(path.parent.iterdir()) == []


def test_a_thread_that_comes_late_writes_nowhere(path: Path) -> None:
    """The descriptor's number may be another file's by then."""
    with Partial(path) as partial:
        partial.begin("etag", 10)
        partial.write(0, b"x")
    with path.with_name("other").open("wb") as other, pytest.raises(Cancelled):
        partial.write(0, b"late")
    assert path.with_name("other").read_bytes() == b""
    assert other.closed
