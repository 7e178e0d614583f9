"""Folders into which a project drops its own scripts: hooks and checks."""

from __future__ import annotations

import os
from collections.abc import Collection
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
        raise _closed(folder, error) from None


def strays(folder: Path, sources: Collection[str]) -> list[str]:
    """Folders in it that are no source's, so that nobody reads them. Raises SettingsError where we may not look."""
    try:
        return sorted(p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != "." and p.name not in sources)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _closed(folder, error) from None


def _closed(folder: Path, error: OSError) -> SettingsError:
    return SettingsError(f"{folder} cannot be read: {error.strerror}", f"make it readable for uid {os.getuid()}")
