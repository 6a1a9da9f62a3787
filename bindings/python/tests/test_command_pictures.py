# SPDX-License-Identifier: Apache-2.0
"""The pictures that the command draws: entries over time, and those of the documents."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import redis
from commands import FIRST_MS, Run, environment, in_this_process, with_database, with_events
from PIL import Image

events = pytest.fixture(scope="module")(with_events)
db = pytest.fixture(with_database)
run = pytest.fixture(in_this_process)


def test_a_picture_has_a_largest_number_of_points(run: Run, db: redis.Redis) -> None:
    db.xadd("years", {"n": 1}, id=f"{FIRST_MS}-0")
    db.xadd("years", {"n": 2}, id=f"{FIRST_MS + 365 * 86_400_000}-0")
    said = run("plot", "years", "--every", "1ms", code=2)[1]
    assert "31,536,000,000 points: say a longer --every" in said
    assert "entries in 1d" in run("plot", "years", "--every", "1d")[0]


@pytest.mark.parametrize("ending", ["png", "svg", "html"])
def test_pictures(run: Run, db: redis.Redis, tmp_path: Path, ending: str) -> None:
    pipeline = db.pipeline(transaction=False)
    for number in range(2_000):
        fields = {"kind": f"kind-{number % 3}"}
        pipeline.xadd("drawn", fields, id=f"{FIRST_MS + number * number}-0")
    pipeline.execute()
    db.xgroup_create("drawn", "readers", f"{FIRST_MS + 1_000_000}")
    path = tmp_path / f"a.{ending}"
    run("plot", "drawn", "--by", "kind", "--groups", "-o", str(path))
    if ending == "png":
        with Image.open(path) as picture:
            colors = picture.convert("RGB").getcolors(1 << 24)
            assert colors is not None
            assert picture.width > 600
        white = max(count for count, _ in colors) / sum(count for count, _ in colors)
        assert 0.5 < white < 0.999
        assert len(colors) > 50
        return
    text = path.read_text()
    if ending == "svg":
        drawn = ElementTree.fromstring(text)
        assert len(drawn.findall(".//{http://www.w3.org/2000/svg}path")) > 10
    else:
        # It needs nothing from the network.
        assert re.search(r"<script[^>]*src=", text) is None
    for part in ("kind-0", "kind-1", "kind-2", "readers: lag", "entries in"):
        assert part in text


#: Pictures of the documents that no data is behind.
DRAWN_BY_HAND = {"overview.svg"}


def test_the_documents_pictures_can_be_made(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    script = root / "scripts" / "make_pictures.py"
    subprocess.run([sys.executable, script, tmp_path], env=environment(""), check=True, timeout=120)
    made = {path.name: path for path in tmp_path.iterdir()}
    kept = {path.name for path in (root / "docs" / "pictures").iterdir()}
    assert made.keys() == kept - DRAWN_BY_HAND
    for name, path in made.items():
        for each in (path, root / "docs" / "pictures" / name):
            drawn = ElementTree.fromstring(each.read_text())
            assert len(drawn.findall(".//{http://www.w3.org/2000/svg}path")) > 10


def test_what_cannot_be_drawn(run: Run, db: redis.Redis) -> None:
    assert "does not end in" in run("plot", "events", "-o", "a.gif", code=2)[1]
    assert "there is no stream" in run("plot", "missing", code=1)[1]
    assert "no entries there" in run("plot", "events", "--to", "5", code=1)[1]
    db.xgroup_create("empty", "g", mkstream=True)
    assert "has no entries" in run("plot", "empty", code=1)[1]
    assert "needs a terminal" in run("top", code=2)[1]
    assert "entries in 1ms" in run("plot", "events")[0]
