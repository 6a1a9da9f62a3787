# SPDX-License-Identifier: Apache-2.0
"""The command's page: its lines run, in a shell, and print what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import environment, with_events

from redcol.command.root import root
from servers import Server

PAGE = Path(__file__).parents[3] / "docs" / "command.md"
BLOCKS = re.findall(r"^```console\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
events = pytest.fixture(scope="module")(with_events)


def commands() -> Iterator[tuple[str, str]]:
    """Each line of the page's blocks, and what follows it."""
    for block in BLOCKS:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, expected = part.partition("\n")
            yield line, expected


def test_the_lines_run_and_print_what_the_page_says(events: Server, tmp_path: Path) -> None:
    looked_at = 0
    for line, expected in commands():
        if line.startswith("pip install"):
            continue
        shell = f'redcol() {{ "{sys.executable}" -m redcol "$@"; }}\n{{ {line}; }} 2>&1'
        done = subprocess.run(
            ["bash", "-c", shell],
            env=environment(events.url),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
        pattern = re.escape(expected).replace("…", r"\s*\S.*")
        assert re.fullmatch(pattern, done.stdout), f"{line}:\n{done.stdout}"
        looked_at += 1
    assert looked_at >= 8


def test_the_page_names_every_verb() -> None:
    table = PAGE.read_text().split("\n|---|---|\n")[1].split("\n\n")[0]
    told = set(re.findall(r"`([a-z]+(?: [a-z]+)?)", table))
    families = {name for name, verb in root.commands.items() if hasattr(verb, "commands")}
    verbs = root.commands.keys() - families
    verbs |= {f"{family} {name}" for family in families for name in root.commands[family].commands}
    assert verbs <= told
