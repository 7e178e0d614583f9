"""A compose project on this host: what is asked of it and told to it, always by its pinned name.

Facts: compose takes the folder's name for the project's where nobody pins one, and a renamed folder then starts with
empty volumes; `up --wait` ends well for a service without a health check that died two seconds later.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.containers import Container
from killick.errors import CommandFailed, KillickError, Refused, SettingsError
from killick.process import Command, last_said, run, start

BASE = "docker-compose.yml"
_NAME = re.compile(r"^name\s*:", re.MULTILINE)
_DOTENV = re.compile(r"^\s*(export\s+)?COMPOSE_PROJECT_NAME\s*=\s*[^\s#]", re.MULTILINE)
_SECONDS = 60.0  # that an answer may take


@dataclass(frozen=True)
class Compose:
    """`files` are relative to `folder`; `project` is the pinned name, "" where the files are asked for it."""

    folder: Path
    files: tuple[str, ...]
    project: str

    @property
    def words(self) -> tuple[str, ...]:
        """The beginning of every command, as a person would type it in `folder`."""
        pinned = ("-p", self.project) if self.project else ()
        return ("docker", "compose", *pinned, *(word for file in self.files for word in ("-f", file)))

    def command(self, *argv: str) -> Command:
        """compose reads variables and DOCKER_HOST from the environment, as it does for a person."""
        return Command((*self.words, *argv), inherit=True, cwd=self.folder)

    def ask(self, *argv: str, timeout: float | None = _SECONDS) -> str:
        """What it prints. Raises CommandFailed, and KillickError where it says nothing for so long."""
        return _answer(self.command(*argv), timeout)

    def do(self, *argv: str) -> None:
        """Shows what it says while it lasts, on stderr. Raises CommandFailed."""
        with start(self.command(*argv), stdout=sys.stderr.fileno(), stderr=sys.stderr.fileno()) as process:
            process.wait()

    def config(self) -> Mapping[str, Any]:
        """The files as compose understands them. Raises SettingsError where it does not; it may hold secrets."""
        try:
            found: Mapping[str, Any] = json.loads(self.ask("config", "--format=json"))
        except CommandFailed as error:
            raise SettingsError(
                f"compose refuses {' with '.join(self.files)}: {last_said(error.stderr)}",
                f"see: {' '.join(self.words)} config",
            ) from None
        return found

    def containers(self) -> list[Container]:
        """All of the project's own, stopped ones too, but none of `compose run`."""
        ids = self.ask("ps", "--all", "--quiet", "--no-trunc").split()
        if not ids:
            return []
        told = _answer(Command(("docker", "inspect", *ids), inherit=True), _SECONDS)
        return [Container.of(document) for document in json.loads(told)]

    def volumes(self) -> list[str]:
        """The names of all that are here, whoever's they are."""
        return _answer(Command(("docker", "volume", "ls", "--quiet"), inherit=True), _SECONDS).split()


def find(folder: Path, environment: str, project: str = "") -> Compose:
    """Raises SettingsError for a file that is not there, Refused where the project's name is the folder's by chance."""
    for command, cure in (
        (("docker", "version", "--format={{.Server.Version}}"), "start it, or give this user the right to reach it"),
        (("docker", "compose", "version", "--short"), "install Docker's plugin compose, version 2"),
    ):
        try:
            _answer(Command(command, inherit=True), _SECONDS)
        except KillickError as error:
            raise KillickError(f"no answer to {' '.join(command[:2])}: {last_said(str(error))}", cure) from None
    files = (BASE, f"dc.{environment}.yml")
    for file in files:
        if not (folder / file).is_file():
            known = sorted(path.name.split(".")[1] for path in folder.glob("dc.*.yml"))
            there = f"the environments here are {', '.join(known)}" if known else "run it in the project's checkout"
            raise SettingsError(f"{folder / file} is not there", there)
    return Compose(folder, files, project or _pinned(folder, files))


def _pinned(folder: Path, files: tuple[str, ...]) -> str:
    given = os.environ.get("COMPOSE_PROJECT_NAME") or _DOTENV.search(_text(folder / ".env"))
    named = any(_NAME.search(_text(folder / file)) for file in files)
    if not given and not named:
        raise Refused(
            f"nothing pins the project's name: from a folder that is called otherwise than {folder.resolve().name} "
            "it would start with empty volumes",
            f"write `name: {folder.resolve().name}` at the top of {BASE}, or give --project",
        )
    return str(Compose(folder, files, "").config()["name"])


def _text(path: Path) -> str:
    """As far as it is text: compose says what is wrong with it. "" for none."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _answer(command: Command, seconds: float | None) -> str:
    try:
        return run(command, timeout=seconds).text
    except TimeoutError as error:
        raise KillickError(str(error), "is Docker's engine well? docker info") from None
