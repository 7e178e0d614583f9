"""What a move is like from outside, by a prober: from the decision until the old server is retired.

Samples are kept beside the journal, so that a runner that was killed loses few of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import Any

from deploy.move import ask
from deploy.move.prober import Prober
from deploy.move.state import VERIFIED
from deploy.move.step import Move
from deploy.move.steps import DECIDE, RETIRE, called
from deploy.move.windows import Sample, Windows, windows
from killick.errors import KillickError, Unreachable
from killick.watch import Watch, unwatched

_FILE = "samples.jsonl"


class Outside:
    def __init__(self, move: Move) -> None:
        self._move = move
        self._held = ExitStack()
        self._prober: Prober | None = None
        self._saved: set[Sample] = set()

    def told(self, event: str, step: str) -> None:
        self.save()
        if (event, step) == (VERIFIED, called(DECIDE)):
            self.start()
        elif (event, step) == (VERIFIED, called(RETIRE)):
            self.stop()

    def watch(self, step: str) -> Watch:
        return unwatched

    def start(self) -> None:
        if self._prober is None:
            ways = _ways(self._move)
            by = " and ".join(target[0] for target in ways.values()) or "no way: none of them answers in plain HTTP"
            self._move.journal.note(called(DECIDE), f"asked from outside by {by}")
            self._prober = self._held.enter_context(Prober(ways, self._move.spec.check))

    def stop(self) -> None:
        if self._prober is not None:
            self._held.close()
            self.save()
            self._prober = None
            self._move.journal.write("windows", windows=document(windows(self._kept())))

    def save(self) -> None:
        folder = self._move.journal.folder
        if self._prober is None or folder is None:
            return
        new = [sample for sample in self._prober.samples() if sample not in self._saved]
        with (folder / _FILE).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(sample)) + "\n" for sample in new)
        self._saved.update(new)

    def _kept(self) -> Iterator[Sample]:
        folder = self._move.journal.folder
        if folder is None or not (folder / _FILE).exists():
            return
        for line in (folder / _FILE).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):  # a line that was torn when the runner was killed
                yield Sample(**json.loads(line))


@contextmanager
def measured(move: Move) -> Iterator[Outside]:
    """Starts at once where a runner before us was stopped in between."""
    outside, state = Outside(move), move.journal.state
    if state.step(called(DECIDE)).done and not state.step(called(RETIRE)).done:
        outside.start()
    try:
        yield outside
    finally:
        with suppress(OSError, KillickError):  # no room for it: how the move ended is told all the same
            outside.stop()


def document(found: Windows) -> dict[str, Any]:
    each = {name: getattr(found, name) for name in ("write_unavailable", "read_unavailable", "mixed")}
    told: dict[str, Any] = {
        name: {"seconds": round(window.seconds, 3), "spans": [[round(a, 3), round(b, 3)] for a, b in window.spans]}
        for name, window in each.items()
    }
    return {**told, "unknown": found.unknown}


def _ways(move: Move) -> Mapping[str, tuple[str, str]]:
    """Those that users take and that answer: what fails beforehand would tell nothing about the move. The old address
    is one where something there forwards, or nothing stands before it. In plain HTTP: a way that only sends on to TLS
    is left out, since that goes on whoever serves."""
    spec, name = move.spec, move.spec.names[0]
    ways = {"public": (name, name)}
    if spec.forwarder or not spec.proxy:
        ways["old"] = (spec.old.address, name)
    return {way: target for way, target in ways.items() if _answers(target, spec.check.paths[0])}


def _answers(target: tuple[str, str], path: str) -> bool:
    try:
        return ask.ask(*target, "GET", path).status < 300
    except Unreachable:
        return False
