# SPDX-License-Identifier: Apache-2.0
"""include/redcol.h taken apart: its comments, and what is declared after each.

For the scripts that make a page of it and compare its releases.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A comment that begins in the first column, and what is declared up to the next.
_PIECE = re.compile(r"^/\*(.*?)\*/\n(.*?)(?=^/\*|\Z)", re.DOTALL | re.MULTILINE)
#: An option in a list: its name, its values, its default and what it does.
OPTION_ROW = re.compile(
    r'^ *"(?P<name>[\w:]+)" {2,}(?P<values>\d+ (?:to \d+|or more)|[a-z]+) {2,}'
    r'(?P<default>"[^"]*"|none) {2,}(?P<text>\S.*)$'
)
_FUNCTION = re.compile(r"^[a-z][\w *]*?\b(redcol_\w+)\([^;{}]*\);$", re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """A comment, line by line without its stars, and the declarations after it."""

    comment: list[str]
    code: str

    @property
    def title(self) -> str:
        """The section of the header that begins here: a line in capitals; "" if none does."""
        first = next((line for line in self.comment if line), "")
        return first if re.fullmatch(r"[A-Z][A-Z ]+", first) else ""

    @property
    def functions(self) -> dict[str, str]:
        """The functions that are declared here, by name."""
        return functions(self.code)


def pieces(header: str) -> list[Piece]:
    """The header from its first comment to its end, without the guards for C++."""
    found = []
    for comment, code in _PIECE.findall(header):
        lines = [re.sub(r"^ \*( |$)", "", line).rstrip() for line in comment.split("\n")]
        found.append(Piece([line for line in lines if line != " "], _plain(code)))
    return found


def functions(code: str) -> dict[str, str]:
    """The functions that are declared in `code`, by name."""
    return {match[1]: match[0] for match in _FUNCTION.finditer(code)}


def without_comments(header: str) -> str:
    """What a compiler sees of it, without empty lines."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())


def constants(header: str) -> dict[str, str]:
    """The values of the enumerators and of the macros that have one, except for the version."""
    text = without_comments(header)
    found = dict(re.findall(r"^\s*(REDCOL_\w+) = (-?\d+),?$", text, re.MULTILINE))
    found |= dict(re.findall(r"^#define (REDCOL_\w+) (.+)$", text, re.MULTILINE))
    return {name: value for name, value in found.items() if "VERSION" not in name}


def _plain(code: str) -> str:
    code = re.sub(r"^#ifdef __cplusplus\n.*?^#endif\n?", "", code, flags=re.DOTALL | re.MULTILINE)
    lines = [
        line for line in code.splitlines() if not re.match(r"#(ifndef|endif|define \w+_H$)", line)
    ]
    return "\n".join(lines).strip()
