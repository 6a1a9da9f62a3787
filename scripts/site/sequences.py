# SPDX-License-Identifier: Apache-2.0
"""Sequence diagrams, drawn from a few lines of text as SVG in the colors of the page.

Title: what the picture shows, for whoever does not see it
worker -> Redis: XREADGROUP
Redis -x worker: the reply is lost
worker: what it does by itself
-- what happens in between
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

STEP = 44
WIDTH = 230
MARGIN = 90
_ARROW = re.compile(r"(\w[\w ]*?) -(>|x) (\w[\w ]*?): (.+)")
_ALONE = re.compile(r"(\w[\w ]*?): (.+)")


def draw(source: str) -> str:
    """The picture of a text; a line that is none of these is a ValueError."""
    title, *lines = [line.strip() for line in source.strip().splitlines() if line.strip()]
    if not title.startswith("Title: "):
        raise ValueError("a sequence begins with its title")
    title = title.removeprefix("Title: ")
    who: list[str] = []
    if lines[0].startswith("Who: "):  # from left to right; else as they appear
        who = lines.pop(0).removeprefix("Who: ").split(", ")
    for line in lines:
        found = _ARROW.fullmatch(line) or _ALONE.fullmatch(line)
        if found is None and not line.startswith("-- "):
            raise ValueError(f"not a line of a sequence: {line}")
        names = (
            (found[1], found[3]) if found and found.re is _ARROW else (found[1],) if found else ()
        )
        who += [name for name in names if name not in who]
    x = {name: MARGIN + index * WIDTH for index, name in enumerate(who)}
    width = 2 * MARGIN + (len(who) - 1) * WIDTH
    height = 52 + STEP * len(lines)
    parts = [
        f'<svg class="sequence" style="max-width:{width}px" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
    ]
    for name, at in x.items():
        parts.append(_text(at, 18, name, "who"))
        parts.append(f'<line class="lifeline" x1="{at}" y1="28" x2="{at}" y2="{height - 8}"/>')
    for index, line in enumerate(lines):
        parts += _line(line, x, 28 + STEP * (index + 1), width)
    return "".join([*parts, "</svg>"])


def _line(line: str, x: dict[str, int], y: int, width: int) -> list[str]:
    """What one line of the text is in the picture, at the height `y`."""
    if line.startswith("-- "):
        return [_text(width // 2, y - 4, line[3:], "aside")]
    arrow = _ARROW.fullmatch(line)
    if arrow is None:
        name, text = _ALONE.fullmatch(line).groups()  # type: ignore[union-attr]
        return [f'<path d="M{x[name] - 4},{y - 4} h8 v8 h-8 z"/>', _text(x[name], y - 10, text, "")]
    begin, kind, end, text = arrow.groups()
    first, last = x[begin], x[end]
    lost = kind == "x"
    if lost:  # it ends on the way
        last = first + (last - first) * 3 // 5
    side = 1 if last > first else -1
    head = (
        f"M{last - 6},{y - 6} l12,12 M{last - 6},{y + 6} l12,-12"
        if lost
        else f"M{last - 8 * side},{y - 5} L{last},{y} L{last - 8 * side},{y + 5}"
    )
    style = ' class="lost"' if lost else ""
    return [
        f'<line{style} x1="{first}" y1="{y}" x2="{last}" y2="{y}"/>',
        f'<path d="{head}"/>',
        _text((x[begin] + x[end]) // 2, y - 7, text, ""),
    ]


def _text(x: int, y: int, text: str, kind: str) -> str:
    style = f' class="{kind}"' if kind else ""
    return f'<text{style} x="{x}" y="{y}" text-anchor="middle">{escape(text, quote=False)}</text>'


def fence(
    source: str, language: str, class_name: str, options: Any, md: Any, **arguments: Any
) -> str:
    """For pymdownx.superfences."""
    return draw(source)
