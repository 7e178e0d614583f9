"""Reports as one file to send: HTML without a script that asks for nothing from elsewhere.

Jinja2 is loaded when a file is asked for. Every value is escaped; names are a stranger's text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from killick import __version__
from verify.html.sheet import Sheet, counts, worst
from verify.report import Report


def render(reports: Sequence[Report], now: datetime) -> str:
    """The file for one report or more, which have one project; `now` is when it is made."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("verify.html", "."),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sheets = [Sheet(report, f"r{number}") for number, report in enumerate(reports, 1)]
    return environment.get_template("report.html").render(
        sheets=sheets,
        project=reports[0].project,
        counts=counts(reports),
        worst=worst(reports),
        now=now,
        version=__version__,
    )


def visible(value: object) -> object:
    """Text without characters that cannot be seen or turn others round (a name can hold any): as escapes instead."""
    if not isinstance(value, str) or value.isprintable():
        return value
    kept = value.__class__  # markup stays markup
    return kept("".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in value))
