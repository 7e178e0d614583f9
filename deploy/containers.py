"""What a project's containers are doing, and whether that is what a deploy wanted. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_LABEL = "com.docker.compose.service"


@dataclass(frozen=True)
class Container:
    """`health` is "" where there is no health check; `restarts` counts since it was made."""

    service: str
    id: str
    image: str
    status: str
    health: str
    exit: int
    restarts: int
    started: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Container:
        """From `docker inspect`."""
        state = document["State"]
        return cls(
            service=document["Config"]["Labels"][_LABEL],
            id=document["Id"],
            image=document["Config"]["Image"],
            status=state["Status"],
            health=state.get("Health", {}).get("Status", ""),
            exit=state["ExitCode"],
            restarts=document["RestartCount"],
            started=state["StartedAt"],
        )

    def __str__(self) -> str:
        how = self.health or self.status
        if self.status == "exited":
            how = f"ended with {self.exit}"
        elif self.restarts:
            how += f", restarted {self.restarts} times"
        return f"{self.service}: {how} ({self.image})"


@dataclass(frozen=True)
class Wanted:
    """A service that the files name. `once`: it is to end well, instead of to stay."""

    name: str
    once: bool


def wanted(config: Mapping[str, Any]) -> list[Wanted]:
    """The services of `compose config`. One that others wait for to complete, or that is never to be restarted by its
    own words (`restart: "no"`), ends; one that merely says nothing about restarts is to stay."""
    services = config["services"]
    awaited = {
        name
        for service in services.values()
        for name, how in (service.get("depends_on") or {}).items()
        if how.get("condition") == "service_completed_successfully"
    }
    return [
        Wanted(name, once=name in awaited or service.get("restart") == "no")
        for name, service in sorted(services.items())
        if (service.get("deploy") or {}).get("replicas", 1) and service.get("scale", 1)
    ]


def lacking(services: Sequence[Wanted], containers: Sequence[Container]) -> list[str]:
    """What is not as it should be, a sentence each; empty when all is well."""
    return [
        sentence
        for service in services
        for sentence in _lacking(service, [c for c in containers if c.service == service.name])
    ]


def broken(services: Sequence[Wanted], containers: Sequence[Container]) -> list[str]:
    """What no waiting mends: a service that ended, and that nobody starts again."""
    return [
        f"{c.service} ended with {c.exit}" + ("" if c.exit else ", and is to stay")
        for service in services
        for c in containers
        if c.service == service.name and c.status in ("exited", "dead") and not (service.once and c.exit == 0)
    ]


def signature(containers: Sequence[Container]) -> frozenset[tuple[str, str, int]]:
    """Changes whenever one of them is made or started anew."""
    return frozenset((c.id, c.started, c.restarts) for c in containers)


def _lacking(service: Wanted, containers: Sequence[Container]) -> list[str]:
    if not containers:
        return [f"{service.name} has no container"]
    found = []
    for c in containers:
        ended = c.status == "exited" and c.exit == 0
        if service.once and not ended:
            found.append(f"{c.service} has not ended yet" if c.status == "running" else str(c))
        elif not service.once and (c.status != "running" or c.health not in ("", "healthy")):
            found.append(str(c))
    return found
