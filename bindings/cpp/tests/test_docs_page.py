# SPDX-License-Identifier: Apache-2.0
"""`make docs`: the page has every word of the header, in its order, is well formed and linked."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from test_c_examples import ROOT, header_example, header_functions

sys.path.insert(0, str(ROOT / "scripts"))

from c_header import pieces

HEADER = (ROOT / "include/redcol.h").read_text()
VOID = {"meta", "!doctype"}


class Page(HTMLParser):
    """Texts by tag, links, and whether tags are closed in the order in which they were opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[tuple[str, str]] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if given.get("id"):
            self.ids.add(str(given["id"]))
        if str(given.get("href", "")).startswith("#"):
            self.links.add(str(given["href"])[1:])

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.append((self.open[-1], data))

    def within(self, *tags: str) -> str:
        return "".join(text for tag, text in self.texts if tag in tags)


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("docs") / "folder/redcol.html"
    command = [sys.executable, ROOT / "scripts/make_docs.py", target]
    subprocess.run(command, check=True, capture_output=True)
    return target.read_text()


def test_every_function_has_its_place_and_all_links_lead_somewhere(html: str) -> None:
    page = Page(html)
    assert page.ids == set(header_functions())
    assert page.links <= page.ids
    assert page.links >= {one for one in page.ids if not one.startswith("redcol_capsule_")}


def test_every_word_of_the_comments_is_there_in_order(html: str) -> None:
    text = "".join(part for _, part in Page(html).texts)
    position = 0
    for piece in pieces(HEADER)[1:]:
        for word in " ".join(piece.comment).replace("`", " ").split():
            found = text.find(word, position)
            assert found >= 0, (word, piece.comment[:2])
            assert found - position < 4000 if piece.functions else True, word
            position = found + len(word)
    assert "\n".join(line[2:] for line in header_example().splitlines()).strip() in text


def test_rows_are_rows(html: str) -> None:
    terms = re.findall(r"<dt>(.*?)</dt><dd>\s*(?:<p>)?(.{0,12})", html)
    shown = {re.sub(r"<.*?>", "", term) for term, _ in terms}
    for term in [
        "url",
        '"connect_timeout_ms"',
        '"group"',
        '"sequence_column"',
        '"entry_bytes_max", "entry_fields_max"',
        "Threads",
        "REDCOL_TIMEOUT",
        '"dead_letter"',
        "requested_schema",
        "wait_ms",
    ]:
        assert term in shown, term
    assert '<dt>"count"</dt><dd><i>0 or more; default none.</i> at most' in html
    # an option stands inside of the row "options" of its function
    opened = html[html.index('<a id="redcol_open">') :]
    row = opened[opened.index("<dt>options</dt>") : opened.index("</section>")]
    assert row.index("timeout_ms") < row.index("</dd>")


def test_the_contents_are_the_sections_and_their_functions() -> None:
    first, *others = pieces(HEADER)
    contents = "\n".join(first.comment).partition("\nContents\n")[2].partition("\n\n")[0]
    listed: dict[str, list[str]] = {}
    for line in contents.splitlines():
        title = line[:18].strip() or list(listed)[-1]
        listed.setdefault(title, []).extend(re.findall(r"redcol_\w+", line))
    found: dict[str, list[str]] = {}
    for piece in others:
        if piece.title:
            found[piece.title] = []
        elif piece.functions:
            list(found.values())[-1].extend(piece.functions)
    found["PYTHON"] = found["PYTHON"][:1]
    assert listed == found


def test_nothing_of_c_is_taken_for_html(html: str) -> None:
    assert "<stddef.h>" not in html
    assert "struct ArrowArray batch;" in Page(html).within("pre")


def test_make_docs_makes_it(tmp_path: Path) -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "docs"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert "scripts/make_docs.py dist/docs/redcol.html" in shown.stdout
