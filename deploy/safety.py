"""The backup before a deploy, and how to get back to it."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deploy.compose import Compose
from deploy.containers import Container
from killick.errors import CommandFailed, KillickError, Refused
from killick.process import Command, run, start
from killick.settings import urls

# Without it compose starts what the sidecar depends on, and makes anew what was just pulled or built: the new app would
# migrate before the backup, and one that crashed would bar the way back.
_ALONE = ("run", "--rm", "--no-deps")
_SECONDS = 60.0  # that a dry run may take


@dataclass(frozen=True)
class Saved:
    """A backup of one source; `host` is what a restore over production has to name, "" for a folder."""

    source: str
    id: str
    host: str


def back_up(compose: Compose, service: str, *, running: bool) -> list[Saved]:
    """All sources of the sidecar `service`. Raises KillickError, in the sidecar's own words on stderr."""
    how = ("exec", "-T", service, "killick") if running else (*_ALONE, "-T", service)
    command = compose.command(*how, "backup", "--json")
    try:
        made = [(str(one["source"]), str(one["id"])) for one in _told(command)]
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
    foreseen = ((source, id, compose.command(*how, "restore", id, "--dry-run", "--json")) for source, id in made)
    return [Saved(source, id, _host(command)) for source, id, command in foreseen]


def sidecar(config: Mapping[str, Any], service: str) -> None:
    """Raises Refused where the project has no such service."""
    if service not in config["services"]:
        raise Refused(
            f"the project has no service {service!r} that could back it up before it is changed",
            "add killick's sidecar (README), name the service with --sidecar, or say --no-backup",
        )


def kept(config: Mapping[str, Any], volumes: Sequence[str]) -> bool:
    """Whether one of the project's is among `volumes`: after `docker compose down` its data is there all the same."""
    own = [volume for volume in (config.get("volumes") or {}).values() if not volume.get("external")]
    return any(volume["name"] in volumes for volume in own)


def needed(config: Mapping[str, Any], service: str, containers: Sequence[Container]) -> list[str]:
    """What has to be started before the sidecar `service` can back up: the databases and the store of its addresses, as
    far as they are the project's own. Nothing where it runs: then they are for whoever stopped them to start."""
    running = {c.service for c in containers if c.status == "running"}
    given = config["services"][service].get("environment") or {}
    return [] if service in running else sorted((set(_hosts(given)) & config["services"].keys()) - running)


def commands(compose: Compose, service: str, saved: Sequence[Saved]) -> list[str]:
    """What brings the data back as it was before the deploy, a line for each source."""
    begin = (*compose.words, *_ALONE, service, "restore")
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


def _host(restore: Command) -> str:
    """Of the target that a dry run of `restore` tells: its address may stand in a file that only the sidecar can read.
    "" where it does not tell: the restore itself then says what it wants to hear."""
    try:
        into = urlsplit(json.loads(run(restore, timeout=_SECONDS).text)["into"])
    except (KillickError, TimeoutError, ValueError, LookupError, TypeError):
        return ""
    return "" if into.scheme == "file" else into.hostname or "localhost"


def _hosts(environment: Mapping[str, str | None]) -> Iterator[str]:
    """Of the sidecar's own settings. What a file in the container says is not known here."""
    yield environment.get("POSTGRES_HOST") or ""
    for name, value in environment.items():
        if name.startswith("DATABASE_URL") or name == "AWS_ENDPOINT_URL":
            with suppress(ValueError):  # the sidecar itself says what is wrong with it
                yield from (host.partition(":")[0] for host in urls.split(value or "").hosts.split(","))
