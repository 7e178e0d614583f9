"""The page `/`: every source in one table. No script, nothing from elsewhere, dark where the reader prefers it."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from killick import __version__
from killick.figures import size
from killick.state import SourceState, State
from sidecar.health import judge, span

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { padding: .4rem .8rem; text-align: left; border-bottom: 1px solid #8885; vertical-align: top }
.bad { color: light-dark(#b00020, #ff8a80); font-weight: 600 }
"""
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)
_COLUMNS = ("source", "newest backup", "proven restorable", "size", "last verification", "restore takes", "backups")


def page(state: State | None, now: float) -> str:
    """HTML of a state; `now` in seconds since 1970."""
    if state is None:
        return _document("killick", "<p>The store has not been read yet.</p>")
    head = "".join(f"<th scope=col>{name}</th>" for name in _COLUMNS)
    stale = {j.source for j in judge(state, now) if not j.fresh}
    rows = "".join(_row(source, now, source.source in stale) for source in state.sources)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    read = f"<p><small>Read from the store {span(now - state.time)} ago by killick {escape(__version__)}.</small></p>"
    return _document(f"{state.project}: backups", table + read)


def _row(s: SourceState, now: float, stale: bool) -> str:
    v = s.verification
    error = f"<br><span class=bad>{escape(s.error.get('message') or s.error['kind'])}</span>" if s.error else ""
    verified = f"{escape(v.result)}, level {v.level}, {_ago(v.last_attempt, now)}" if v.result else "never"
    cells = (
        f"{escape(s.source)}<br><small>{escape(s.engine)} {escape(s.server_version)}</small>",
        f"<span class={'bad' if stale else 'good'}>{_ago(s.last_success, now)}</span>{error}",
        _ago(v.verified_snapshot, now),
        f"{size(s.archive_bytes)}<br><small>raw {size(s.raw_bytes)}</small>" if s.archive_bytes else "",
        f"<span class={'bad' if v.result == 'failed' else 'good'}>{verified}</span>",
        f"{v.restore_seconds:.0f} s" if v.restore_seconds else "",
        "<br>".join(f"{count} {escape(name)}" for name, count in s.backups.items() if count),
    )
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _ago(moment: float | None, now: float) -> str:
    return "never" if moment is None else f"{span(now - moment)} ago"


def _document(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style><h1>{escape(title)}</h1>{body}</html>\n"
    )
