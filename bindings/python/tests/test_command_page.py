# SPDX-License-Identifier: Apache-2.0
"""The command's page: its lines run, in a shell, and print what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import environment, fill, on_path, with_events

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
    looked_at, path = 0, on_path(tmp_path)
    for line, expected in commands():
        if line.startswith("pip install"):
            continue
        done = subprocess.run(
            ["bash", "-c", f"{{ {line}; }} 2>&1"],
            env=environment(events.url, PATH=path),
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


MAN_PAGE = Path(__file__).parents[1] / "redcol.1"
#: Examples that do not end by themselves.
ENDLESS = ("redcol tail events", "redcol tail events -n 0 -f jsonl | jq .action")


def examples() -> Iterator[object]:
    """The examples of all verbs."""
    for name, verb in root.commands.items():
        for inner in getattr(verb, "commands", {"": verb}).values():
            lines = [line for line, _ in inner.examples]
            yield pytest.param(lines, id=f"{name} {inner.name}".replace(f"{name} {name}", name))


@pytest.mark.parametrize("lines", [*examples()])
def test_the_examples_of_a_verb_run(events: Server, tmp_path: Path, lines: list[str]) -> None:
    for folder in (
        ".local/share/bash-completion/completions",
        ".zfunc",
        ".config/fish/completions",
    ):
        (tmp_path / folder).mkdir(parents=True)
    script = ["set -eo pipefail", "jq() { cat; }"]
    if any(" import " in line for line in lines):
        script.append("redcol export events -o events.parquet; redcol trim copy --maxlen 0 -y")
    for line in lines:
        if line in ENDLESS or "--follow" in line or line.startswith("redcol top"):
            continue
        script += [f"echo {shlex.quote(line)} >&2", line]
    with events.client() as db:
        fill(db)
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        env=environment(events.url, HOME=str(tmp_path), PATH=on_path(tmp_path)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_the_man_page_says_what_the_help_says(tmp_path: Path) -> None:
    made = tmp_path / "redcol.1"
    script = PAGE.parents[1] / "scripts" / "make_man.py"
    subprocess.run([sys.executable, script, made], env=environment(""), check=True, timeout=60)
    assert made.read_text() == MAN_PAGE.read_text(), "make docs"
    shown = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", MAN_PAGE], capture_output=True, text=True, timeout=60
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "redcol export STREAM..." in re.sub(".\b", "", shown.stdout)


def test_the_page_names_every_verb() -> None:
    table = PAGE.read_text().split("\n|---|---|\n")[1].split("\n\n")[0]
    told = set(re.findall(r"`([a-z]+(?: [a-z]+)?)", table))
    families = {name for name, verb in root.commands.items() if hasattr(verb, "commands")}
    verbs = root.commands.keys() - families
    verbs |= {f"{family} {name}" for family in families for name in root.commands[family].commands}
    assert verbs <= told
