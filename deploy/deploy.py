"""A deploy: what is new is fetched and built, the data backed up, services started, and they have to work."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy import gate, safety
from deploy.compose import Compose
from deploy.containers import Container, Wanted, lacking, wanted
from deploy.safety import Saved
from killick.errors import CommandFailed, KillickError
from killick.plan import Plan, timed
from killick.watch import Watch

OVERRIDE = "docker-compose.override.yml"
_LINES = 20  # of each service's log, when it does not work


@dataclass(frozen=True)
class Options:
    """Seconds for `timeout` (that services may take, and each address) and `settle` (that they have to stay well)."""

    sidecar: str = "sidecar"
    urls: tuple[str, ...] = ()
    timeout: float = 300.0
    settle: float = 10.0
    backup: bool = True
    pull: bool = True
    override: bool = False


@dataclass
class Deploy:
    """`saved` is what was backed up so far; `changed` whether anything that runs was touched."""

    compose: Compose
    config: Mapping[str, Any]
    options: Options
    saved: list[Saved] = field(default_factory=list)
    changed: bool = False

    @property
    def services(self) -> list[Wanted]:
        return wanted(self.config)

    def plan(self) -> Plan:
        """Raises Refused where there is nobody to back the project up. What is shown is what is done."""
        options, before = self.options, self.compose.containers()
        steps = []
        if options.pull:
            steps.append(timed("pull", "fetch newer images", self._pull))
        if any("build" in service for service in self.config["services"].values()):
            steps.append(timed("build", "build the images that are built here", self._build))
        if options.backup:
            safety.sidecar(self.config, options.sidecar)
            begun = self._begun(before)
            asleep = safety.needed(self.config, options.sidecar, before) if begun else []
            if asleep:
                steps.append(timed("databases", f"start {', '.join(asleep)} as before, to back up", self._wake(asleep)))
            if begun:
                steps.append(timed("backup", f"back up every source of {options.sidecar}", self._back_up))
        if options.override:
            steps.append(timed("override", f"copy {self.compose.files[-1]} to {OVERRIDE}", self._copy))
        names = ", ".join(service.name for service in self.services)
        steps.append(timed("up", f"start what changed of {names}", self._up))
        kept = f"for {options.settle:g} s, within {options.timeout:g} s"
        steps.append(timed("health", f"every service runs, healthy where it has a check, {kept}", self._health))
        steps += [timed("answer", f"{url} answers with a status below 400", self._answers(url)) for url in options.urls]
        return Plan.of(steps)

    def notes(self) -> list[str]:
        """What a person should know beforehand."""
        found = []
        if not self.options.backup:
            found.append("there is no backup before it: --no-backup")
        elif not self._begun(self.compose.containers()):
            found.append("nothing of the project is here yet, so there is nothing to back up")
        if not self.options.urls:
            found.append("no address is asked for: --url http://… proves that the app answers")
        without = [
            s.name for s in self.services if not s.once and not self.config["services"][s.name].get("healthcheck")
        ]
        if without:
            found.append(f"no health check of their own in the files: {', '.join(without)}; that they run has to do")
        return found

    def failed(self) -> list[str]:
        """What runs now, what was said, and what brings the data back."""
        lines = []
        containers = self.now()
        if self.changed and containers:
            lines += self._logs(containers)
        state = "as before the deploy" if not self.changed else "now"
        lines.append(f"What runs {state} of {self.compose.project}:")
        if containers is None:
            lines.append("  docker does not tell")
        else:
            lines += [f"  {container}" for container in sorted(containers, key=str)] or ["  nothing"]
        if not self.changed:
            lines.append("The deploy changed nothing that runs, and no data.")
        elif self.saved:
            lines += ["The data as it was before the deploy comes back with:", *(f"  {line}" for line in self.back())]
        else:
            lines.append("There is no backup of just before the deploy.")
        return lines

    def now(self) -> list[Container] | None:
        """What runs; None where docker does not tell: what failed is told all the same."""
        try:
            return self.compose.containers()
        except KillickError:
            return None

    def back(self) -> list[str]:
        """What brings the data back, where services were started since its backup."""
        return safety.commands(self.compose, self.options.sidecar, self.saved) if self.changed else []

    def _logs(self, containers: Sequence[Container]) -> list[str]:
        lines = []
        for name in [service.name for service in self.services if lacking([service], containers)]:
            try:
                said = self.compose.ask("logs", "--no-color", "--no-log-prefix", f"--tail={_LINES}", name)
            except KillickError:
                continue
            lines += [f"The last words of {name}:", *(f"  {line}" for line in said.splitlines())]
        return lines

    def _begun(self, before: Sequence[Container]) -> bool:
        """Whether anything of it was here before, so that there may be data."""
        return bool(before) or safety.kept(self.config, self.compose.volumes())

    # Steps

    def _pull(self, _watch: Watch) -> None:
        self._do("pull", "--ignore-buildable", "--quiet")

    def _build(self, _watch: Watch) -> None:
        self._do("build")

    def _wake(self, services: Sequence[str]) -> Callable[[Watch], object]:
        """With the containers that are there, whatever was pulled: a new server may not be able to go back."""
        as_they_are = ("--no-build", "--no-deps", "--no-recreate")
        well = ("--wait", f"--wait-timeout={math.ceil(self.options.timeout)}")
        return lambda _watch: self._do("up", "--detach", *as_they_are, *well, *services)

    def _back_up(self, _watch: Watch) -> None:
        running = any(c.service == self.options.sidecar and c.status == "running" for c in self.compose.containers())
        self.saved = safety.back_up(self.compose, self.options.sidecar, running=running)

    def _copy(self, _watch: Watch) -> None:
        folder = self.compose.folder
        try:
            shutil.copyfile(folder / self.compose.files[-1], folder / f"{OVERRIDE}.part")
            (folder / f"{OVERRIDE}.part").replace(folder / OVERRIDE)
        except OSError as error:
            raise KillickError(
                f"{folder / OVERRIDE} cannot be written: {error.strerror}", "or go without --override"
            ) from None

    def _up(self, _watch: Watch) -> None:
        self.changed = True
        self._do("up", "--detach", "--no-build")

    def _health(self, _watch: Watch) -> None:
        gate.healthy(self.services, self.compose.containers, self.options.timeout, self.options.settle)

    def _answers(self, url: str) -> Callable[[Watch], object]:
        return lambda _watch: gate.answers(url, self.options.timeout)

    def _do(self, *argv: str) -> None:
        try:
            self.compose.do(*argv)
        except CommandFailed as error:
            raise KillickError(
                f"docker compose {argv[0]} ended with {error.status}", "its words are above; then deploy again"
            ) from None
