# SPDX-License-Identifier: Apache-2.0
"""The site: built in strict mode, without another host, complete, and all links are good."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "scripts/site"))
sys.path.insert(0, str(ROOT / "bindings/python/src"))

import c_header  # noqa: E402
import option_tables  # noqa: E402
import sequences  # noqa: E402

import redcol  # noqa: E402
from redcol.command.root import root  # noqa: E402


@dataclass
class Html(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    text: str
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    images_without_text: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") != "canonical":
            self.resources.append(given["href"])
        elif "src" in given:
            self.resources.append(given["src"])
        if tag == "img" and not given.get("alt", "").strip():
            self.images_without_text += 1


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [ROOT / ".venv-docs/bin/python", "-m", "mkdocs", "build", "--strict", "-d", folder]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Html]:
    return {
        path.relative_to(site).as_posix(): Html(path.read_text()) for path in site.rglob("*.html")
    }


def test_every_document_is_a_page(pages: dict[str, Html]) -> None:
    documents = {path.relative_to(ROOT / "docs") for path in ROOT.glob("docs/**/*.md")}
    expected = {
        path.with_name("index.html" if path.name == "README.md" else f"{path.stem}.html").as_posix()
        for path in documents
    }
    assert expected <= set(pages)
    assert len(expected) > 20


def test_no_page_asks_for_another_host(site: Path, pages: dict[str, Html]) -> None:
    for name, page in pages.items():
        foreign = [each for each in page.resources if urlsplit(each).netloc]
        assert not foreign, name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(.?(https?:)?//|@import", sheet.read_text()), sheet


def test_links_and_resources_are_there(site: Path, pages: dict[str, Html]) -> None:
    followed = 0
    for name, page in pages.items():
        if name == "404.html":  # its links begin at the root of a server
            continue
        for link in page.links + page.resources:
            parts = urlsplit(link)
            if parts.scheme or link in ("", "#"):
                continue
            target = site / name if not parts.path else (site / name).parent / unquote(parts.path)
            target = target.resolve()
            if target.is_dir():
                target /= "index.html"
            assert target.is_file(), (name, link)
            if parts.fragment and target.suffix == ".html":
                inside = pages[target.relative_to(site.resolve()).as_posix()]
                assert unquote(parts.fragment) in inside.ids, (name, link)
            followed += 1
    assert followed > 1_000


def test_pictures_have_texts(pages: dict[str, Html]) -> None:
    assert {name for name, page in pages.items() if page.images_without_text} == set()


def test_a_browser_finds_nothing_wrong(site: Path, pages: dict[str, Html]) -> None:
    """No error, no other host, no page that is wider than a phone, contrast, and a search."""
    command = [ROOT / ".venv-docs/bin/python", ROOT / "scripts/site/look.py", site]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{len(pages) - 1} pages\n"


def test_public_names_of_python_are_on_it(pages: dict[str, Html]) -> None:
    errors = {name for name in redcol.__all__ if name in redcol.errors.__all__}
    expected = {f"redcol.{name}" for name in redcol.__all__ if name not in errors}
    expected |= {f"redcol.errors.{name}" for name in errors} | {"redcol.metrics.collector"}
    for name in redcol.__all__:
        public = getattr(redcol, name)
        if isinstance(public, type) and name not in errors:
            expected |= {
                f"redcol.{name}.{each}"
                for each, value in vars(public).items()
                if not each.startswith("_") and (callable(value) or isinstance(value, property))
            }
    assert expected - pages["reference/python.html"].ids == set()


def test_functions_of_c_are_on_it(pages: dict[str, Html]) -> None:
    header = (ROOT / "include/redcol.h").read_text()
    names = {name for piece in c_header.pieces(header) for name in piece.functions}
    assert len(names) > 40
    assert names - pages["reference/c.html"].ids == set()


def test_verbs_of_the_command_are_on_it(pages: dict[str, Html]) -> None:
    expected = set()
    for name, verb in root.commands.items():
        below = verb.commands if isinstance(verb, click.Group) else None
        expected |= {f"redcol-{name}-{each}" for each in below} if below else {f"redcol-{name}"}
    assert expected - pages["reference/command.html"].ids == set()


def test_options_are_on_it_and_have_a_meaning(pages: dict[str, Html]) -> None:
    text = pages["reference/options.html"].text
    for table in option_tables.tables().values():
        for option in table:
            row = re.search(rf"<td><code>{re.escape(option.name)}</code></td>.*?</tr>", text, re.S)
            assert row, option.name
            assert re.search(r"<td>\s*[^<\s].*</td>\s*</tr>", row[0], re.S), option.name


def test_sequences() -> None:
    picture = sequences.draw(
        "Title: a <lost> reply\nworker -> Redis: XADD\nRedis -x worker: id\nworker: waits\n-- later"
    )
    assert picture.count("<line") == 4  # two lives, two arrows
    assert 'class="lost"' in picture
    assert 'aria-label="a &lt;lost&gt; reply"' in picture
    turned = sequences.draw("Title: t\nWho: Redis, worker\nworker -> Redis: XADD")
    assert turned.index(">Redis<") < turned.index(">worker<")
    for wrong in ("worker -> Redis: no title", "Title: t\nworker tells Redis"):
        with pytest.raises(ValueError, match="sequence"):
            sequences.draw(wrong)


def test_docstrings_are_set_as_lists_and_programs(pages: dict[str, Html]) -> None:
    text = pages["reference/python.html"].text
    assert ":class:" not in text
    assert "<li>NoGroupError: the group is missing" in text
    assert 'class="language-pycon' in text
