"""Where `--report` writes: known to be writable before anything is done, and replaced whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

from killick.errors import SettingsError
from killick.stream import write_whole

_CURE = "name a file in a folder that is there and may be written; in a container, one of a volume"


def destination(name: str) -> Path:
    """The file itself, behind any link. Raises SettingsError where it cannot be written."""
    path = Path(os.path.realpath(name))
    try:
        if path.exists() and not path.is_file():
            raise SettingsError(f"--report {name} is there, and is not a file", _CURE)
        trial = path.with_name(f"{path.name}.{uuid4().hex[:8]}.part")
        trial.touch(exist_ok=False)
        trial.unlink()
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None
    return path


def write(path: Path, text: str) -> None:
    """Raises SettingsError; the file that was there is as it was then."""
    try:
        write_whole(path, text.encode(), mode=0o666)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError | ValueError) -> SettingsError:
    why = error.strerror if isinstance(error, OSError) else "no name of a file"
    return SettingsError(f"--report {path} cannot be written: {why}", _CURE)
