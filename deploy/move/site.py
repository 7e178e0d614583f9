"""A project on a host: compose, always in its folder and by its pinned name, and what stands in the way of a move."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from deploy.containers import Container
from deploy.move.hosts import Host
from deploy.move.spec import Server
from killick.errors import CommandFailed, KillickError, NotFound, SettingsError
from killick.process import Command, last_said

if TYPE_CHECKING:
    from deploy.move.step import Move

LONG = 6 * 3600.0
"""Seconds that a dump, a copy or a restore may take."""
_APART = 2.0  # seconds that two clocks may be apart
_IN = 'cd -- "$1"; shift; exec "$@"'
# What is asked again and again while writes are refused is asked of docker itself: compose takes a multiple of its time
# to read its files.
_OURS = '--filter "label=com.docker.compose.project=$1" --filter label=com.docker.compose.oneoff=False'
_INSPECTED = f"""
ids=$(docker ps --all --quiet --no-trunc {_OURS})
if [ -n "$ids" ]; then exec docker inspect $ids; else echo '[]'; fi
"""
_INSIDE = f"""
ids=$(docker ps --quiet --no-trunc {_OURS} --filter "label=com.docker.compose.service=$2")
[ -n "$ids" ] || {{ echo "$2 does not run" >&2; exit 1; }}
shift 2
exec docker exec -i "${{ids##*
}}" "$@"  # the first of several
"""


@dataclass(frozen=True)
class Site:
    host: Host
    server: Server
    sidecar: str

    @property
    def words(self) -> tuple[str, ...]:
        return ("docker", "compose", "-p", self.server.project, *self.files)

    @property
    def files(self) -> tuple[str, ...]:
        """As words of compose."""
        return tuple(word for file in self.server.files for word in ("-f", file))

    def command(self, *argv: str) -> Command:
        """`docker compose ARGV` in the project's folder, for a pipe."""
        return self.host.command(["sh", "-euc", _IN, "killick", self.server.directory, *self.words, *argv])

    def compose(self, *argv: str, stdin: bytes = b"", timeout: float = 60.0) -> str:
        """What it prints. Raises CommandFailed, Unreachable, TimeoutError."""
        return self.host.shell(_IN, self.server.directory, *self.words, *argv, stdin=stdin, timeout=timeout)

    def inside(self, service: str, script: str, *args: str, stdin: bytes = b"", timeout: float = 60.0) -> str:
        """`script` by sh -eu in the service's container."""
        words = (self.server.project, service, "sh", "-euc", script, "killick", *args)
        return self.host.shell(_INSIDE, *words, stdin=stdin, timeout=timeout)

    def config(self) -> Mapping[str, Any]:
        """As compose understands the files; it may hold secrets. Raises SettingsError."""
        try:
            found: Mapping[str, Any] = json.loads(self.compose("config", "--format=json"))
        except CommandFailed as error:
            raise SettingsError(
                f"compose on {self.host.name} refuses {' with '.join(self.server.files)}: {last_said(error.stderr)}",
                f"see there: cd {self.server.directory} && {' '.join(self.words)} config",
            ) from None
        return found

    def inspected(self) -> list[dict[str, Any]]:
        """`docker inspect` of all containers, stopped ones too, but none of `compose run`."""
        found: list[dict[str, Any]] = json.loads(self.host.shell(_INSPECTED, self.server.project))
        return found

    def containers(self) -> list[Container]:
        return [Container.of(document) for document in self.inspected()]

    def running(self) -> list[str]:
        """The services of which a container runs, sorted."""
        return sorted({each.service for each in self.containers() if each.status in ("running", "restarting")})

    def empty(self, source: str, image: str) -> None:
        """All that is in a volume or a folder of the host goes, whoever's it is: a container removes it."""
        words = ["docker", "run", "--rm", "--network=none", "--user=0:0", "--entrypoint=find", f"--volume={source}:/it"]
        self.host.run([*words, image, "/it", "-mindepth", "1", "-delete"], timeout=LONG)

    @cached_property
    def home(self) -> str:
        """The folder of whoever we are there."""
        return self.host.shell('printf %s "$HOME"')


def in_the_way(move: Move) -> Iterator[str]:
    """Sentences with their cures. What is asked later needs what was asked before: a site that is not there is told
    alone."""
    stopped = [sentence for site in (move.old, move.new) for sentence in _site(site)]
    yield from stopped
    if not stopped:
        yield from _both(move)


def _site(site: Site) -> Iterator[str]:
    name, at = site.host.name, site.server.directory
    try:
        site.host.run(["docker", "version", "--format={{.Server.Version}}"])
        site.host.run(["docker", "compose", "version", "--short"])
    except (KillickError, TimeoutError) as error:
        said = last_said(str(error))
        yield f"{name}: no docker with compose answers: {said} (install it, or give this user the right)"
        return
    lacking = [file for file in site.server.files if not _there(site, file)]
    if lacking:
        yield f"{name}: {at}/{lacking[0]} is not there (check the project out, at the same commit)"
        return
    try:
        services = site.config()["services"]
        own = json.loads(site.host.shell(_IN, at, "docker", "compose", *site.files, "config", "--format=json"))["name"]
    except KillickError as error:
        yield f"{name}: {error}"
        return
    if own != site.server.project:
        yield (
            f"{name}: in {at} compose would call the project {own}, not {site.server.project}: whoever leaves -p out "
            f"starts with empty volumes (write `name: {site.server.project}` at the top of {site.server.files[0]})"
        )
    if site.sidecar not in services:
        yield f"{name}: the project has no service {site.sidecar} (add killick's sidecar, or correct `sidecar`)"


def _both(move: Move) -> Iterator[str]:
    old, new = move.old, move.new
    for file, other in zip(old.server.files, new.server.files, strict=False):
        if old.host.read(f"{old.server.directory}/{file}") != new.host.read(f"{new.server.directory}/{other}"):
            yield f"{file} is not the same on both servers (check out the same commit on {new.host.name})"
    commits = [_commit(site) for site in (old, new)]
    if all(commits) and commits[0] != commits[1]:
        yield f"{old.host.name} has {commits[0][:10]} and {new.host.name} {commits[1][:10]} (check out the same commit)"
    apart = abs(_clock(old) - _clock(new))
    if apart > _APART:
        yield f"the clocks of the two servers are {apart:.0f} s apart (timedatectl set-ntp true, on both)"
    was, now = old.config()["services"], new.config()["services"]
    for _, service in move.spec.sources:
        if not service:
            continue
        if service not in was or service not in now:
            yield f"there is no service {service} on both servers (correct `sources`)"
        elif was[service].get("image") != now[service].get("image"):
            yield (
                f"{service} is {was[service].get('image')} on {old.host.name} and {now[service].get('image')} on "
                f"{new.host.name} (move first, upgrade later)"
            )
        if service not in old.running():
            yield f"{service} does not run on {old.host.name} (start it: there is nothing to move otherwise)"
    for app in move.spec.apps:
        if app not in was:
            yield f"there is no service {app} on {old.host.name} (correct `apps`)"


def _there(site: Site, file: str) -> bool:
    try:
        site.host.read(f"{site.server.directory}/{file}")
    except NotFound:
        return False
    return True


def _commit(site: Site) -> str:
    """ "" where it is no checkout."""
    found = site.host.shell('git -C "$1" rev-parse HEAD 2>/dev/null || :', site.server.directory)
    return found.strip()


def _clock(site: Site) -> float:
    """How far it is ahead of ours, in seconds; the way there and back is halved."""
    before = time.time()
    told = float(site.host.run(["date", "+%s.%N"]))
    return told - (before + time.time()) / 2
