"""The pages for people: no script, nothing from elsewhere, dark where the reader prefers it.

Every picture is an inline SVG, and whatever a picture or a colour tells stands there as text too. Jinja2 is imported
when a page is asked for, so that a sidecar that nobody looks at stays small.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from killick import __version__
from killick.state import SourceState, State
from sidecar.page import figures
from sidecar.page.figures import moment
from sidecar.verdict import ago, verdict

if TYPE_CHECKING:
    from jinja2 import Environment

CARDS = 20
"""Up to so many sources the first page shows all of each; more become lines of a table that lead to them."""

_HERE = Path(__file__).parent
_STYLE = (_HERE / "style.css").read_text()
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def overview(states: Sequence[State] | None, now: float, trouble: str = "") -> str:
    """The first page, of one project or of a fleet. `trouble` says why the store cannot be read, and since when."""
    shown = [(state, source, verdict(state, source, now)) for state in states or () for source in state.sources]
    shown.sort(key=lambda row: -row[2].rank)  # stable: else in the store's order
    fleet = len({state.project for state in states or ()}) > 1
    only = states[0] if states and not fleet else None
    return _page(
        "overview.html", now, trouble,
        title=f"{only.project}: backups" if only else "Backups",
        states=states, state=only, shown=shown, cards=len(shown) <= CARDS and not fleet, root="",
    )  # fmt: skip


def source(state: State, found: SourceState, now: float, trouble: str = "") -> str:
    """One source with all that is known of it."""
    row = (state, found, verdict(state, found, now))
    title = f"{state.project}/{found.source}: backups"
    return _page("source.html", now, trouble, title=title, state=state, row=row, root="../../")


def night(document: Mapping[str, Any], now: float) -> str:
    """What sidecar.night reads: the backups and attempts of one night, and their evidence."""
    title = f"{document['project']}/{document['source']}: {document['day']}"
    return _page("night.html", now, "", title=title, night=document, root="../../../")


def said(title: str, sentence: str, root: str) -> str:
    """A page that has one thing to say."""
    return _page("said.html", 0.0, "", title=title, sentence=sentence, root=root)


def _page(template: str, now: float, trouble: str, **given: object) -> str:
    return _environment().get_template(template).render(now=now, trouble=trouble, **given)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from sidecar.page import pictures

    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"style": Markup(_STYLE), "version": __version__, "ago": ago, "pictures": pictures}  # noqa: S704  # ours
    made.filters |= figures.FILTERS
    return made


__all__ = ["CARDS", "POLICY", "moment", "night", "overview", "said", "source"]
