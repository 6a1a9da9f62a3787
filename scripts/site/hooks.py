# SPDX-License-Identifier: Apache-2.0
"""What mkdocs.yml cannot say: pages that are made from the sources, and links that leave docs/."""

from __future__ import annotations

import re
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File, Files

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "bindings/python/src"))

import c_reference  # noqa: E402
import command_reference  # noqa: E402
import options_reference  # noqa: E402
import sequences  # noqa: E402

#: Pages that lie elsewhere in the checkout, and what they are called on the site.
ELSEWHERE = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}

#: A link to a program, alone in its line: on the site, the program.
_PROGRAM = re.compile(r"^\[[^\]]+\]\(([^):]+\.(py|c|cpp|rs|lua|rb|java|yml))\)$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]\[]*)\]\(([^)\s]+)\)")


def on_config(config: Any) -> Any:
    """Blocks that are sequence diagrams are drawn; pages that `nav` does not name get a place."""
    fence = {"name": "sequence", "class": "sequence", "format": sequences.fence}
    config.mdx_configs.setdefault("pymdownx.superfences", {})["custom_fences"] = [fence]
    named = set(re.findall(r"[\w/-]+\.md", str(config.nav)))
    others = sorted(
        path
        for file in Path(config.docs_dir).rglob("*.md")
        if (path := file.relative_to(config.docs_dir).as_posix()) not in named
    )
    if others:
        config.nav.append({"More": others})
    return config


def on_files(files: Files, config: Any) -> Files:
    """The pages that are made."""
    made = {
        "reference/c.md": c_reference.page(),
        "reference/command.md": command_reference.page(),
        "reference/options.md": options_reference.page(),
    }
    made |= {name: (ROOT / source).read_text() for source, name in ELSEWHERE.items()}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links as the repository needs them become links on the site, or plain words."""
    here = PurePosixPath(page.file.src_uri)
    source = next((ROOT / old for old, new in ELSEWHERE.items() if new == str(here)), None)
    folder = source.parent if source else (ROOT / "docs" / here).parent

    def moved(match: re.Match[str]) -> str:
        words, target = match.groups()
        address, mark, anchor = target.partition("#")
        if not address or re.match(r"[a-z]+:", address):
            return match[0]
        path = (folder / address).resolve()
        if not path.is_relative_to(ROOT) or page.file.src_uri.startswith("reference/"):
            return match[0]
        inside = path.relative_to(ROOT).as_posix()
        if inside in ELSEWHERE:
            name = ELSEWHERE[inside]
        elif inside.startswith("docs/"):
            name = inside.removeprefix("docs/")
        else:
            return words  # of the checkout only
        up = "../" * (len(here.parts) - 1)
        return f"[{words}]({up}{name}{mark}{anchor})"

    def program(match: re.Match[str]) -> str:
        path = (folder / match[1]).resolve()
        lines = [line for line in path.read_text().splitlines() if "SPDX-" not in line]
        code = "\n".join(lines).strip()
        return f'```{match[2]} title="{path.relative_to(ROOT)}"\n{code}\n```'

    return _LINK.sub(moved, _PROGRAM.sub(program, markdown))
