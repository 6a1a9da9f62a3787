# SPDX-License-Identifier: Apache-2.0
"""Makes a page of include/redcol.h, which is the manual of the C interface.

make_docs.py PAGE

Every word of the header's comments is on the page, in the same order; only how it is set differs.
"""

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path

from c_header import OPTION_ROW, Piece, pieces

ROOT = Path(__file__).resolve().parents[1]
HEADER = ROOT / "include/redcol.h"

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { background: #f4f4f2; padding: .7rem 1rem; overflow-x: auto; border-radius: 4px; }
section { border-top: 1px solid #ccc; margin-top: 2rem; padding-top: .5rem; }
dt { font-weight: 600; margin-top: .4rem; } dd { margin-left: 1.6rem; }
a { color: inherit; } nav li { margin: .2rem 0; } .errors { color: #722; }
@media (prefers-color-scheme: dark) {
  body { background: #1b1b1b; color: #ddd; } pre { background: #262626; } .errors { color: #e99; }
}
"""

_ROW = re.compile(r"^( *)(\S(?:.*?\S)?)( {2,})(\S.*)$")
_TERM_ALONE = re.compile(r'^( *)((?:"[\w:]+"(?:, )?)+|redcol_\w+)$')


class Page:
    """HTML while it grows."""

    def __init__(self, functions: set[str]) -> None:
        self.functions = functions
        self.parts: list[str] = []

    def inline(self, text: str) -> str:
        """Words with names as code, and links to what is explained elsewhere."""
        shown = escape(text, quote=False)
        shown = re.sub(r"`([^`]+)`", r"<code>\1</code>", shown)
        shown = re.sub(r"\bREDCOL_\w+", r"<code>\g<0></code>", shown)

        def link(match: re.Match[str]) -> str:
            name = match[0]
            code = f"<code>{name}</code>"
            return f'<a href="#{name}">{code}</a>' if name in self.functions else code

        return re.sub(r"\bredcol_\w+", link, shown)

    def paragraph(self, text: list[str]) -> None:
        """Lines as a paragraph, if there are any."""
        if not text:
            return
        joined = " ".join(text)
        kind = ' class="errors"' if joined.startswith("Errors: ") else ""
        self.parts.append(f"<p{kind}>{self.inline(joined)}</p>")

    def code(self, text: str) -> None:
        """Code, as it stands."""
        self.parts.append(f"<pre>{escape(text, quote=False)}</pre>")

    def comment(self, lines: list[str]) -> None:
        """A comment: paragraphs, examples, and rows of a term and what it means, nested."""
        rows: list[int] = []  # where the descriptions of the open rows begin
        outermost = ""  # the term of the first of them
        text: list[str] = []

        def close(down_to: int) -> None:
            nonlocal text
            self.paragraph(text)
            text = []
            while len(rows) > down_to:
                rows.pop()
                self.parts.append("</dd></dl>")

        example: list[str] = []
        for number, line in enumerate(lines):
            if example or self._begins_example(lines, number):
                if line.startswith("  ") or not line:
                    example.append(line)
                    if number + 1 < len(lines) and (lines[number + 1][:2] in ("  ", "")):
                        continue
                self.code("\n".join(one[2:] for one in example).strip("\n"))
                example = []
                continue
            if not line:
                close(0)
                continue
            if option := OPTION_ROW.match(line):
                close(1 if rows and outermost == "options" else 0)
                self.option(option)
                continue
            if self._heads_options(lines, number):
                close(0)
                self.parts.append(f"<h3>{self.inline(line)}</h3>")
                continue
            indent = len(line) - len(line.lstrip())
            row = _ROW.match(line)
            alone = _TERM_ALONE.match(line)
            depth = sum(1 for column in rows if column <= indent)
            if row or alone:
                close(depth)
                match = row or alone
                assert match is not None
                outermost = outermost if rows else match[2]
                term = self.inline(match[2])
                self.parts.append(f"<dl><dt>{term}</dt><dd>")
                if row:
                    rows.append(row.start(4))
                    text.append(row[4])
                else:
                    rows.append(indent + 1)
            else:
                if depth < len(rows) or line.startswith("Errors: "):
                    close(depth)
                text.append(line.strip())
        close(0)

    @staticmethod
    def _heads_options(lines: list[str], number: int) -> bool:
        """A line that is no row itself, before options."""
        line, after = lines[number], "".join(lines[number + 1 : number + 2])
        return bool(not line[0].isspace() and not _ROW.match(line) and OPTION_ROW.match(after))

    def option(self, row: re.Match[str]) -> None:
        """An option: its name, its values and its default, and what it does."""
        values = escape(f"{row['values']}; default {row['default']}.", quote=False)
        name = escape(f'"{row["name"]}"', quote=False)
        text = self.inline(row["text"])
        self.parts.append(f"<dl><dt>{name}</dt><dd><i>{values}</i> {text}</dd></dl>")

    @staticmethod
    def _begins_example(lines: list[str], number: int) -> bool:
        """Indented lines after a sentence that ends with a colon and an empty line."""
        if number < 2 or lines[number - 1] or not lines[number].startswith("  "):
            return False
        return lines[number - 2].endswith(":")

    def piece(self, piece: Piece) -> None:
        """A section: what is declared, and its comment."""
        names = list(piece.functions)
        anchors = "".join(f'<a id="{name}"></a>' for name in names)
        if names:
            title = names[0] if len(names) == 1 else "For bindings to Python"
            self.parts.append(f"<section>{anchors}<h2>{title}</h2>")
        else:
            self.parts.append("<section>")
        if piece.title:
            self.parts.append(f"<h2>{escape(piece.title, quote=False)}</h2>")
            self.comment([line for line in piece.comment if line != piece.title])
        elif piece.code and not names:
            self.comment(piece.comment)
            self.code(piece.code)
        else:
            if names:
                self.code("\n".join(piece.functions.values()))
            self.comment(piece.comment)
        self.parts.append("</section>")


def make(header: str) -> str:
    """The page of a header."""
    found = pieces(header)
    page = Page({name for piece in found for name in piece.functions})
    first, *rest = found
    title, *intro = [line for line in first.comment if line or line == ""]
    while not title:
        title, *intro = intro
    version = re.search(r'#define REDCOL_VERSION "(.*)"', header)
    page.parts.append(f"<h1>{page.inline(title)}</h1>")
    page.parts.append(f"<p>Version {escape(version[1])}</p>" if version else "")
    page.comment(intro)
    page.parts.append("<nav><h2>Functions</h2><ul>")
    for piece in rest:
        summary = re.split(r"(?<=[.:;])\s", " ".join(piece.comment).strip())[0].rstrip(":;")
        for name in piece.functions:
            if not name.startswith("redcol_capsule_"):
                item = f'<li><a href="#{name}"><code>{name}</code></a>: '
                page.parts.append(f"{item}{escape(summary, quote=False)}</li>")
    page.parts.append('<li><a href="#redcol_capsule_setup">For bindings to Python</a></li>')
    page.parts.append("</ul></nav>")
    for piece in rest:
        if any(piece.comment) and not piece.comment[0].strip().endswith("_H"):
            page.piece(piece)
    body = "\n".join(part for part in page.parts if part)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>redcol.h</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(make(HEADER.read_text()))
    print(target)
