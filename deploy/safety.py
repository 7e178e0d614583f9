"""The backup before a deploy, and how to get back to it."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deploy.compose import Compose
from killick.errors import CommandFailed, KillickError, Refused
from killick.process import Command, start


@dataclass(frozen=True)
class Saved:
    """A backup of one source; `host` is its database's, "" for a folder."""

    source: str
    id: str
    host: str


def back_up(compose: Compose, service: str, config: Mapping[str, Any], *, running: bool) -> list[Saved]:
    """All sources of the sidecar `service`. Raises KillickError, in the sidecar's own words on stderr."""
    how = ("exec", "-T", service, "killick") if running else ("run", "--rm", "-T", service)
    command = compose.command(*how, "backup", "--json")
    try:
        document = _told(command)
        given = config["services"][service].get("environment") or {}
        return [Saved(one["source"], one["id"], _host(given, one["source"])) for one in document]
    except CommandFailed as error:
        raise KillickError(
            f"the backup before the deploy failed (exit {error.status}); nothing was changed",
            f"its words are above; try it alone: {shlex.join(command.argv)}",
        ) from None
    except (ValueError, LookupError, TypeError):
        raise KillickError(
            f"what {service} says of its backup cannot be read, as if it were not killick; nothing was changed",
            f"try it alone: {shlex.join(command.argv)}",
        ) from None


def sidecar(config: Mapping[str, Any], service: str) -> None:
    """Raises Refused where the project has no such service."""
    if service not in config["services"]:
        raise Refused(
            f"the project has no service {service!r} that could back it up before it is changed",
            "add killick's sidecar (README), name the service with --sidecar, or say --no-backup",
        )


def commands(compose: Compose, service: str, saved: Sequence[Saved]) -> list[str]:
    """What brings the data back as it was before the deploy, a line for each source."""
    begin = (*compose.words, "run", "--rm", service, "restore")
    return [
        shlex.join([*begin, each.id, "--adopt", *(("--yes-overwrite-production", each.host) if each.host else ())])
        for each in saved
    ]


def _told(command: Command) -> list[dict[str, Any]]:
    """The document that a verb prints; what it logs meanwhile is shown. Raises ValueError for one that is none."""
    with tempfile.TemporaryFile() as file:
        with start(command, stdout=file, stderr=sys.stderr.fileno()) as process:
            process.wait()
        file.seek(0)
        found: list[dict[str, Any]] = json.load(file)
    if not found:
        raise ValueError("it backed up nothing")
    return found


def _host(environment: Mapping[str, str | None], source: str) -> str:
    """From the sidecar's own settings: its URLs hold no password where it comes from a file, and none is shown."""
    names = ["DATABASE_URL"] if source == "db" else []
    for name in (*names, f"DATABASE_URL_{source.upper()}"):
        url = environment.get(name)
        if url:
            return urlsplit(url).hostname or ""
    return environment.get("POSTGRES_HOST") or "" if source == "db" else ""
