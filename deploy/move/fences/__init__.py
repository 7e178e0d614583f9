"""A write fence around a database of the old server: nobody gets in but the move's own user, which reads.

One module for each engine, by killick's name of it, with
    def fence(site: Site, held: Held, id: str) -> Fence
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol

from deploy.move.site import Site
from deploy.move.sources import Held, databases
from deploy.move.step import Move
from killick.errors import KillickError, Refused

ENGINES = ("postgres", "mongodb")


class Fence(Protocol):
    """Every method may be called again after any of them was interrupted anywhere."""

    user: str

    def in_the_way(self) -> Iterator[str]:
        """Why it could not be put up, with the cures. Changes nothing."""

    def up(self) -> None:
        """Puts it up and ends every session; `lacks` tells whether it holds. Raises Refused on what would write through
        it."""

    def lacks(self) -> str:
        """Why it does not hold, by a real login of others and by who is in; "" where it does."""

    def quiet(self) -> str:
        """A word that is another one after any write. It may also be another without one (ANALYZE, sessions' ends)."""

    def lift(self) -> None:
        """As it was before, to the byte."""


def of(move: Move) -> dict[str, Fence]:
    """By source."""
    return {each.source: one(move.old, each, move.id) for each in databases(move)}


def one(site: Site, held: Held, id: str) -> Fence:
    if held.engine not in ENGINES:
        raise Refused(
            f"{held.source} is {held.engine or 'of no known engine'}, around which no fence can be put up",
            f"there are fences for {' and '.join(ENGINES)}",
        )
    fence: Fence = import_module(f"{__name__}.{held.engine}").fence(site, held, id)
    return fence


def in_the_way(move: Move) -> Iterator[str]:
    try:
        found = of(move)
    except KillickError as error:
        yield str(error)
        return
    for source, fence in found.items():
        try:
            yield from fence.in_the_way()
        except (KillickError, TimeoutError) as error:
            yield f"{source}: whether a fence can be put up is not known: {error}"
