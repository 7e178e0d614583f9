"""Debian's Chromium, driven by playwright: what a reader of the pages has before them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.lab import Missing, debian

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def chromium() -> str:
    """The program; root installs it where it is not there. Raises Missing."""
    if shutil.which("chromium") is None:
        if os.geteuid() != 0:
            raise Missing("no chromium on this machine; ask root for: apt-get install chromium")
        debian.install("chromium", "fonts-dejavu-core")
    return shutil.which("chromium") or "/usr/bin/chromium"


@contextmanager
def browser() -> Iterator[Browser]:
    """Raises Missing."""
    from playwright.sync_api import sync_playwright

    program = chromium()
    # no sandbox: it cannot be had as root, and the pages are ours
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield opened
        finally:
            opened.close()
