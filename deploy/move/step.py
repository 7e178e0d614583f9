"""One step of a move, and what every step works with.

    probe   looks at the two servers, never at the journal: is what the step wants already so?
    act     does it; what was there before goes into the journal first, so that `undo` can put it back
    verify  proves it, from outside where that can be; one sentence for the report
    undo    puts back what was there; it may be called after `act` was interrupted anywhere, and twice

A step that finds what it must not touch raises Refused: the operator reads why. A second `act` after one that was
interrupted has to end as one that was not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from killick.watch import Watch

if TYPE_CHECKING:
    from deploy.move.journal import Journal
    from deploy.move.person import Person
    from deploy.move.site import Site
    from deploy.move.spec import Spec
    from deploy.move.traffic import Traffic


@dataclass(frozen=True, eq=False)  # one is itself: what is asked once of a move is kept by it
class Move:
    """`id` is a UTC stamp, "20261128T230000Z": it names what the move makes on the servers (roles, folders).

    `journal` keeps values that `undo` needs, and none is a secret. Secrets that the move itself makes are kept on the
    server that they belong to, readable by its user only.
    """

    id: str
    spec: Spec
    old: Site
    new: Site
    traffic: Traffic
    journal: Journal
    person: Person


class Step(Protocol):
    """`name` is one word or two with a hyphen, as the journal and the report call it."""

    name: str

    def says(self, move: Move) -> str:
        """What it would do, to a person: a line of the plan. Asks no server."""

    def probe(self, move: Move) -> bool:
        """Whether it is so already. Changes nothing. Raises Refused on what must not be touched."""

    def act(self, move: Move, watch: Watch) -> None: ...

    def verify(self, move: Move) -> str:
        """What was proven. Raises KillickError when it is not so."""

    def undo(self, move: Move) -> None: ...
