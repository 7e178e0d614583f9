"""A signal is no answer: whoever asks a server and goes on when it says nothing, stops when a person stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.move import ask, carry, dns, fences, files, go, plan, site, traffic, volumes
from deploy.move.haproxy import Edge
from deploy.move.hosts import Local
from deploy.move.nginx import Forwarder
from deploy.move.spec import Forwarder as Files
from deploy.move.spec import Names, Proxy
from deploy.move.step import Move
from deploy.move.steps import step
from deploy.move.traffic import Traffic
from killick.errors import KillickError, Stopped, Unreachable
from killick.process import Command
from tests.lab import moves

ROOT = Path(__file__).parents[2]
PROXY = Proxy("local", "/admin.sock", "/haproxy.cfg", "shop", "old", "new", "/map", "true", "true")
FILES = Files("/read-only.conf", "/upstream.conf", "true", "true")
NAMES = Names("cloudflare", "example.com", token_variable="T")
STOPPED = Stopped("stopped by SIGINT")


class Signal:
    """It comes while something is asked, and only once: killick hears no second one. From then on nobody answers."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, *_given: object) -> Any:
        if self.came:
            raise Unreachable("nobody answers")
        self.came = True
        raise STOPPED


@dataclass(frozen=True)
class Asked(Local):
    signal: Signal

    def command(self, argv: Sequence[str]) -> Command:
        found: Command = self.signal()
        return found


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Move:
    signal = Signal()
    monkeypatch.setenv("T", "token")
    monkeypatch.setattr(ask, "ask", signal)
    monkeypatch.setattr("deploy.move.dns.cloudflare.Cloudflare.active", signal)
    host = Asked(signal)
    spec = moves.spec(proxy=PROXY, forwarder=FILES, marker="X-Served-By", dns=NAMES)
    made = moves.move(replace(spec, sources=(("db", "db"), ("uploads", ""))))
    old, new = replace(made.old, host=host), replace(made.new, host=host)
    made.journal.write("begun", "read-only")
    return replace(made, old=old, new=new, traffic=Traffic(spec, [Edge(host, PROXY)]))


class Part:
    name = "part"

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.told: list[bool] = []

    def read_only(self, on: bool) -> None:
        if self.error:
            raise self.error
        self.told.append(on)


def _by_hand(move: Move) -> str:
    return Traffic(move.spec, []).serves()


def _nginx(move: Move) -> Iterator[str]:
    return Forwarder(move.old.host, FILES, "192.0.2.2").in_the_way()


def _backups(move: Move) -> object:
    class Runs(site.Site):
        def running(self) -> list[str]:
            return ["sidecar"]

    new = Runs(move.new.host, move.new.server, move.new.sidecar)
    return import_module("deploy.move.steps.soak")._backups(replace(move, new=new))


@pytest.mark.parametrize(
    "asks",
    [
        site.in_the_way, carry.in_the_way, volumes.in_the_way, fences.in_the_way, traffic.in_the_way, dns.in_the_way,
        plan._in_the_way, go._wrong, _by_hand, _nginx, _backups, lambda move: files.writable(move.old.host, "/map"),
    ],
)  # fmt: skip
def test_a_signal_while_a_server_is_asked_is_no_answer(asks: Callable[[Move], object], move: Move) -> None:
    with pytest.raises(Stopped):
        list(cast(Any, asks(move)))


def test_a_signal_while_writes_are_let_through_is_told_before_what_failed(move: Move) -> None:
    """The way back begins anew then, and opens what was left."""

    parts = cast(Any, [Part(KillickError("away")), Part(STOPPED)])
    with pytest.raises(Stopped):
        Traffic(move.spec, parts).read_only(on=False)


@pytest.mark.parametrize("error", [KillickError("away"), TimeoutError("sh on edge gave no answer for 60 s")])
def test_a_part_that_does_not_open_keeps_no_other_closed(error: Exception, move: Move) -> None:
    parts = [Part(error), Part()]
    with pytest.raises(type(error)):
        Traffic(move.spec, cast(Any, parts)).read_only(on=False)
    assert parts[1].told == [False]


def test_a_file_of_nginx_is_put_back_after_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "read-only.conf"
    path.write_text(before := "map $write $refused { default 0; }\n")
    nginx = Forwarder(Local(), replace(FILES, read_only=str(path)), "192.0.2.2")
    monkeypatch.setattr(Forwarder, "_test", stop)
    with pytest.raises(Stopped):
        nginx.read_only(on=True)
    assert path.read_text() == before


def test_the_configuration_of_haproxy_is_put_back_after_a_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text(before := "backend shop\n    server old 192.0.2.1:80\n    server new 192.0.2.2:80 disabled\n")
    edge = Edge(Local(), replace(PROXY, config=str(path)))
    monkeypatch.setattr(Edge, "_ours", lambda _: {"old": True, "new": False})
    monkeypatch.setattr(Edge, "_at_once", stop)
    with pytest.raises(Stopped):
        edge.switch("new")
    assert path.read_text() == before


def stop(*_given: object) -> None:
    raise STOPPED


def test_a_fence_that_does_not_hold_says_why(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    class Open:
        def lacks(self) -> str:
            return "others get in"

    running = [move.spec.apps[0]]
    monkeypatch.setattr(fences, "of", lambda _: {"db": Open()})
    monkeypatch.setattr(site.Site, "running", lambda _: running)
    with pytest.raises(KillickError, match=f"does not hold: {running[0]} runs"):
        step("fence").verify(move)
    running.clear()
    with pytest.raises(KillickError, match="does not hold: db: others get in"):
        step("fence").verify(move)
