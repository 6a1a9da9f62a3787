# SPDX-License-Identifier: Apache-2.0
"""The options of the library, as the core's tables have them and as redcol.h lists them.

For the tests that compare the two, and both with the parameters of Python. That the core does what
its tables say is tested in Swift.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from c_header import OPTION_ROW, pieces

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "Sources/RedcolBase/OptionTables.swift"
HEADER = ROOT / "include/redcol.h"

#: The tables, and where the header lists their options.
PLACES = {
    "ClientOption": "redcol_open",
    "ReadOption": "READING",
    "EntryOption": "redcol_write_stream",
    "HashOption": "redcol_write_hashes",
    "PublishOption": "redcol_write_messages",
    "ListOption": "LISTS",
    "PartitionOption": "redcol_partitions",
    "SubscribeOption": "redcol_subscribe",
}
#: How the headings of the header's lists end that say what their options need.
NEEDS = {
    'only with "group"': "group",
    'only with "follow"': "follow",
    "only in redcol_read_ranges": "manyStreams",
    "only with a schema": "schema",
    "only without a schema": "noSchema",
    "only in redcol_list_groups": "groupList",
    "only in redcol_list_pending": "pendingList",
}
#: No integer is larger.
LARGEST = 2**63 - 1

_ENUM = re.compile(r"^public enum (\w+): OptionTable \{(.*?)^\}", re.DOTALL | re.MULTILINE)
_ROW = re.compile(
    r'Option\(\s*"(?P<name>[^"]*)", \.(?P<kind>\w+)(?:\((?P<more>[^)]*)\))?'
    r'(?:, default: "(?P<default>[^"]*)")?(?:,\s+needs: \.(?P<needs>\w+))?\)'
)


@dataclass(frozen=True)
class Option:
    """A row: its values as the header writes them, the words of a choice, its default, its need."""

    name: str
    values: str
    words: frozenset[str]
    default: str | None
    needs: str | None

    @property
    def range(self) -> tuple[int, int] | None:
        """The integers allowed, if integers are."""
        found = re.fullmatch(r"(\d+) (?:to (\d+)|or more)", self.values)
        return (int(found[1]), int(found[2] or LARGEST)) if found else None


def tables() -> dict[str, list[Option]]:
    """The rows of each table of the core."""
    found: dict[str, list[Option]] = {}
    for name, body in _ENUM.findall(TABLES.read_text()):
        rows = [_option(match) for match in _ROW.finditer(body)]
        if len(rows) != body.count(" Option("):
            raise ValueError(f"{name} has rows that this script cannot read")
        found[name] = rows
    return found


def _option(row: re.Match[str]) -> Option:
    kind, more = row["kind"], row["more"] or ""
    values = kind
    if kind == "integer":
        bounds = re.fullmatch(r"from: ([\d_]+)(?:, to: ([\d_]+))?", more)
        if bounds is None:
            raise ValueError(f"{row['name']} has a range that this script cannot read")
        values = f"{int(bounds[1])} to {int(bounds[2])}" if bounds[2] else f"{bounds[1]} or more"
    words = frozenset(more.strip('"').split()) if kind == "word" else frozenset()
    return Option(row["name"], values, words, row["default"], row["needs"])


def listed() -> dict[str, list[Option]]:
    """The options that the header lists, by the function or the section that has the list."""
    found: dict[str, list[Option]] = {}
    for piece in pieces(HEADER.read_text()):
        place = next(iter(piece.functions), piece.title)
        needs: str | None = None
        rows: list[Option] = []
        for line in piece.comment:
            row = OPTION_ROW.match(line)
            if row is None:
                needs = next((need for end, need in NEEDS.items() if line.endswith(end)), None)
                continue
            default = None if row["default"] == "none" else row["default"].strip('"')
            words = (
                frozenset(re.findall(r'"([\w.]+)"', row["text"])) if row["values"] == "word" else ()
            )
            rows.append(Option(row["name"], row["values"], frozenset(words), default, needs))
        if rows:
            found[place] = rows
    return found
