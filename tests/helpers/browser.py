"The browser of the system, driven by Playwright."

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SECONDS = 1000
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WAIT = 600 * SECONDS  # what is late on a busy machine is right all the same; only what hangs is to fail
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


def expect(locator):
    "An assertion that waits: the browser shows the parts of one answer one after another."
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT)
    return expect(locator)
