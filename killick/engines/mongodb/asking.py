"""A project's question about its data, in JavaScript: the value of its last expression, as mongosh gives it."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from killick import process
from killick.engines import Answer
from killick.engines.mongodb.address import Address
from killick.engines.mongodb.scripts import OPEN, environment, shell
from killick.errors import CommandFailed, SourceError
from killick.process import Command

_CURE = "mend it; the last expression of a check is a boolean or a number"
_SNAPSHOT = "var killick = {snapshot: new Date(process.env.KILLICK_SNAPSHOT)}"
_SHELLS = re.compile(r"^(Type|Reference|Range|Syntax)Error: ", re.MULTILINE)
_NUMBERS = ("$numberInt", "$numberLong", "$numberDouble", "$numberDecimal")


def command(address: Address, question: str, snapshot: str, home: Path) -> Command:
    """The text itself is in argv, since the value of a file's last expression is given to nobody."""
    program = shell("a check in JavaScript")
    evals = (word for text in (OPEN, _SNAPSHOT, question) for word in ("--eval", text))
    return Command(
        (str(program.path), "--quiet", "--norc", "--nodb", "--json=relaxed", *evals),
        env={
            **program.environment(), **environment(address),
            "KILLICK_URL": address.secret, "KILLICK_SNAPSHOT": snapshot, "HOME": str(home),
        },
    )  # fmt: skip


def ask(address: Address, question: str, snapshot: str, seconds: float) -> Answer:
    """Raises SourceError with a sentence about the question, TimeoutError; Unsupported without mongosh."""
    with tempfile.TemporaryDirectory(prefix="killick-mongosh-") as home, tempfile.TemporaryFile() as words:
        try:
            process.run(command(address, question, snapshot, Path(home)), stdout=words, timeout=seconds)
        except CommandFailed as error:
            if error.status < 0:
                raise
            words.seek(0)
            raise SourceError(f"mongosh cannot answer it{_said(words.read())}", _CURE) from None
        words.seek(0)
        return _value(words.read().decode("utf-8", "replace"))


def _value(said: str) -> Answer:
    """What was printed before it is passed over."""
    value: Any = None
    for text in (said, said.rstrip().rpartition("\n")[2]):
        try:
            value = json.loads(text)
            break
        except ValueError:
            continue
    else:
        raise SourceError(f"it gives {'neither a boolean nor a number' if said.strip() else 'no value'}", _CURE)
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _NUMBERS:
        value = float(next(iter(value.values())))
    if isinstance(value, bool | int | float):
        return value
    raise SourceError(f"it gives {'null' if value is None else 'neither a boolean nor a number'}", _CURE)


def _said(answer: bytes) -> str:
    """The first line of a message of the shell's or the server's, without what it quotes: that may be of a document.

    What the check itself throws is not told, for the same reason.
    """
    try:
        told = json.loads(answer)
        own = _SHELLS.search(f"{told.get('stack')}") or told.get("code") == "BABEL_PARSE_ERROR" or "codeName" in told
        message = str(told["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    if not own:
        return ": it throws an error"
    first = message.partition("\n")[0].partition("{")[0]
    return ": " + re.sub(r"'[^']*'?|\"[^\"]*\"?", "…", first).strip()[:300]
