"""How a file is cut into parts."""

import os
import threading
from hashlib import sha256
from pathlib import Path

import pytest

from killick.stores import _multipart
from killick.stores._multipart import MOST_PARTS, PART, Part, Slice, part_size, send_all
from killick.watch import unwatched

TIB = 1 << 40


@pytest.mark.parametrize("total", [0, 1, PART, PART * MOST_PARTS, PART * MOST_PARTS + 1, TIB, 5 * TIB])
def test_ten_thousand_parts_are_enough(total: int) -> None:
    size = part_size(total)
    assert size * MOST_PARTS >= total
    assert size % (1 << 20) == 0
    assert PART <= size <= 5 << 30


def test_a_slice_is_a_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    with path.open("rb") as file:
        body = Slice(file.fileno(), 50, 100, threading.Event())
        assert (len(body), body.read(3), body.tell(), body.read()) == (100, b"234", 3, bytes(range(53, 150)))
        assert body.read(5) == b""
        assert (body.seek(-2, os.SEEK_END), body.read(), body.seek(0), body.read(1)) == (98, b"\x94\x95", 0, b"2")


def test_every_byte_is_sent_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_multipart, "part_size", lambda _total: 1000)
    path, sent = tmp_path / "file", {}
    path.write_bytes(os.urandom(10_500))

    def send(part: Part) -> str:
        sent[part.number] = part.body.read()
        return f"etag {part.number}"

    parts = send_all(path, send, unwatched)
    assert b"".join(sent[n] for n in range(1, 12)) == path.read_bytes()
    assert parts.sha256 == sha256(path.read_bytes()).hexdigest()
    assert [p["ETag"] for p in parts.completed()] == [f"etag {n}" for n in range(1, 12)]
    assert parts.composite.endswith("=-11")


@pytest.mark.parametrize("bad", [1, 5, 11])
def test_one_part_that_fails_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: int) -> None:
    monkeypatch.setattr(_multipart, "part_size", lambda _total: 1000)
    (tmp_path / "file").write_bytes(bytes(10_500))

    def send(part: Part) -> str:
        if part.number == bad:
            raise OSError("no")
        return "etag"

    with pytest.raises(OSError, match="no"):
        send_all(tmp_path / "file", send, unwatched)
