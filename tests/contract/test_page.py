"""The pages in a real browser: what axe finds, what is asked for, what fits on a phone; and where each link leads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest

from killick import stores
from killick.settings import load
from killick.state import State
from sidecar.fleet import Fleet
from sidecar.night import read
from sidecar.server import Board, Site, serve
from tests.lab.browser import browser
from tests.page_states import STATES
from tests.unit.test_night import back_up, verified

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MISMATCH = {"table": "public.orders", "what": "rows", "expected": "1200", "got": "1199"}
VIEWS = [("light", 1100), ("dark", 390)]  # colours by the scheme, layout by the width: each is there once


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


@contextmanager
def served(states: tuple[State, ...], night: Any = None) -> Iterator[str]:
    board = Board()
    board.show(*states)
    with serve(Site(board, night), 0) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def real(tmp_path: Path) -> Iterator[str]:
    """A fleet on a folder store: a backup whose verification failed, one that passed, one that nobody verified."""
    settings = load({"STORE": f"file://{tmp_path}/store"})
    store = stores.connect(settings.store)
    now = datetime(2026, 11, 23, 10, tzinfo=UTC)
    for back, check in enumerate(["failed", "passed", ""]):
        id = back_up(store, now.replace(hour=3) - timedelta(days=back))
        if check:
            verified(store, id, check, 3 if check == "failed" else 5, failed_level=4, mismatches=[MISMATCH])

    def night(project: str, source: str, day: date) -> Any:
        return read(store, project, source, day, UTC)

    with served(Fleet(store, settings).read(now), night) as url:
        yield url


def opened(chromium: Browser, url: str, scheme: str, width: int) -> tuple[Page, list[str]]:
    """The page, without JavaScript's help, and every other address that it asked for."""
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if scheme == "dark" else "light", bypass_csp=True
    )
    page, asked = context.new_page(), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    return page, [other for other in asked if other != url and not other.endswith("/favicon.ico")]


def examine(chromium: Browser, url: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for scheme, width in VIEWS:
        page, others = opened(chromium, url, scheme, width)
        assert others == []
        found = Axe().run(page)
        assert found.violations_count == 0, f"{url} {scheme} {width}\n{found.generate_report()}"
        beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beyond <= 0, f"{url} {scheme}: {beyond} px wider than {width}"
        page.context.close()


@pytest.mark.parametrize("name", STATES)
def test_axe_has_nothing_to_say_and_nothing_comes_from_elsewhere(chromium: Browser, name: str) -> None:
    with served(STATES[name]) as url:
        examine(chromium, url)


def test_nor_of_a_source_or_a_night(chromium: Browser, real: str) -> None:
    for path in ("source/shop/db", "night/shop/db/2026-11-23", "night/shop/db/2026-11-21", "night/shop/db/2026-11-01"):
        examine(chromium, f"{real}{path}")


def test_nothing_breaks_its_own_policy(chromium: Browser, real: str) -> None:
    """The style is applied, with scripts off too, and the browser finds nothing to refuse."""
    context = chromium.new_context(java_script_enabled=False)
    page, said = context.new_page(), list[str]()
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{real}night/shop/db/2026-11-23")
    assert [line for line in said if "favicon" not in line] == []
    assert page.locator("text=rows: 1200 expected, 1199 found").count() == 1
    assert page.locator(".card").first.bounding_box()["width"] > 500  # type: ignore[index]
    context.close()


def test_on_paper_every_night_and_verdict_is_there(chromium: Browser) -> None:
    with served(STATES["failed"]) as url:
        page, _ = opened(chromium, url, "dark", 700)
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
        assert page.pdf(print_background=True).startswith(b"%PDF")
        page.context.close()


def test_every_link_leads_somewhere(real: str) -> None:
    seen, open_ = set[str](), [real]
    while open_:
        url = open_.pop()
        seen.add(url)
        with urlopen(url, timeout=10) as answer:
            assert answer.status == 200, url
            html = answer.read().decode()
        for href in re.findall(r'href="([^"]*)"', html):
            there = urljoin(url, href)
            assert there.startswith(real), there
            if there not in seen:
                open_.append(there)
    assert len([url for url in seen if "/night/" in url]) == 3
    assert len(seen) == 5, "the overview, the source, its nights"
