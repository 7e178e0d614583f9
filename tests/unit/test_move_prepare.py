"""What ran on the new server before a move began is kept once: it is what a way back leaves there."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy.move import databases
from deploy.move.journal import Journal
from deploy.move.step import Move
from deploy.move.steps import step
from killick.watch import unwatched


def test_a_second_act_does_not_take_what_the_first_started_for_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[str] = ["monitor"]
    monkeypatch.setattr(databases, "come_up", lambda _move: running.append("db"))
    monkeypatch.setattr(databases, "full", lambda _move: [])
    move = cast(Move, SimpleNamespace(new=SimpleNamespace(running=lambda: running), journal=Journal(None, [])))
    prepare: Any = step("prepare")
    for _ in range(2):
        prepare.act(move, unwatched)
    assert move.journal.kept("prepare", "running") == ["monitor"]
