"""How a deploy ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy.containers import Container


@dataclass(frozen=True)
class Outcome:
    """`error` is "" for a success; `changed`: something was started; `backups` are ids; `seconds` by step. `containers`
    is None where docker does not tell."""

    project: str
    error: str
    changed: bool
    backups: Sequence[str]
    seconds: Mapping[str, float]
    containers: Sequence[Container] | None

    def to_json(self) -> dict[str, Any]:
        """The document of `killick deploy --json`."""
        return {
            "project": self.project,
            "error": self.error or None,
            "changed": self.changed,
            "backups": list(self.backups),
            "seconds": dict(self.seconds),
            "services": None
            if self.containers is None
            else [
                {"service": c.service, "image": c.image, "status": c.status, "health": c.health or None}
                for c in self.containers
            ],
        }
