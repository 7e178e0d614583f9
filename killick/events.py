"""What happened, as facts. The core says it; observers log, count, notify."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from killick.manifest import Manifest


@dataclass(frozen=True)
class Event:
    project: str
    source: str


@dataclass(frozen=True)
class BackupStarted(Event):
    id: str


@dataclass(frozen=True)
class BackupFinished(Event):
    """`first`: the source had no backup; `recovered`: the attempt before this one had failed."""

    manifest: Manifest
    seconds: float
    first: bool = False
    recovered: bool = False


@dataclass(frozen=True)
class BackupFailed(Event):
    """`kind` is the error's slug, `phase` where it happened. `first`: the attempt before this one had succeeded."""

    id: str
    kind: str
    phase: str
    message: str
    hint: str
    seconds: float
    first: bool = True


@dataclass(frozen=True)
class PhaseFinished(Event):
    phase: str
    seconds: float
    details: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress(Event):
    """How far a phase is that lasts. `total` is 0 where nobody knows it; `unit` is "bytes" or "rows"."""

    phase: str
    done: int
    total: int
    unit: str


@dataclass(frozen=True)
class Swept(Event):
    """What an earlier run left behind when it died, and that it is gone now."""

    what: str


@dataclass(frozen=True)
class VerifyFinished(Event):
    """`result`: passed, failed, unverifiable; `level` the highest reached, and `at` where it ended: the level that did
    not hold and the phase. `error` names the first difference.

    `first`: the one before ended otherwise; `recovered`: it passed, and the one before did not, or was too long ago.
    """

    id: str
    result: str
    level: int
    seconds: float
    error: str = ""
    hint: str = ""
    first: bool = True
    at: str = ""
    recovered: bool = False

    @property
    def sentence(self) -> str:
        """What went wrong: with which backup, where, what."""
        how = {"failed": "failed", "unverifiable": "could not be verified"}[self.result]
        return f"{self.project}/{self.id} {how}{f' at {self.at}' if self.at else ''}: {self.error}"


@dataclass(frozen=True)
class VerifyOverdue(Event):
    """Nothing of the source was proven for `age` seconds, longer than `limit`. Told once, until something is."""

    age: float
    limit: float
    message: str
    hint: str


@dataclass(frozen=True)
class Pruned(Event):
    ids: tuple[str, ...]


@dataclass(frozen=True)
class DeployFinished(Event):
    """`source` is the environment; `ids` are the backups of just before."""

    seconds: float
    ids: tuple[str, ...]


@dataclass(frozen=True)
class DeployFailed(Event):
    """`phase` is where it happened; `restore` the commands that bring the data back, where it may have changed."""

    phase: str
    message: str
    hint: str
    restore: tuple[str, ...] = ()


@dataclass(frozen=True)
class Warned(Event):
    message: str


Observer = Callable[[Event], None]


class Emitter:
    """Tells every observer. One that fails is told of by `complain`, and never fails the work."""

    def __init__(self, observers: Sequence[Observer], complain: Callable[[str], None]) -> None:
        self._observers = tuple(observers)
        self._complain = complain

    def __call__(self, event: Event) -> None:
        for observer in self._observers:
            try:
                observer(event)
            except Exception as error:  # whatever an observer does, the backup goes on
                name = getattr(observer, "__name__", type(observer).__name__)
                self._complain(f"{name} could not report {type(event).__name__}: {type(error).__name__}")
