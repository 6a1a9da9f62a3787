# SPDX-License-Identifier: Apache-2.0
"""The page about engines runs, block after block."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sparks
from servers import Server

PAGE = Path(__file__).parents[4] / "docs/engines.md"
pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_blocks_of_the_page():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    sparks.session()
    names: dict[str, object] = {}
    with Server(tcp=True) as server, server.client() as db:
        for index in range(2):
            fields = {"user_id": f"user_{index}", "value": (index + 1) * 10}
            db.xadd("events", fields, id=f"{1_704_067_200_000 + index}-0")
        for text in blocks:
            text = text.replace("redis://localhost", server.url)
            exec(compile(text, PAGE.name, "exec"), names)
        assert sorted(entry[b"user_id"] for _, entry in db.xrange("copies")) == [b"a", b"b"]


def test_the_page_names_every_option():
    from redcol.spark._options import Settings

    text = PAGE.read_text().lower().replace("_", "")
    # One row stands for all that begin with ssl_.
    names = [name for name in Settings.__dataclass_fields__ if not name.startswith("ssl_")]
    assert [name for name in names if f"`{name.replace('_', '')}`" not in text] == []
