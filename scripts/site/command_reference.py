# SPDX-License-Identifier: Apache-2.0
"""The reference of the command `redcol`: its help, verb by verb."""

from __future__ import annotations

import click
import make_man

from redcol.command.root import root


def rows(records: list[tuple[str, str] | None]) -> list[str]:
    """Options and what each is for, as a table."""
    found = [record for record in records if record]
    if not found:
        return []
    lines = ["| option | meaning |", "|---|---|"]
    for names, meaning in found:
        name = names.replace("|", "\\|")
        lines.append(f"| `{name}` | {_plain(meaning)} |")
    return ["\n".join(lines)]


def _plain(text: str) -> str:
    """Text of a terminal for Markdown."""
    text = " ".join(text.split())
    for sign in ("\\", "|", "<", "*", "_", "["):
        text = text.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return text


def page() -> str:
    """The page, in Markdown."""
    context = click.Context(root, info_name="redcol")
    parts = ["# The command", _plain(root.help or ""), "## Options of every verb"]
    parts += rows([each.get_help_record(context) for each in root.params])
    for words, verb, inner in make_man.verbs(root, "redcol"):
        arguments = [piece for piece in verb.collect_usage_pieces(inner) if piece != "[OPTIONS]"]
        parts.append(f"## `{words}` {{ #{words.replace(' ', '-')} }}")
        parts.append(f"    {' '.join([words, '[OPTIONS]', *arguments])}")
        parts += [_plain(each) for each in (verb.help or "").split("\n\n")]
        parts += rows([each.get_help_record(inner) for each in verb.own_options])
        for line, meaning in verb.examples:
            parts.append(f"{_plain(meaning)}\n\n```console\n$ {line}\n```")
    return "\n\n".join(parts) + "\n"
