# SPDX-License-Identifier: Apache-2.0
"""Opens the built site in a real browser and says what is wrong: look.py SITE [FOLDER].

FOLDER gets pictures of some pages. Needs Debian's chromium, and playwright to steer it. Prints a
line for each finding, and the number of pages at the end.
"""

from __future__ import annotations

import functools
import http.server
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

#: A busy machine may take long to start a browser or to draw a page.
PATIENCE_MS = 120_000
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
#: Pages that are also opened at desktop width, in the dark.
CHOSEN = ("index.html", "delivery.html", "dtypes.html", "reference/c.html", "troubleshooting.html")
CODE = Path(__file__).with_name("look.js").read_text()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder, on a free port of this machine."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def visit(
    browser: Any,
    base: str,
    names: list[str],
    size: dict[str, int],
    scheme: str,
    folder: Path | None,
) -> Iterator[str]:
    """What is wrong with these pages at a size and in a color scheme."""
    context = browser.new_context(viewport=size, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    found: list[str] = []
    page = context.new_page()
    page.on("console", lambda line: found.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith((base, "data:", "blob:"))
            else found.append(f"asks for {asked.url}"))  # fmt: skip
    for name in names:
        page.goto(f"{base}/{name}")
        found += page.evaluate(CODE)
        yield from (f"{name} ({size['width']}, {scheme}): {each}" for each in found)
        found.clear()
        if folder is not None and name in CHOSEN:
            words = name.replace("/", "-").removesuffix(".html")
            page.screenshot(path=folder / f"{words}-{size['width']}-{scheme}.png")
    context.close()


def search(browser: Any, base: str, word: str) -> Iterator[str]:
    """What is wrong with the search for a word."""
    context = browser.new_context(viewport=DESKTOP)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(f"{base}/index.html")
    page.locator("input[data-md-component=search-query]").click()
    page.keyboard.type(word)
    page.locator(".md-search-result__item").first.wait_for(state="visible")
    text = page.locator(".md-search-result__list").inner_text()
    if word not in text.lower():
        yield f"the search for {word!r} finds {text[:200]!r}"
    context.close()


def main(site: Path, folder: Path | None) -> None:
    """Print what is wrong."""
    names = sorted(
        path.relative_to(site).as_posix() for path in site.rglob("*.html") if path.stem != "404"
    )
    names = [name for name in names if name != "redcol.html"]  # the manual alone is no page of it
    chosen = [name for name in CHOSEN if name in names]
    with served(site) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
            timeout=PATIENCE_MS,
        )
        for line in visit(browser, base, names, PHONE, "light", folder):
            print(line)
        for line in visit(browser, base, chosen, DESKTOP, "dark", folder):
            print(line)
        for line in search(browser, base, "claim"):
            print(line)
        browser.close()
    print(f"{len(names)} pages")


if __name__ == "__main__":
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if target is not None:
        target.mkdir(parents=True, exist_ok=True)
    main(Path(sys.argv[1]).resolve(), target)
