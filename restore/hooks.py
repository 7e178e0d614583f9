"""The project's own scripts (restore.d), run in the new copy before anybody sees it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
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
    """`scripts` in the order in which they run; `left` are out, since they are for other engines."""

    scripts: tuple[Path, ...] = ()
    left: tuple[Path, ...] = ()

    @classmethod
    def of(cls, folder: Path, source: str, engine: Engine) -> Hooks:
        """Those of `folder`, for every source, and of the folder in it that is named like the source.

        By their names, whichever folder they are in. Raises SettingsError for a file that nothing here runs, or in the
        source's own folder nothing that is right for its engine, and Unsupported where the program is missing that
        runs them.
        """
        ours, own = dropins.files(folder), dropins.files(folder / source)
        runs = (*engine.SCRIPTS, SHELL) if isinstance(engine, Scripted) else (SHELL,)
        for found, known, what in ((ours, KNOWN, "a restore"), (own, runs, f"a restore of {source}")):
            if odd := sorted(path for path in found if path.suffix not in known):
                raise SettingsError(
                    f"{odd[0]} is not a script that {what} runs ({', '.join(known)})", "rename it, or move it elsewhere"
                )
        every = sorted((*ours, *own), key=lambda path: path.name)
        scripts = tuple(path for path in every if path.suffix in runs)
        if isinstance(engine, Equipped) and any(path.suffix != SHELL for path in scripts):
            engine.equipped()
        return cls(scripts, tuple(path for path in every if path.suffix not in runs))

    def __str__(self) -> str:
        """As a plan tells them: those that run, and those that are left out."""
        told = f"{_names(self.scripts) or 'none'}, before anybody sees the copy"
        return f"{told}; not for this engine: {_names(self.left)}" if self.left else told

    def run(self, engine: Engine, about: Mapping[str, str]) -> None:
        """`about` goes to shell scripts as KILLICK_…. Raises RestoreError; what ran before it stays in the copy."""
        for path in self.scripts:
            if path.suffix == SHELL:
                _shell(path, engine, about)
            elif isinstance(engine, Scripted):
                engine.script(path)


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(path.name for path in paths)


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
