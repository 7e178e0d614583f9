"""How verifications are done: what the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from killick.catalog import Catalog
from killick.checks import Check
from killick.settings import COMMAND_OF
from killick.throwaway import App, Terms
from verify.report import LEVELS

HIGHEST = len(LEVELS) - 1


@dataclass(frozen=True)
class Options:
    """The same for every backup of a run. `timeout` and `rto` in seconds, 0: none.

    `checks` are the project's by source, `may_vanish` patterns of tables; `known` is what is in the store, for the
    backups before. `commands` are level 6's by source, each to be run in `app_image`, "" for beside killick.
    """

    scratch: Path
    level: int = HIGHEST
    where: str = "auto"
    identity: str = field(default="", repr=False)
    jobs: int = 2
    timeout: float = 0.0
    terms: Terms = field(default_factory=Terms)
    checks: Mapping[str, tuple[Check, ...]] = field(default_factory=dict)
    may_vanish: tuple[str, ...] = ()
    known: Catalog | None = None
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    app_image: str = ""
    rto: float = 0.0

    def app(self, source: str) -> App:
        return App(self.commands[source], self.app_image)


def variable(source: str) -> str:
    """The name of the one that holds the source's command."""
    return "VERIFY_COMMAND" if source == COMMAND_OF else f"VERIFY_COMMAND_{source.upper()}"
