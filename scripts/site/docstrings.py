# SPDX-License-Identifier: Apache-2.0
"""Docstrings as Markdown: "Raises" is a paragraph of words, and examples are programs."""

from __future__ import annotations

import re
from typing import Any

import griffe


def markdown(text: str) -> str:
    """A docstring as the site needs it."""
    text = re.sub(r":(?:class|func|meth|attr|mod):`~?\.?([^`]+)`", r"`\1`", text)
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)
    return re.sub(r"^Raises:\n((?: +\S.*\n?)+)", _raises, text, flags=re.MULTILINE)


def _raises(section: re.Match[str]) -> str:
    """A list with an item for each line that is not a continuation."""
    lines = section[1].splitlines()
    first = len(lines[0]) - len(lines[0].lstrip())
    items: list[str] = []
    for line in lines:
        if items and line[first] == " ":
            items[-1] += f" {line.strip()}"
        else:
            items.append(f"- {line.strip()}")
    return "\n".join(["**Raises:**", "", *items, ""])


class Docstrings(griffe.Extension):
    """Changes each docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **arguments: Any) -> None:
        """Change the docstring of one object."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)
