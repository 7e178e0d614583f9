"""A signal is no error: it gets through to whoever puts things away and ends."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from killick.errors import Stopped, Unverifiable
from killick.events import Warned
from restore.restore import execute
from verify.deadline import Deadline

ROOT = Path(__file__).parents[2]
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


def test_a_verification_that_takes_too_long_is_held_up_by_nobody_who_catches_errors() -> None:
    with pytest.raises(Unverifiable, match="took longer than"), Deadline(0.2).running():
        for _ in range(3):
            with suppress(Exception):
                time.sleep(20)


class _Refresh(AbstractContextManager["_Refresh"]):
    """As much of a restore as `execute` asks of it."""

    def __init__(self, name: str, taken: Callable[[], None]) -> None:
        self.backup = SimpleNamespace(source=name)
        self.take = taken
        self.make = self.finish = lambda *_: None

    def __exit__(self, *_: object) -> None:
        pass


def test_a_restore_of_all_tells_what_is_in_use_already_when_a_signal_ends_it() -> None:
    def stopped() -> None:
        raise Stopped("stopped by SIGTERM")

    told: list[Warned] = []
    session = SimpleNamespace(
        project="shop",
        scratch=SimpleNamespace(sweep=tuple),
        settings=SimpleNamespace(sources=("db", "events", "uploads")),
        tell=told.append,
    )
    refreshes = [_Refresh("db", lambda: None), _Refresh("events", stopped), _Refresh("uploads", lambda: None)]
    with pytest.raises(Stopped):
        execute(session, refreshes)  # type: ignore[arg-type]
    assert [(each.source, each.message) for each in told] == [
        ("db", "it is in use already; to undo it: killick restore --undo --source db")
    ]
