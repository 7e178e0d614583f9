"""Folders into which a project drops its own scripts: hooks and checks."""

from __future__ import annotations

import os
from pathlib import Path

from killick.errors import SettingsError


def files(folder: Path) -> list[Path]:
    """None where there is no such folder; without hidden ones, and what editors leave behind.

    Raises SettingsError where we may not look.
    """
    try:
        return [p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".") and not p.name.endswith("~")]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SettingsError(
            f"{folder} cannot be read: {error.strerror}", f"make it readable for uid {os.getuid()}"
        ) from None
