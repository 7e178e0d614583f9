"""What stands beside a database: its name, and the mark that tells what it is. The mark is the comment on it. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from killick.layout import rfc3339

NEW = "__new"  # being made
OLD = "__old"  # what the last swap kept
SNAPSHOT = "__snapshot"  # what reset comes back to
COMING = "__snapshot_new"  # a snapshot that is being made
GONE = "__gone"  # replaced, and about to be dropped
SWEPT = (NEW, COMING, GONE)

_LONGEST = 63  # bytes in a name (NAMEDATALEN): the server would cut it there, and two names could become one
_BEGIN = "killick: "


def beside(database: str, end: str) -> str:
    """app__new. Where that is too long the name is cut, and a hash of all of it tells it from others."""
    name = database + end
    if len(name.encode()) <= _LONGEST:
        return name
    end = f"_{hashlib.sha256(database.encode()).hexdigest()[:8]}{end}"
    return database.encode()[: _LONGEST - len(end)].decode(errors="ignore") + end


@dataclass(frozen=True)
class Mark:
    """`word`: copy (in use, of a backup), new, old, snapshot, gone. `database`: whose copy, or beside which it stands.

    `origin` is the backup's id; `run` tells apart two that are made of the same backup; `before` is the whole comment
    that the database had before it got this one.
    """

    word: str
    database: str = ""
    origin: str = ""
    run: str = ""
    time: str = ""
    before: str | None = None

    def comment(self) -> str:
        """killick: copy {"database": "app", …}: it begins as killick.engines.postgres.facts.MARK says."""
        said = {name: value for name, value in asdict(self).items() if value and name != "word"}
        return f"{_BEGIN}{self.word} {json.dumps(said, ensure_ascii=False)}"


def made(word: str, database: str, *, origin: str = "", run: str = "", before: str | None = None) -> Mark:
    """A mark of now."""
    return Mark(word, database, origin, run, rfc3339(datetime.now(UTC)), before)


def read(comment: str | None) -> Mark | None:
    """What `comment` gave; of a mark that somebody wrote by hand, its word alone. None for any other comment."""
    if not comment or not comment.startswith(_BEGIN):
        return None
    word, _, said = comment.removeprefix(_BEGIN).partition(" ")
    try:
        found = json.loads(said)
        return Mark(word, **found)
    except (ValueError, TypeError):
        return Mark(word)


def own(comment: str | None) -> str | None:
    """The comment that is the database's own: that which it had before it became a copy."""
    mark = read(comment)
    while mark is not None and mark.word == "copy":
        comment = mark.before
        mark = read(comment)
    return comment
