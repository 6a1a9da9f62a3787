# SPDX-License-Identifier: Apache-2.0
"""Every option of the library in one table for each place: kinds and defaults from the core's."""

from __future__ import annotations

import option_tables
from c_header import OPTION_ROW, pieces

#: What takes the options of a table, and what the heading says.
TITLES = {
    "ClientOption": "Connections: `redcol_open`, and `redcol.connect`",
    "ReadOption": "Reading: ranges, iterators, groups and scans",
    "EntryOption": "Writing entries: `redcol_write_stream`",
    "HashOption": "Writing hashes: `redcol_write_hashes`",
    "PublishOption": "Publishing: `redcol_write_messages`",
    "ListOption": "Lists: streams, groups, consumers and pending entries",
    "PartitionOption": "Partitions: `redcol_partitions`",
    "SubscribeOption": "Pub/Sub: `redcol_subscribe`",
}
NEEDS = {
    "group": "Only with `group`.",
    "follow": "Only with `follow`.",
    "manyStreams": "Only for many streams.",
    "schema": "Only with a schema.",
    "noSchema": "Only without a schema.",
    "groupList": "Only for lists of groups.",
    "pendingList": "Only for lists of pending entries.",
}


def _meanings() -> dict[tuple[str, str], str]:
    """What the header says about the options, by the place that lists them."""
    found = {}
    for piece in pieces(option_tables.HEADER.read_text()):
        place = next(iter(piece.functions), piece.title)
        for line in piece.comment:
            if row := OPTION_ROW.match(line):
                found[place, row["name"]] = row["text"]
    return found


def page() -> str:
    """The page, in Markdown."""
    meanings = _meanings()
    parts = [
        "# Options",
        "In C, options are pairs of texts. In Python they are parameters with the same names. "
        "[redcol.h](c.md) says more about those that need more than a line.",
    ]
    for table, options in option_tables.tables().items():
        lines = ["| option | values | default | meaning |", "|---|---|---|---|"]
        for option in options:
            values = " ".join(sorted(f"`{word}`" for word in option.words)) or option.values
            default = "" if option.default is None else f"`{option.default}`"
            meaning = meanings.get((option_tables.PLACES[table], option.name), "")
            meaning = meaning.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
            needs = NEEDS[option.needs] if option.needs else ""
            lines.append(f"| `{option.name}` | {values} | {default} | {meaning} {needs} |")
        parts += [f"## {TITLES[table]}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"
