# SPDX-License-Identifier: Apache-2.0
"""The reference of the C interface: every section and function of include/redcol.h."""

from __future__ import annotations

from html import escape

import make_docs
from c_header import pieces


class Body(make_docs.Page):
    """A part of the page without its heading, which Markdown sets."""

    def code(self, text: str) -> None:
        """Code that the page's style finds."""
        self.parts.append(f"<pre><code>{escape(text, quote=False)}</code></pre>")

    def section(self) -> str:
        """What was written since the last call, as one block of HTML."""
        text = "\n".join(part for part in self.parts if part)
        self.parts = []
        return f"<div>\n{text}\n</div>" if text else ""


def page() -> str:
    """The page, in Markdown with blocks of HTML."""
    found = pieces(make_docs.HEADER.read_text())
    first, *rest = found
    body = Body({name for piece in found for name in piece.functions})
    lines = [line for line in first.comment if line]
    body.comment(first.comment[first.comment.index(lines[0]) + 1 :])
    parts = ["# redcol.h", lines[0], body.section()]
    for piece in rest:
        if not any(piece.comment) or piece.comment[0].strip().endswith("_H"):
            continue
        names = list(piece.functions)
        if piece.title:
            parts.append(f"## {piece.title.capitalize()}")
            body.comment([line for line in piece.comment if line != piece.title])
        else:
            if names:
                title = f"`{names[0]}`" if len(names) == 1 else "For bindings to Python"
                parts.append(f"### {title} {{ #{names[0]} }}")
                anchors = "".join(f'<a id="{name}"></a>' for name in names[1:])
                body.parts.append(anchors)
            declared = "\n".join(piece.functions.values()) if names else piece.code
            if names:
                body.code(declared)
                body.comment(piece.comment)
            else:
                body.comment(piece.comment)
                body.code(declared)
        parts.append(body.section())
    return "\n\n".join(part for part in parts if part) + "\n"
