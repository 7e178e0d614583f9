"""Who refuses writes, asked of a real HAProxy and a real nginx together, and of what they answer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from deploy.move import ask
from deploy.move import traffic as module
from deploy.move.haproxy import Edge
from deploy.move.hosts import Local
from deploy.move.nginx import Forwarder
from deploy.move.traffic import Traffic
from killick.errors import KillickError
from tests.lab import moves
from tests.lab.forwarder import Forwarding
from tests.lab.haproxy import Haproxy
from tests.lab.sides import MARKER, Side

NAME = "shop.localhost"


@pytest.fixture
def old() -> Iterator[Side]:
    with Side("old") as side:
        yield side


@pytest.fixture
def traffic(old: Side, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    """HAProxy, and nginx at the old address."""
    monkeypatch.setattr(module, "_TAKES", 5.0)
    monkeypatch.setattr(module, "_STARTS", 0.5)
    with Side("new") as new, Haproxy(old.address, new.address) as haproxy, Forwarding(old.address) as nginx:
        monkeypatch.setenv("PATH", f"{haproxy.bin}:{nginx.bin}:{os.environ['PATH']}")
        spec = moves.spec(old=nginx.address, names=(NAME,), marker=MARKER, proxy=haproxy.proxy, forwarder=nginx.files)
        yield Traffic(spec, [Edge(Local(), haproxy.proxy), Forwarder(Local(), nginx.files, new.address)])


def test_a_site_that_no_way_leads_to_is_in_the_way(traffic: Traffic, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with an edge that listens on 443 alone, and no forwarder: `read-only` would fail, for nothing can be shown."""
    made = moves.move(replace(traffic.spec, forwarder=None))
    made = replace(made, traffic=Traffic(made.spec, traffic.parts[:1]))
    monkeypatch.setattr(ask, "_leads_somewhere", lambda _: False)
    (sentence,) = module.in_the_way(made)
    assert re.fullmatch(
        rf"{NAME} is not reached at port 80 from here.* \(let HAProxy listen .*\[forwarder\]\)", sentence
    )
    assert made.traffic.open_ways()
    assert list(module.in_the_way(replace(made, spec=traffic.spec, traffic=traffic))) == []


def by_hand(traffic: Traffic) -> Traffic:
    """The same, where a person refuses and opens."""
    return Traffic(replace(traffic.spec, proxy=None, forwarder=None), [])


def test_refused_and_let_through(traffic: Traffic) -> None:
    assert (traffic.refusing(), traffic.closed_ways(), traffic.as_before()) == ([], [], [])
    traffic.read_only(on=True)
    assert traffic.is_read_only()
    assert traffic.refusing() == ["HAProxy on local", "nginx on local"]
    assert traffic.closed_ways() == [f"{NAME} answers POST with 503 ({traffic.spec.old.address})"]
    traffic.read_only(on=False)
    assert (traffic.refusing(), traffic.closed_ways(), traffic.as_before()) == ([], [], [])


@pytest.mark.parametrize("still", [0, 1])
def test_one_that_still_refuses_is_not_as_before(traffic: Traffic, still: int) -> None:
    """Not all refuse, and not all let through: neither read-only nor open."""
    traffic.read_only(on=True)
    traffic.parts[1 - still].read_only(on=False)
    assert not traffic.is_read_only()
    assert not traffic.is_open()
    assert traffic.as_before() == [f"{traffic.parts[still].name} still refuses writes"]


def test_what_a_part_says_is_not_taken_for_the_answer(traffic: Traffic) -> None:
    """Somebody else refuses writes: nginx did not read its file, another rule is there."""
    traffic.parts[1].read_only(on=True)
    only = Traffic(traffic.spec, traffic.parts[:1])
    with pytest.raises(KillickError, match=r"writes are still refused: shop\.localhost answers POST with 503"):
        only.read_only(on=False)
    assert only.as_before() == only.closed_ways() != []


def test_no_worker_of_before_the_reload_answers_once_more(traffic: Traffic) -> None:
    for on in (True, False) * 5:
        traffic.read_only(on=on)
        assert [traffic.open_ways() == [] for _ in range(30)] == [on] * 30


def test_by_hand_the_answers_say_so(traffic: Traffic) -> None:
    theirs = by_hand(traffic)
    assert theirs.is_open()
    traffic.read_only(on=True)
    assert theirs.refusing() == [NAME]
    assert not theirs.is_open()
    assert theirs.as_before() == [f"{NAME} answers POST with 503 ({traffic.spec.old.address})"]


def test_an_app_that_does_not_answer_is_no_refusal_and_not_as_before(traffic: Traffic, old: Side) -> None:
    old.__exit__(None, None, None)
    assert traffic.refusing() == traffic.closed_ways() == []
    assert traffic.as_before() == [f"{NAME}/ answers 502 ({traffic.spec.old.address})"]
