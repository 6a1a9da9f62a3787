# SPDX-License-Identifier: Apache-2.0
"""Writes the man page of the command `redcol` from its help: make_man.py FILE.

The page lies in the repository, so that the wheel carries it; a test compares it with the help.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from redcol.command.root import root
from redcol.command.verb import Verb


def escaped(text: str) -> str:
    """Text for troff: no line begins like a request, and hyphens are those of the keyboard."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def paragraphs(text: str) -> list[str]:
    """The lines of a help text, with a break between paragraphs."""
    parts = [" ".join(part.split()) for part in (text or "").split("\n\n")]
    return [
        escaped(part) if index == 0 else f".PP\n{escaped(part)}" for index, part in enumerate(parts)
    ]


def options(records: list[tuple[str, str]]) -> list[str]:
    """Options, and what each is for."""
    return [f".TP\n.B {escaped(names)}\n{escaped(meaning)}" for names, meaning in records]


def verbs(command: click.Group, words: str) -> list[tuple[str, Verb, click.Context]]:
    """Every verb with its words, those of families too."""
    found = []
    for name, verb in command.commands.items():
        full = f"{words} {name}"
        if isinstance(verb, click.Group):
            found += verbs(verb, full)
        elif isinstance(verb, Verb):
            found.append((full, verb, click.Context(verb, info_name=full)))
    return found


def page() -> str:
    """The whole page."""
    context = click.Context(root, info_name="redcol")
    shared = [record for each in root.params if (record := each.get_help_record(context))]
    lines = [
        '.\\" SPDX-License-Identifier: Apache-2.0',
        '.\\" Made by scripts/make_man.py from the help of the command.',
        '.TH REDCOL 1 "" redcol "User Commands"',
        ".SH NAME",
        "redcol \\- Redis Streams from a shell",
        ".SH SYNOPSIS",
        ".B redcol",
        ".I VERB",
        "[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]",
        ".SH DESCRIPTION",
        *paragraphs(root.help or ""),
        ".SH OPTIONS OF EVERY VERB",
        *options(shared),
        ".SH VERBS",
    ]
    for words, verb, inner in verbs(root, "redcol"):
        arguments = [piece for piece in verb.collect_usage_pieces(inner) if piece != "[OPTIONS]"]
        lines += [f".SS {escaped(' '.join([words, *arguments]))}", *paragraphs(verb.help or "")]
        own = [each.get_help_record(inner) for each in verb.own_options]
        lines += options([record for record in own if record])
        lines += [".PP", "Examples:"]
        for line, meaning in verb.examples:
            lines += [".PP", escaped(meaning), ".PP", ".nf", f"    {escaped(line)}", ".fi"]
    lines += [
        ".SH EXIT STATUS",
        "0: done. 1: an error. 2: a wrong command line. 130: Ctrl\\-C.",
        "141: the reader of the output closed the pipe. 143: SIGTERM.",
        ".SH ENVIRONMENT",
        *options(
            [
                ("REDCOL_URL", "The server, if there is no --url."),
                ("REDCOL_PASSWORD", "The password, if the URL has none."),
                ("NO_COLOR", "No colors, if it is not empty."),
            ]
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page())
