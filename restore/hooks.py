"""The project's own scripts (restore.d), run in the new copy before anybody sees it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from killick import dropins, process
from killick.engines import Engine, Equipped, Scripted
from killick.errors import CommandFailed, RestoreError, SettingsError
from killick.process import Command

SHELL = ".sh"
KNOWN = (".sql", ".js", SHELL)
_LAST_LINES = 3


@dataclass(frozen=True)
class Hooks:
    """`scripts` in the order in which they run; those of other engines are left out."""

    scripts: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path, source: str, engine: Engine) -> Hooks:
        """Those of `folder`, for every source, and of the folder in it that is named like the source.

        By their names, whichever folder they are in. Raises SettingsError for a file that nothing here runs, and
        Unsupported where the program is missing that runs them.
        """
        found = [path for place in (folder, folder / source) for path in dropins.files(place)]
        if odd := [path for path in found if path.suffix not in KNOWN]:
            raise SettingsError(
                f"{odd[0]} is not a script that a restore runs ({', '.join(KNOWN)})", "rename it, or move it elsewhere"
            )
        runs = (*engine.SCRIPTS, SHELL) if isinstance(engine, Scripted) else (SHELL,)
        scripts = tuple(sorted((p for p in found if p.suffix in runs), key=lambda path: path.name))
        if isinstance(engine, Equipped) and any(path.suffix != SHELL for path in scripts):
            engine.equipped()
        return cls(scripts)

    def run(self, engine: Engine, about: Mapping[str, str]) -> None:
        """`about` goes to shell scripts as KILLICK_…. Raises RestoreError; what ran before it stays in the copy."""
        for path in self.scripts:
            if path.suffix == SHELL:
                _shell(path, engine, about)
            elif isinstance(engine, Scripted):
                engine.script(path)


def _shell(path: Path, engine: Engine, about: Mapping[str, str]) -> None:
    """By its own first line where it may be run, else by sh. It sees the copy's address, and no other secret."""
    reach = engine.environment() if isinstance(engine, Scripted) else {}
    secrets = tuple(value for name, value in reach.items() if "PASSWORD" in name)
    argv = (str(path),) if os.access(path, os.X_OK) else ("sh", str(path))
    env = {**{f"KILLICK_{name}": value for name, value in about.items()}, **reach}
    try:
        process.run(Command(argv, env=env, secrets=secrets))
    except CommandFailed as error:
        said = " / ".join(error.stderr.splitlines()[-_LAST_LINES:])
        raise RestoreError(
            f"{path} ended with status {error.status}" + (f": {said}" if said else ""),
            "the copy is not taken into use; mend the script and restore again",
            "hook",
        ) from None
    except OSError as error:
        raise RestoreError(
            f"{path} cannot be run: {error.strerror}",
            "is its first line #!/bin/sh, and its file system not noexec?",
            "hook",
        ) from None
