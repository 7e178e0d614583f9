"""`python -m tests.pictures`: draws docs/pictures anew, a sheet for each state of the page."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar import page
from tests.lab.browser import browser
from tests.page_states import NOW, STATES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
VIEWS = [(scheme, width) for scheme in ("light", "dark") for width in (1000, 390)]
HEIGHT = 900


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with browser() as opened:
        for name, states in STATES.items():
            (FOLDER / f"page-{name}.png").write_bytes(_sheet(opened, page.overview(states, NOW)))


def _sheet(opened: Browser, html: str) -> bytes:
    """The first screen in light and dark, on a desk and on a phone."""
    images = "".join(f'<img src="data:image/png;base64,{shot}" height="540">' for shot in _shots(opened, html))
    sheet = opened.new_page(viewport={"width": 1740, "height": 580})
    sheet.set_content(f'<body style="margin:12px;display:flex;gap:12px;background:#8a929b">{images}')
    return sheet.screenshot()


def _shots(opened: Browser, html: str) -> Iterator[str]:
    for scheme, width in VIEWS:
        context = opened.new_context(
            viewport={"width": width, "height": HEIGHT}, color_scheme="dark" if scheme == "dark" else "light"
        )
        shown = context.new_page()
        shown.set_content(html)
        yield base64.b64encode(shown.screenshot()).decode()
        context.close()


if __name__ == "__main__":
    main()
