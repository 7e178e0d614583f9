"""What became of a restore, for a program and for a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Result:
    """`rows` are those that went in without an error; `amount` says the same to a person, in the source's own words.

    `id` is None after an undo or a reset. `undo` is the command that takes it back, None where there is no way back.
    `age` is how old the data is, `notes` are sentences. `look` is what was there in the end, as restore/look.py tells
    it, where that was asked for.
    """

    id: str | None
    into: str
    seconds: Mapping[str, float]
    rows: int = 0
    amount: str = ""
    age: str = ""
    undo: str | None = None
    notes: tuple[str, ...] = field(default=())
    look: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id, "into": self.into, "seconds": dict(self.seconds), "rows": self.rows, "undo": self.undo,
            **({} if self.look is None else {"look": self.look}),
        }  # fmt: skip

    def text(self, done: str) -> str:
        """`done` begins the sentence: "20261123T030000Z-db is in use"."""
        took = ", ".join(f"{phase} {seconds:.1f} s" for phase, seconds in self.seconds.items())
        whole = sum(self.seconds.values())
        lines = [f"✓ {done}: {self.amount} in {whole:.1f} s ({took})" if self.amount else f"✓ {done}, {whole:.1f} s"]
        if self.age:
            lines.append(f"  its data is {self.age} old")
        lines += [f"  {note}" for note in self.notes]
        if self.undo:
            lines.append(f"  to undo it: {self.undo}")
        return "\n".join(lines)
