"""Whether a move holds a project on this host: then nobody deploys it here.

The mark is a file in the home of the user who works with the project here, `MARKS`/PROJECT, and holds the move's id. A
move writes it on the server that the project leaves (its step `freeze`), and takes it away when it is rolled back. When
the move is done it stays, with a second line: where the project is now.
"""

from __future__ import annotations

from pathlib import Path

from killick.errors import Refused

MARKS = ".local/state/killick/frozen"
"""Below the user's home, on every server: a move reaches it by ssh, where no XDG_STATE_HOME is set."""


def mark(project: str) -> str:
    """Relative to the user's home."""
    return f"{MARKS}/{project}"


def refuse(project: str) -> None:
    """Raises Refused while a move holds the project, and when it was moved away."""
    path = Path.home() / mark(project)
    try:
        move, _, to = path.read_text(encoding="utf-8").strip().partition("\n")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError):
        move, to = "(its mark cannot be read)", ""
    if to:
        raise Refused(
            f"{project} was moved to {to}, move {move}: what is deployed here would serve nobody",
            f"deploy it there; if it shall be here again without a move: rm {path}",
        )
    raise Refused(
        f"{project} is being moved to another server, move {move}: what is deployed here now would not come along",
        f"wait for its end, or `killick move rollback` where it was started; if that move is no more: rm {path}",
    )
