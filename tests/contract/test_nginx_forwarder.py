"""A real nginx of an old server refuses writes, and sends on whoever still comes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from deploy.move.ask import ask, until
from deploy.move.hosts import Local
from deploy.move.nginx import Forwarder
from killick.errors import KillickError, Refused
from tests.lab.forwarder import Forwarding
from tests.lab.sides import MARKER, Side, users

NAME = "shop.example"


@pytest.fixture
def sides() -> Iterator[tuple[Side, Side]]:
    with Side("old") as old, Side("new") as new:
        yield old, new


@pytest.fixture
def nginx(sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch) -> Iterator[Forwarding]:
    with Forwarding(sides[0].address) as server:
        monkeypatch.setenv("PATH", f"{server.bin}:{os.environ['PATH']}")
        yield server


@pytest.fixture
def forwarder(nginx: Forwarding, sides: tuple[Side, Side]) -> Forwarder:
    return Forwarder(Local(), nginx.files, sides[1].address)


def served_by(nginx: Forwarding) -> str:
    return ask(nginx.address, NAME).headers.get(MARKER.lower(), "")


def test_it_forwards_and_comes_back(nginx: Forwarding, forwarder: Forwarder) -> None:
    before = nginx.upstream.read_text()
    with users(nginx.address) as seen:
        forwarder.switch("new")
        assert forwarder.serves() == "new"
        assert until(lambda: seen["200 new"] > 20, 60)
        forwarder.switch("old")
        assert until(lambda: served_by(nginx) == "old", 60)
    assert nginx.upstream.read_text() == before
    assert not any(what[0] in "45" for what in seen)
    assert sorted(path.name for path in nginx.folder.glob("*.inc*")) == ["read_only.inc", "upstream.inc"]


def test_a_comment_that_is_no_utf_8_stays_as_it_is(nginx: Forwarding, forwarder: Forwarder) -> None:
    before = "# für alle\n".encode("latin-1") + nginx.upstream.read_bytes()
    nginx.upstream.write_bytes(before)
    assert list(forwarder.in_the_way()) == []
    forwarder.switch("new")
    forwarder.switch("old")
    assert nginx.upstream.read_bytes() == before


def test_a_read_only_file_that_is_no_utf_8_is_told(nginx: Forwarding, forwarder: Forwarder) -> None:
    nginx.read_only.write_bytes("# für alle\n".encode("latin-1") + nginx.read_only.read_bytes())
    assert any("not what a move may edit" in sentence for sentence in forwarder.in_the_way())


def test_switching_twice_does_not_forget_the_way_back(nginx: Forwarding, forwarder: Forwarder) -> None:
    before = nginx.upstream.read_text()
    forwarder.switch("new")
    forwarder.switch("new")
    forwarder.switch("old")
    assert nginx.upstream.read_text() == before


def test_writes_are_refused_and_let_through(
    nginx: Forwarding, forwarder: Forwarder, sides: tuple[Side, Side]
) -> None:  # fmt: skip
    forwarder.read_only(on=True)
    assert until(lambda: ask(nginx.address, NAME, "POST").status == 503, 60)
    assert ask(nginx.address, NAME).status == 200
    assert forwarder.is_read_only()
    forwarder.read_only(on=False)
    assert until(lambda: ask(nginx.address, NAME, "POST").status == 200, 60)
    assert forwarder.is_open()


def test_a_bad_one_puts_the_prior_back(nginx: Forwarding, forwarder: Forwarder) -> None:
    before = nginx.upstream.read_text()
    bad = Forwarder(Local(), nginx.files, "no.such.host.invalid:80")
    with pytest.raises(KillickError, match="refuses its configuration"):
        bad.switch("new")
    assert nginx.upstream.read_text() == before
    assert served_by(nginx) == "old"
    assert list(forwarder.in_the_way()) == []


def test_a_file_of_another_form_is_not_edited(nginx: Forwarding, forwarder: Forwarder) -> None:
    nginx.read_only.write_text("set $refused 0;\n")
    with pytest.raises(KillickError, match="not what a move may edit"):
        forwarder.read_only(on=True)
    assert nginx.read_only.read_text() == "set $refused 0;\n"
    assert any("not what a move may edit" in sentence for sentence in forwarder.in_the_way())


def test_a_way_back_that_is_gone_is_not_guessed(nginx: Forwarding, forwarder: Forwarder) -> None:
    forwarder.switch("new")
    nginx.upstream.with_name("upstream.inc.before-move").unlink()
    with pytest.raises(Refused, match="is gone"):
        forwarder.switch("old")
