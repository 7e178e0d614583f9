"""The scripts of a restore: JavaScript, run by mongosh; and what a shell script finds in its environment."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from killick.engines.mongodb.address import Address
from killick.errors import AccessDenied, CommandFailed, KillickError, RestoreError, Unreachable, Unsupported
from killick.process import Command, start
from killick.programs import Program, installed

# mongosh takes a URL from argv alone, where everybody can read the password: so the script's `db` is opened by a line
# of ours, which finds the URL in the environment.
OPEN = "db = connect(process.env.KILLICK_URL).getSiblingDB(process.env.MONGO_DATABASE || 'test')"
_LONGEST = 4000  # bytes of what it says, from the start: an error that quotes documents is as long as they are


def shell(what: str) -> Program:
    """Raises Unsupported where there is no mongosh for `what`."""
    found = installed("mongosh")
    if not found:
        raise Unsupported(
            f"{what} needs mongosh, which is not installed",
            "use an image that has mongosh, or name its folder in PROGRAMS; a .sh script may use what it likes",
        )
    return found[0]


def command(address: Address, path: Path, home: Path) -> Command:
    """`home` is where mongosh writes its log and its history."""
    program = shell(path.name)
    return Command(
        (*(str(program.path), "--quiet", "--norc", "--nodb"), *("--eval", OPEN, "--file", str(path.absolute()))),
        env={**program.environment(), **environment(address), "KILLICK_URL": address.secret, "HOME": str(home)},
    )


def run(address: Address, path: Path) -> None:
    """Raises RestoreError with what mongosh says of the script, and where, if it says so; Unsupported without it."""
    with tempfile.TemporaryDirectory(prefix="killick-mongosh-") as home, tempfile.TemporaryFile() as words:
        try:
            with start(command(address, path, Path(home)), stderr=words) as process:
                process.wait()
        except CommandFailed as error:
            if error.status < 0:
                raise
            words.seek(0)
            said = _said(words.read(_LONGEST).decode("utf-8", "replace"))
            raise _told(address, path, said or f"mongosh ended with status {error.status}") from None


def environment(address: Address) -> dict[str, str]:
    """With the password by itself, so that a script need not print it to print the URL."""
    return {
        "DATABASE_URL": address.named,
        "MONGO_URL": address.named,
        "MONGO_DATABASE": address.database,
        "MONGO_PASSWORD": address.password,
    }


def _said(words: str) -> str:
    """The first line of an error, without a document's content: documents follow on further lines."""
    lines = [line for line in words.splitlines() if re.match(r"(Uncaught )?\w*(Error|Exception)\b", line)]
    return re.sub(r"dup key: .*", "dup key", lines[0])[:500] if lines else ""


def _told(address: Address, path: Path, said: str) -> KillickError:
    if "Authentication failed" in said:
        return AccessDenied(
            f"MongoDB at {address.host} refuses the login of mongosh",
            "the password, the user or its authSource is wrong",
        )
    if said.startswith(("MongoNetwork", "MongoServerSelection")):
        return Unreachable(f"MongoDB at {address.host} cannot be reached by mongosh", "is it still running?")
    return RestoreError(f"{path.name}: {said}", "mend the script, and restore again", "script")
