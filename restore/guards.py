"""Whether a target may be filled or replaced: told by what it is, never by its host's name."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass

from killick import records
from killick.catalog import Catalog
from killick.engines import Facts
from killick.errors import KillickError, Refused
from killick.figures import size
from killick.manifest import Manifest
from killick.stores import Store
from restore.target import Target

Identity = tuple[str, str]
"""A cluster's identity and a database's name in it; "" is all of its databases (MongoDB)."""


class Standing(enum.Enum):
    """What a target is; the later, the more it takes to touch it."""

    NEW = "a new one"
    EMPTY = "empty"
    COPY = "a copy that killick made"
    OTHER = "somebody's data"
    PRODUCTION = "production"


def known(store: Store, catalog: Catalog) -> set[Identity]:
    """The identities that the newest manifest of each source tells: one read a source. One that cannot be read
    tells nothing; that of the backup itself is always known."""
    found = set()
    for source in catalog.sources:
        newest = next((b for b in catalog.of(source) if b.manifest), None)
        if newest is not None:
            try:
                found.add(identity(records.manifest(store, newest)))
            except KillickError:
                continue
    return found


def identity(of: Manifest | Facts) -> Identity:
    return of.identity, of.database


def standing(facts: Facts | None, production: Collection[Identity]) -> Standing:
    """Pure. A server that keeps its identity from us cannot be told to be production: its data needs a name typed."""
    if facts is None:
        return Standing.NEW
    if facts.identity and identity(facts) in production:
        return Standing.PRODUCTION
    if facts.empty:
        return Standing.EMPTY
    if facts.identity and _part(facts, production):
        return Standing.PRODUCTION
    return Standing.COPY if facts.copy else Standing.OTHER


def _part(facts: Facts, production: Collection[Identity]) -> bool:
    """Whether it is one of the databases of a server that is backed up as a whole, or a server that holds production's.

    A copy among them is none of production's.
    """
    if facts.database:
        return (facts.identity, "") in production and not facts.copy
    return any(cluster == facts.identity for cluster, _ in production)


@dataclass(frozen=True)
class Consent:
    """What somebody said beforehand: `yes` is "" (nothing), "." (a bare --yes) or the name that was typed;
    `production` the host after --yes-overwrite-production."""

    yes: str = ""
    production: str = ""


def allow(target: Target, is_: Standing, given: Consent) -> str:
    """What is still to be asked: "" nothing, "yes", or "name". Raises Refused. Pure."""
    _fits(target, given)
    match is_:
        case Standing.NEW:
            return ""
        case Standing.PRODUCTION:
            _production(target, given)
            return ""
        case Standing.EMPTY:
            return ""
        case Standing.COPY:
            return "" if given.yes else "yes"
        case Standing.OTHER:
            return "" if given.yes == target.name else "name"


def unasked(target: Target, wanted: str) -> Refused:
    """There is nobody to ask."""
    holds = f"{target.url} is not empty: it holds {_amount(target)}"
    if wanted == "yes":
        return Refused(f"{holds}, and there is no terminal to ask on", "it is a copy that killick made: --yes")
    return Refused(
        f"{holds}, and killick did not make it",
        f"to replace it: --yes {target.name}; or name an empty or a new one with --into",
    )


def _fits(target: Target, given: Consent) -> None:
    if given.yes not in ("", ".", target.name):
        raise Refused(f"--yes {given.yes}: the target is {target.name}, at {target.url}", f"--yes {target.name}")


def _production(target: Target, given: Consent) -> None:
    """Refused, unless the host is named in full; a disaster's recovery is exactly that. What is empty can lose
    nothing: there the database's name is enough."""
    empty = target.facts is not None and target.facts.empty
    if given.production:
        if given.production == target.host:
            return
        raise Refused(
            f"--yes-overwrite-production {given.production}: the target's host is {target.host}",
            f"--yes-overwrite-production {target.host}, if it is meant",
        )
    if empty and given.yes == target.name:
        return
    raise Refused(
        f"{target.url} is the very database that this project's backups are made of"
        + ("" if empty else f", and it is not empty: it holds {_amount(target)}"),
        f"name another with --into; after a disaster, to bring it back: --yes-overwrite-production {target.host}",
    )


def _amount(target: Target) -> str:
    return size(target.facts.bytes) if target.facts else "nothing"
