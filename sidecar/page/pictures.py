"""Pictures as inline SVG: a night, a strip of nights, a sparkline, a bar against a target, a badge.

Colours come from the page's style by class, so that they follow light, dark and paper; no picture holds a style of its
own, which the pages' policy would refuse. Shapes differ where colours do.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from killick.figures import size
from killick.nights import ATTEMPTED, DAMAGED, MISSING, NOTHING
from sidecar.page.figures import summary
from sidecar.verdict import BAD, GOOD, IDLE, LOOK

_SVG = Markup('<svg class="{}" viewBox="0 0 {} {}" width="{}" height="{}" {}>{}</svg>')
_HIDDEN = Markup('aria-hidden="true" focusable="false"')
_LABEL = Markup('role="img" aria-label="{}"')


def night(mark: str) -> Markup:
    """22 by 30: full with the level when verified, hollow when not; a cross, a warning sign, a dashed gap, a dot."""
    if mark == ATTEMPTED:
        inner = Markup('<path class="bad line" d="M5 9l12 12M17 9L5 21"/>')
    elif mark == DAMAGED:
        inner = Markup('<path class="bad full" d="M11 3L21 26H1z"/><path class="on line" d="M11 11v7M11 21v2"/>')
    elif mark == MISSING:
        inner = Markup('<rect class="bad gap" x="2" y="2" width="18" height="26" rx="3"/>')
    elif mark == NOTHING:
        inner = Markup('<circle class="dim full" cx="11" cy="15" r="2"/>')
    elif mark == "0":
        inner = Markup('<rect class="good thin" x="2" y="2" width="18" height="26" rx="3"/>')
    else:
        top = 1 if mark >= "4" else 7
        inner = Markup(
            '<rect class="good full" x="1" y="{}" width="20" height="{}" rx="3"/>'
            '<text class="on" x="11" y="20" text-anchor="middle">{}</text>'
        ).format(top, 29 - top, mark)
    return _SVG.format("night", 22, 30, 22, 30, _HIDDEN, inner)


_STROKES = {
    "good full": ("123456", "M{x} 1h5v14h-5z"),
    "good thin": ("0", "M{x} 1.5h4v13h-4z"),
    "bad line": (ATTEMPTED, "M{x} 5l5 6m0-6l-5 6"),
    "bad full": (DAMAGED, "M{x} 15h5l-2.5-13z"),
    "bad gap": (MISSING, "M{x} 1.5h4v13h-4z"),
    "dim full": (NOTHING, "M{x} 7.5h2v2h-2z"),
}


def nights(marks: str) -> Markup:
    """All nights as one small picture, a path for each kind."""
    inner = Markup()
    for kind, (wanted, shape) in _STROKES.items():
        drawn = "".join(shape.format(x=at * 7 + 1) for at, mark in enumerate(marks) if mark in wanted)
        if drawn:
            inner += Markup('<path class="{}" d="{}"/>').format(kind, drawn)
    width = max(1, len(marks) * 7)
    label = _LABEL.format(f"{len(marks)} nights: {summary(marks)}")
    return _SVG.format("strip", width, 16, width, 16, label, inner)


def sparkline(points: Sequence[tuple[float, int]]) -> Markup:
    """Sizes over time, from nothing up to the largest; no picture where there is nothing to compare."""
    if len(points) < 2 or points[-1][0] <= points[0][0]:
        return Markup()
    start, length = points[0][0], points[-1][0] - points[0][0]
    most = max(bytes for _, bytes in points)
    places = [(2 + 156 * (time - start) / length, 34 - 32 * bytes / (most or 1)) for time, bytes in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    inner = Markup('<polygon class="area" points="2,34 {} {:.1f},34"/><polyline class="line" points="{}"/>').format(
        line, places[-1][0], line
    ) + Markup('<circle class="full" cx="{:.1f}" cy="{:.1f}" r="2.5"/>').format(*places[-1])
    said = f"sizes of {len(points)} backups: from {size(points[0][1])} to {size(points[-1][1])}, at most {size(most)}"
    return _SVG.format("sparkline", 160, 36, 160, 36, _LABEL.format(said), inner)


def bar(value: float, limit: float, said: str) -> Markup:
    """A value against what it may be: the mark stands at the limit, at three quarters unless the value is beyond."""
    whole = max(limit / 0.75, value, 1e-9)
    kind = "good" if value <= limit else "bad"
    inner = Markup(
        '<rect class="rail" x="0" y="3" width="160" height="8" rx="4"/>'
        '<rect class="{} full" x="0" y="3" width="{:.1f}" height="8" rx="4"/><path class="mark" d="M{:.1f} 0v14"/>'
    ).format(kind, 160 * value / whole, 160 * limit / whole)
    return _SVG.format("bar", 160, 14, 160, 14, _LABEL.format(said), inner)


_SHAPES = {
    GOOD: '<circle class="good full" cx="10" cy="10" r="9"/><path class="on line" d="M5.5 10.5l3 3 6-7"/>',
    IDLE: '<circle class="dim thin" cx="10" cy="10" r="8"/><path class="dim line" d="M6 10h8"/>',
    LOOK: '<path class="look full" d="M10 1l9.5 17.5H.5z"/><path class="on line" d="M10 7.5v5M10 15v1"/>',
    BAD: '<path class="bad full" d="M6 1h8l5 5v8l-5 5H6l-5-5V6z"/><path class="on line" d="M6.5 6.5l7 7m0-7l-7 7"/>',
}


def sign(rank: int) -> Markup:
    """A verdict's: a tick in a disc, a dash, a triangle, a cross in an octagon. The word stands beside it."""
    return _SVG.format("sign", 20, 20, 20, 20, _HIDDEN, Markup(_SHAPES[rank]))  # noqa: S704  # ours


_FILLS = {GOOD: "#1a7f4b", IDLE: "#5b6670", LOOK: "#8a5a00", BAD: "#b3261e"}


def badge(text: str, rank: int) -> str:
    """An image of its own, for a README: it brings its colours."""
    left, right = 62, 14 + round(6.1 * len(text))
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" aria-label="backups: {text}">'
        '<title>backups: {text}</title><rect width="{whole}" height="20" rx="4" fill="{fill}"/>'
        '<path d="M4 0h{inner}v20h-{inner}a4 4 0 0 1-4-4V4a4 4 0 0 1 4-4z" fill="#39424b"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        '<text x="{middle}" y="14" textLength="48">backups</text>'
        '<text x="{beside}" y="14" textLength="{length}">{text}</text></g></svg>\n'
    ).format(
        whole=left + right, inner=left - 4, text=text, fill=_FILLS[rank], middle=left / 2,
        beside=left + right / 2, length=right - 14,
    )  # fmt: skip
