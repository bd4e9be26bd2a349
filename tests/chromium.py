"""The system's own Chromium, for tests of pages. Nothing is ever downloaded for them."""

import contextlib
import os
import re
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SOME_NAME = re.compile(r"\w")
ADVICE = (
    f"no browser is on PATH (looked for {', '.join(NAMES)}), so nobody checked that the page works in one: requests, "
    "filters, slider, keyboard, hostile text. Install Chromium, such as with `apt-get install chromium`."
)


def find_chromium():
    """Return the path of a browser; without one, fail under CI and skip elsewhere."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(ADVICE, pytrace=False)
    pytest.skip(ADVICE)


@contextlib.contextmanager
def launched():
    """One browser without a network."""
    executable = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox needs rights that containers do not have; the pages are ours.
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        # The first start on a machine, which reads all of it from the disk, may take long.
        browser = playwright.chromium.launch(executable_path=executable, args=options, timeout=300_000)
        yield browser
        browser.close()


def resize(tab, width, height):
    """Give the page another size, and wait until it has it."""
    tab.set_viewport_size({"width": width, "height": height})
    tab.wait_for_function("([width, height]) => innerWidth === width && innerHeight === height", arg=[width, height])


def broken_images(tab):
    """Load all images, also those that are loaded when they come near the screen; return how many cannot be drawn."""
    return tab.evaluate(
        """() => Promise.all([...document.images].map((image) => {
          image.loading = "eager";
          return image.decode().then(() => 0, () => 1);
        })).then((broken) => broken.reduce((sum, each) => sum + each, 0))"""
    )


def open_details(tab):
    """Open all that a page folds away, and wait for the next frame: the page is told of new sizes in it."""
    tab.evaluate(
        """() => {
          for (const each of document.querySelectorAll("details")) each.open = true;
          return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        }"""
    )
