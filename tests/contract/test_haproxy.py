"""A real HAProxy is switched, made read-only and reloaded, while users keep asking."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.move.ask import ask, until
from deploy.move.haproxy import Edge
from deploy.move.hosts import Local
from killick.errors import KillickError
from tests.lab.haproxy import Haproxy
from tests.lab.sides import MARKER, Side, more, users

NAME = "shop.example"


@pytest.fixture
def sides() -> Iterator[tuple[Side, Side]]:
    with Side("old") as old, Side("new") as new:
        yield old, new


@pytest.fixture
def haproxy(sides: tuple[Side, Side], monkeypatch: pytest.MonkeyPatch) -> Iterator[Haproxy]:
    with Haproxy(sides[0].address, sides[1].address) as server:
        monkeypatch.setenv("PATH", f"{server.bin}:{os.environ['PATH']}")
        yield server


@pytest.fixture
def edge(haproxy: Haproxy) -> Edge:
    return Edge(Local(), haproxy.proxy)


def served_by(haproxy: Haproxy) -> str:
    return ask(haproxy.address, NAME).headers.get(MARKER.lower(), "")


def status(haproxy: Haproxy, method: str, name: str = NAME) -> int:
    return ask(haproxy.address, name, method).status


def test_nobody_notices_a_switch_there_and_back(haproxy: Haproxy, edge: Edge) -> None:
    with users(haproxy.address) as seen:
        for to in ("new", "old", "new"):
            edge.switch(to)
            before = Counter(seen)
            assert until(lambda to=to, before=before: more(seen, before, f"200 {to}".__eq__, 50), 60)  # type: ignore[misc]
            assert edge.serves() == to
    assert set(seen) == {"200 old", "200 new"}


def test_users_see_it_where_old_is_stopped_first(haproxy: Haproxy, edge: Edge) -> None:
    """That nobody noticed above is worth something only when these users can notice."""
    with users(haproxy.address) as seen:
        edge.ask("set server shop/old state maint")
        assert until(lambda: seen["503 -"] > 0, 60)
        edge.ask("set server shop/new state ready")
        assert until(lambda: seen["200 new"] > 0, 60)


def test_a_reload_keeps_who_serves_and_what_is_refused(haproxy: Haproxy, edge: Edge) -> None:
    edge.read_only(on=True)
    edge.switch("new")
    edge._reload()
    assert edge.serves() == "new"
    assert served_by(haproxy) == "new"
    assert edge.is_read_only()
    assert status(haproxy, "POST") == 503
    edge.read_only(on=False)
    edge._reload()
    assert edge.is_open()
    assert status(haproxy, "POST") == 200


def test_without_the_files_a_reload_would_lose_it(haproxy: Haproxy, edge: Edge) -> None:
    edge.ask(f"set map {edge.proxy.map} shop 1; set server shop/new state ready; set server shop/old state maint")
    assert not edge.is_read_only()
    assert edge.serves() == "both"
    edge._reload()
    assert edge.is_open()
    assert edge.serves() == "old"


def test_read_only_is_for_every_name(haproxy: Haproxy, edge: Edge, sides: tuple[Side, Side]) -> None:
    edge.read_only(on=True)
    for name in (NAME, f"www.{NAME}", "never.heard.of"):
        assert [status(haproxy, method, name) for method in ("POST", "PUT", "PATCH", "DELETE")] == [503] * 4
        assert status(haproxy, "GET", name) == 200
    assert ask(haproxy.address, NAME, "POST").headers["retry-after"] == "30"
    assert sides[0].posted == []
    assert haproxy.map.read_text() == "other 0\nshop 1\n"


def test_a_misspelt_server_changes_nothing(haproxy: Haproxy, edge: Edge) -> None:
    """HAProxy would run the second half of the line, and nobody would serve."""
    before = haproxy.configuration.read_text()
    misspelt = Edge(Local(), replace(edge.proxy, new="nwe"))
    with pytest.raises(KillickError, match="no server nwe; there are new, old"):
        misspelt.switch("new")
    assert served_by(haproxy) == "old"
    assert haproxy.configuration.read_text() == before
    assert any("no server nwe" in sentence for sentence in misspelt.in_the_way())


def test_errors_are_text_and_are_taken_for_errors(edge: Edge) -> None:
    with pytest.raises(KillickError, match="No such server"):
        edge._set("set server shop/nope state ready")
    with pytest.raises(KillickError, match="backend"):
        Edge(Local(), replace(edge.proxy, backend="shpo")).states()
    with pytest.raises(KillickError, match=r"does not hold shpo"):
        Edge(Local(), replace(edge.proxy, backend="shpo"))._in_the_map()


def test_a_key_that_is_not_in_the_map(haproxy: Haproxy, edge: Edge) -> None:
    haproxy.map.write_text("other 0\n")
    edge._reload()
    with pytest.raises(KillickError, match="does not hold shop"):
        edge.read_only(on=True)
    assert haproxy.map.read_text() == "other 0\n"


def test_a_socket_that_is_gone(haproxy: Haproxy, edge: Edge) -> None:
    gone = Edge(Local(), replace(edge.proxy, socket=f"{haproxy.folder}/nothing.sock"))
    before = haproxy.configuration.read_text()
    for attempt in (lambda: gone.switch("new"), lambda: gone.read_only(on=True), gone.serves):
        with pytest.raises(KillickError, match=r"does not answer at .*nothing\.sock"):
            attempt()
    assert haproxy.configuration.read_text() == before
    assert served_by(haproxy) == "old"


def test_a_reload_makes_no_socket_whose_file_was_removed(haproxy: Haproxy, edge: Edge) -> None:
    """It hands the socket on as it is open: the hint says to restart."""
    before, socket = edge._pid(), Path(edge.proxy.socket)
    assert before
    socket.unlink()
    edge.host.shell(edge.proxy.reload)
    assert until(lambda: not Path(f"/proc/{before}").exists(), 60)
    assert served_by(haproxy) == "old"
    assert not socket.exists()
    with pytest.raises(KillickError, match="restart HAProxy: a reload makes none"):
        edge.states()


def test_a_configuration_that_it_would_not_start_with_is_not_left_there(haproxy: Haproxy, edge: Edge) -> None:
    bad = haproxy.configuration.read_text() + "    balance nonsense\n"
    haproxy.configuration.write_text(bad)
    with pytest.raises(KillickError, match="would not start with"):
        edge.switch("new")
    assert haproxy.configuration.read_text() == bad
    assert served_by(haproxy) == "old"
    assert not Path(f"{haproxy.configuration}.killick").exists()


def test_a_configuration_that_cannot_be_written(haproxy: Haproxy, edge: Edge) -> None:
    nowhere = Edge(Local(), replace(edge.proxy, config=f"{haproxy.folder}/gone/haproxy.cfg"))
    with pytest.raises(KillickError, match="is not there"):
        nowhere.switch("new")
    assert served_by(haproxy) == "old"
    assert any("cannot be written" in sentence for sentence in nowhere.in_the_way())


def test_nothing_stands_in_the_way_of_a_sound_one(edge: Edge) -> None:
    assert list(edge.in_the_way()) == []


def test_a_map_that_nothing_reads_is_told(haproxy: Haproxy, edge: Edge) -> None:
    text = haproxy.configuration.read_text()
    haproxy.configuration.write_text(
        text.replace("    acl frozen", "    # acl frozen").replace(" if frozen", " if FALSE")
    )
    assert any("never reads" in sentence for sentence in edge.in_the_way())


def test_a_comment_that_is_no_utf_8_stays_as_it_is(haproxy: Haproxy, edge: Edge) -> None:
    comment = "# für alle\n".encode("latin-1")
    before = {path: comment + path.read_bytes() for path in (haproxy.configuration, haproxy.map)}
    for path, data in before.items():
        path.write_bytes(data)
    edge._reload()
    assert list(edge.in_the_way()) == []
    edge.read_only(on=True)
    edge.switch("new")
    assert edge.is_read_only()
    assert all(path.read_bytes().startswith(comment) for path in before)
    edge.switch("old")
    edge.read_only(on=False)
    assert {path: path.read_bytes() for path in before} == before


def test_the_configuration_keeps_its_mode(haproxy: Haproxy, edge: Edge) -> None:
    haproxy.configuration.chmod(0o640)
    edge.switch("new")
    assert haproxy.configuration.stat().st_mode & 0o777 == 0o640
