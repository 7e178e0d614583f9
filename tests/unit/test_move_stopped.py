"""A signal is no answer: whoever asks a server and goes on when it says nothing, stops when a person stops it."""

from __future__ import annotations

import ast
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

    class Part:
        name = "part"

        def __init__(self, error: KillickError) -> None:
            self.error = error

        def read_only(self, on: bool) -> None:
            raise self.error

    parts = cast(Any, [Part(KillickError("away")), Part(STOPPED)])
    with pytest.raises(Stopped):
        Traffic(move.spec, parts).read_only(on=False)


_TELLS = {  # in another thread, or at the very end
    "killick/cli.py:main",
    "killick/archive.py:run",
    "killick/stores/_download.py:_work",
    "killick/stores/_multipart.py:_work",
    "sidecar/backup.py:_one",
    "sidecar/cli.py:run",
    "sidecar/cli.py:fleet",
    "deploy/move/runner.py:forward",
    "deploy/move/runner.py:_turn",
}


def test_nobody_goes_on_after_a_signal() -> None:
    """It passes all that catches errors; who catches even that raises again, or is known to tell of it."""
    packages = [ROOT / name for name in ("killick", "sidecar", "restore", "verify", "deploy")]
    found = {place for each in packages for path in sorted(each.rglob("*.py")) for place in _caught(path)}
    assert found == _TELLS


def _caught(path: Path) -> Iterator[str]:
    for function in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            if (
                isinstance(node, ast.ExceptHandler)
                and {"BaseException", "Stopped"} & _named(node.type)
                and not isinstance(node.body[-1], ast.Raise)
            ):
                yield f"{path.relative_to(ROOT)}:{function.name}"


def _named(node: ast.expr | None) -> set[str]:
    if isinstance(node, ast.Tuple):
        return {name for each in node.elts for name in _named(each)}
    return {node.id} if isinstance(node, ast.Name) else {"BaseException"} if node is None else set()
