"The browser of the system, driven by Playwright."

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SECONDS = 1000
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WAIT = 180 * SECONDS  # what is late on a busy machine is right all the same; only what hangs is to fail
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@contextmanager
def chromium(*arguments: str) -> Iterator:
    "A running Chromium without a window. Skips where there is none."
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("the page is tested in a browser: apt-get install chromium")
    arguments = ["--disable-gpu", *arguments, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@contextmanager
def new_pages(browser, screenshots: Path) -> Iterator[tuple[Callable, list[str]]]:
    """What makes a page for the site at an address, where it has still to go; and a list for what must not happen.

    Afterwards every request of a page went to its site, no script failed, and the list is empty. Screenshots are kept
    in a folder.
    """
    contexts, requested, surprises = [], [], []

    def new_page(address: str, size=DESKTOP, **options):
        context = browser.new_context(viewport=size, accept_downloads=True, **options)
        contexts.append(context)
        context.on("request", lambda request: requested.append((request.url, address)))
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("pageerror", lambda error: surprises.append(str(error)))
        return page

    yield new_page, surprises
    for number, context in enumerate(contexts):
        for page in context.pages:
            page.screenshot(path=screenshots / f"{number}.png", full_page=True)
        context.close()
    assert requested and not surprises
    assert not [url for url, address in requested if not url.startswith((address, "data:", "blob:"))]


def expect(locator):
    "An assertion that waits: the browser shows the parts of one answer one after another."
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT)
    return expect(locator)
